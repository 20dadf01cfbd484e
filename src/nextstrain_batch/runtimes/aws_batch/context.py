"""What all steps of a build on AWS Batch work with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from nextstrain_batch.connection import connect
from nextstrain_batch.errors import UserError
from nextstrain_batch.local_state import LocalState
from nextstrain_batch.store import keys
from nextstrain_batch.store.patient import Patient

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.aws import Aws
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import BucketUrl
    from nextstrain_batch.runs import Run
    from nextstrain_batch.store.transport import Transport
    from nextstrain_batch.ui import Ui


@dataclass(frozen=True)
class Batch:
    """AWS Batch in one account and region, or in the sandbox, and this computer's side of it."""

    aws: Aws
    settings: BatchSettings
    state: LocalState
    ui: Ui

    @classmethod
    def connect(cls, settings: BatchSettings, home: Path, ui: Ui) -> Batch:
        """Return the one that *settings* mean; a sandbox is started if it is not up."""
        return cls(connect(settings, home), settings, LocalState(home / "aws-batch"), ui)

    @cached_property
    def bucket(self) -> Patient:
        """The bucket that builds are sent to; raises ``ConfigError`` where none is set.

        One for all steps: its connections are used again.
        """
        return self.bucket_at(self.settings.required_bucket)

    def bucket_at(self, url: BucketUrl) -> Patient:
        """Return any bucket; trouble with it is ridden out once it has answered."""
        return Patient(self.aws.bucket(url), self.ui.warn)

    def forget_environment(self, run: Run, bucket: Transport) -> None:
        """Remove the values given with ``--env``: nobody needs them any more.

        Where that fails it is said, and nothing else fails for it: the results matter more, and so
        does what went wrong before.
        """
        if not run.has_environment:
            return
        try:
            bucket.delete(keys.environment(run.id))
        except UserError as error:
            why = str(error).partition("\n")[0]
            self.ui.warn(
                f"The values given with --env stay in the bucket until they expire there. {why}"
            )


@dataclass(frozen=True)
class Launched:
    """A run whose job exists, or did until AWS Batch forgot it."""

    run: Run
    job_id: str
    bucket: Patient
    is_new: bool = False
    """Just submitted, so that not all of AWS may know it yet."""
    is_over: bool = False
    """Its job had ended when it was attached to."""
    is_forgotten: bool = False


def user() -> str:
    """Return who works at this computer, as the system has it."""
    try:
        import getpass

        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def now() -> datetime:
    """Return the present, aware."""
    return datetime.now(UTC)
