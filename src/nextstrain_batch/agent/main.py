"""The job from its first to its last second: fetch, run, store.

1. ``context``   the job's environment → which run and attempt this is
2. ``fetch``     the bucket → files in the build directory, the program, its environment
3. ``program``   the program runs; ``joblog`` copies what it says, ``logsender`` keeps a copy in
                 the bucket; ``termination`` is what SIGTERM sets off
4. ``push``      files, log, manifest, result → the bucket

The process exits with the program's own code. Whatever else it may exit with, and every object
that it reads and writes, is listed in ``docs/explanation/job-side.md``.
"""

from __future__ import annotations

import tempfile
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nextstrain_batch import results, runs
from nextstrain_batch.agent import context, fetch, program, push
from nextstrain_batch.agent.joblog import JobLog
from nextstrain_batch.agent.logsender import LogSender
from nextstrain_batch.agent.termination import TerminatedError, Termination
from nextstrain_batch.aws_errors import TRANSIENT
from nextstrain_batch.errors import CredentialsError, UserError
from nextstrain_batch.quantities import counted, shown_bytes
from nextstrain_batch.store import keys
from nextstrain_batch.store.patient import Patient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nextstrain_batch.agent.context import Context
    from nextstrain_batch.agent.fetch import Fetched
    from nextstrain_batch.agent.program import Ended
    from nextstrain_batch.store.transport import Transport

WAITS = (5.0, 15.0, 60.0, 120.0)
"""Seconds before each further try to store results that hours may have gone into."""
FETCH_PATIENCE = 120.0
"""Seconds for which trouble with S3 is ridden out while a job has nothing to lose yet."""
LAST_WORDS = 5.0
"""Seconds that an attempt without results may take to say why in the bucket."""


def utc_now() -> datetime:
    """Return the present, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Tools:
    """What an attempt needs of the world."""

    environ: Mapping[str, str]
    log: JobLog
    termination: Termination
    now: Callable[[], datetime] = utc_now
    started: datetime = field(default_factory=utc_now)
    sleep: Callable[[float], None] | None = None
    """None sleeps until SIGTERM at most."""
    clock: Callable[[], float] = time.monotonic


def main(environ: Mapping[str, str], stdout: BinaryIO) -> int:
    """Run the job that *environ* tells of, in this process; return its exit code."""
    with (
        Termination() as termination,
        tempfile.TemporaryDirectory(prefix="nextstrain-batch-log-") as directory,
        JobLog(Path(directory), stdout) as log,
    ):
        tools = Tools(environ, log, termination)
        try:
            job = context.Context.from_environment(environ)
        except UserError as error:
            log.say(str(error))
            return results.NO_RUN
        try:
            transport = _bucket(job)
        except UserError as error:
            log.say(str(error))
            return results.FETCH_FAILED
        return Attempt(job, transport, tools, lambda: _bucket(job)).run()


def _bucket(job: Context) -> Transport:
    from nextstrain_batch.aws import Aws

    # By the container's own credentials: the user's variables are the program's alone.
    return Aws(region=job.region).bucket(job)


class Attempt:
    """One attempt of a run.

    *reconnect* makes the transport anew, with new credentials.
    """

    def __init__(
        self,
        job: Context,
        transport: Transport,
        tools: Tools,
        reconnect: Callable[[], Transport] | None = None,
    ) -> None:
        self._job = job
        self._transport = transport
        self._reconnect = reconnect
        self._renewed = False
        self._tools = tools
        self._say = tools.log.say

    def run(self) -> int:
        """Fetch, run, store; return the exit code. Every error is an answer, said in the log."""
        try:
            return self._run()
        except Exception:  # noqa: BLE001 - a bug, too, must reach whoever watches the job
            message = f"This is a bug in nextstrain-batch; please report it.\n\n{_traceback()}"
            return self._give_up(results.INTERNAL_ERROR, message)

    def _run(self) -> int:
        termination = self._tools.termination
        try:
            fetched = termination.guard(self._fetch)
        except TerminatedError:
            return self._give_up(results.TERMINATED, "The job was ended before the program began.")
        except (UserError, OSError) as error:
            return self._give_up(results.FETCH_FAILED, str(error))
        ended = self._run_program(fetched)
        return self._store(fetched, ended)

    def _fetch(self) -> Fetched:
        begun = time.monotonic()
        # What sleeps in there is abandoned when the job is asked to end.
        bucket = Patient(
            self._transport,
            self._say,
            has_answered=True,  # This very program came from there.
            patience=FETCH_PATIENCE,
            clock=self._tools.clock,
            sleep=self._tools.sleep or time.sleep,
        )
        record = runs.read_record(self._job.run_id, bucket)
        fetched = fetch.fetch(self._job, bucket, record, self._say)
        files = [entry for entry in fetched.manifest.entries if entry.kind == "file"]
        size = shown_bytes(sum(entry.size for entry in files))
        self._say(f"fetched {counted(len(files), 'file')} ({size}) in {_since(begun)}")
        return fetched

    def _run_program(self, fetched: Fetched) -> Ended:
        log, termination = self._tools.log, self._tools.termination
        key = keys.log(self._job.run_id, self._job.attempt)
        what = program.Program(
            fetched.run.program,
            self._job.root / fetched.run.working_directory,
            context.program_environment(self._tools.environ, fetched.environment),
        )
        self._say(f"running {Path(what.arguments[0]).name}")
        put = partial(self._transport.put, key)
        with LogSender(log, put, is_hurried=lambda: termination.requested):
            ended = program.run(what, log.write, termination)
        if termination.requested:
            ended = program.Ended(
                results.TERMINATED,
                "AWS Batch asked the job to end: it was cancelled, ran out of time or lost its"
                " machine.",
            )
        if ended.exit_code:
            self._say(ended.error or f"the program ended with exit code {ended.exit_code}")
        return ended

    def _store(self, fetched: Fetched, ended: Ended) -> int:
        try:
            self._patiently(lambda: self._store_once(fetched, ended))
        except Exception as error:  # noqa: BLE001 - the program's exit code must survive a bug
            why = str(error) if isinstance(error, (UserError, OSError)) else _traceback()
            message = f"The results could not be stored.\n\n{why}"
            return self._give_up(ended.exit_code or results.PUSH_FAILED, message)
        return ended.exit_code

    def _store_once(self, fetched: Fetched, ended: Ended) -> None:
        begun = time.monotonic()
        stored = push.store_files(self._job, self._transport, fetched, self._say, self._tools.now)
        sent = shown_bytes(stored.bytes_sent)
        self._say(f"stored {counted(stored.changed, 'file')} ({sent} sent) in {_since(begun)}")
        lines = self._store_log()
        digest = push.commit(self._job, self._transport, stored)
        self._forget_environment(ended.exit_code)
        self._store_result(ended.exit_code, lines, digest, ended.error, stored.problem)

    def _patiently(self, work: Callable[[], None]) -> None:
        sleep = self._tools.sleep or self._tools.termination.pause
        for wait in WAITS:
            try:
                return work()
            except (*TRANSIENT, CredentialsError) as error:
                if self._tools.termination.requested:
                    raise
                if isinstance(error, CredentialsError) and self._renew():
                    continue
                self._say(f"{error}\n\nTrying again in {wait:.0f} seconds.")
                sleep(wait)
        return work()

    def _renew(self) -> bool:
        """Get new credentials; return whether these may help at once, as the first ones may."""
        if self._reconnect is None:
            return False
        try:
            self._transport = self._reconnect()
        except CredentialsError:
            return False  # whoever gives them has trouble, too, which may pass
        is_first, self._renewed = not self._renewed, True
        return is_first

    def _give_up(self, exit_code: int, message: str) -> int:
        """Say why there are no results, here and in the bucket as far as that can be done."""
        self._say(message)

        def last_words() -> None:
            with suppress(UserError):
                lines = self._store_log()
                self._forget_environment(exit_code)
                self._store_result(exit_code, lines, None, message)

        # In a thread of its own: AWS Batch kills a job that hangs here half a minute after asking.
        thread = threading.Thread(target=last_words, daemon=True)
        thread.start()
        thread.join(LAST_WORDS)
        return exit_code

    def _store_log(self) -> int:
        lines = self._tools.log.lines
        push.store_log(self._job, self._transport, self._tools.log)
        return lines

    def _store_result(
        self,
        exit_code: int,
        lines: int,
        digest: str | None,
        error: str | None,
        not_stored: str | None = None,
    ) -> None:
        result = results.AttemptResult(
            attempt=self._job.attempt,
            exit_code=exit_code,
            started=self._tools.started,
            finished=self._tools.now(),
            log_lines=lines,
            output_manifest=digest,
            error=error,
            not_stored=not_stored,
        )
        push.store_result(self._job, self._transport, result)

    def _forget_environment(self, exit_code: int) -> None:
        with suppress(UserError):
            push.forget_environment(self._job, self._transport, exit_code)


def _traceback() -> str:
    return traceback.format_exc()


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"
