"""How to come back to a job that this command leaves, whatever makes it leave."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import TRANSIENT, paragraphs
from nextstrain_batch.errors import UserError
from nextstrain_batch.interrupts import saying
from nextstrain_batch.job import UnknownJobError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nextstrain_batch.runtimes.aws_batch.context import Batch, Launched


@dataclass(frozen=True)
class WayBack:
    """The command lines that take up one job again."""

    name: str
    """The job's id, which its console shows, or its run's, which the bucket remembers longer."""
    directory: Path | None
    """Where its results belong, as the user named it; None to watch only."""
    in_sandbox: bool = False

    @classmethod
    def to(cls, batch: Batch, name: str, directory: Path | None) -> WayBack:
        """Return the one to a job in *batch*."""
        return cls(name, directory, batch.settings.sandbox.value)

    @classmethod
    def to_results(cls, batch: Batch, launched: Launched, directory: Path | None) -> WayBack:
        """Return the one to a run that is over.

        By the run, as AWS Batch forgets its job sooner than the results expire; but by the job
        where the run would be looked for in another bucket.
        """
        run, bucket = launched.run, batch.settings.bucket
        is_found = batch.state.ledger.read(run.id) is not None or (
            bucket is not None and str(bucket.value) == launched.bucket.url
        )
        return cls.to(batch, run.id if is_found else launched.job_id, directory)

    @property
    def attach(self) -> str:
        """What watches the job and brings its results."""
        return self._command() if self.directory else self._command("--no-download")

    @property
    def fetch(self) -> str:
        """What brings the job's results; without a directory, it leaves room for one."""
        return self._command() if self.directory else f"{self._command()} <directory>"

    @property
    def cancel(self) -> str:
        """What cancels the job, and brings what it has made by then."""
        return self._command("--cancel")

    def _command(self, *options: str) -> str:
        # Options come before the directory: the words after it are the program's.
        sandbox = ["--sandbox"] if self.in_sandbox else []
        words = ["nextstrain", "build", "--aws-batch", *sandbox, "--attach", self.name, *options]
        return shlex.join([*words, *([str(self.directory)] if self.directory else [])])

    @contextmanager
    def while_it_runs(self) -> Iterator[None]:
        """Have what ends the ``with`` say how to come back to the job, which goes on.

        That is an error, Control-C, or an output that nobody reads any more, as Control-C ends what
        it is piped to; an error that the job is not known says nothing more.
        """
        goes_on = (
            f"The job {self.name} goes on. To take it up again:\n\n    {self.attach}\n\n"
            f"To cancel it:\n\n    {self.cancel}"
        )
        not_affected = f"The job itself is not affected. To take it up again:\n\n    {self.attach}"
        try:
            with saying(goes_on), _adding(not_affected):
                yield
        except BrokenPipeError as error:
            error.add_note(goes_on)
            raise

    @contextmanager
    def once_it_is_over(self) -> Iterator[None]:
        """Have what ends the ``with`` say how to get the results that it did not bring."""
        stays = (
            "What the job has stored stays in the bucket. To take it up again:"
            f"\n\n    {self.attach}"
        )
        with saying(stays), _adding(stays):
            yield


@contextmanager
def before_there_is_a_job() -> Iterator[None]:
    """Have Control-C or trouble with the connection say how to go on, as nothing else does.

    Other errors have their own next step, and the same command then comes after it.
    """
    nothing = (
        "No job was submitted. What has arrived in the bucket is not sent again: run the same"
        " command to go on."
    )
    with saying(nothing), _adding(nothing, to=TRANSIENT):
        yield


@contextmanager
def _adding(advice: str, *, to: tuple[type[UserError], ...] = (UserError,)) -> Iterator[None]:
    try:
        yield
    except UnknownJobError:
        raise
    except to as error:
        # In place, so that the class and what it carries stay.
        error.args = (paragraphs(str(error), advice), *error.args[1:])
        raise
