"""The AWS Batch runtime: the steps of a build that does not run on this computer.

``commands/build.py`` calls them in order. Each one leaves something that a later command can start
from: packs and a manifest in the bucket, a run record, a job, an output manifest.
"""

from __future__ import annotations

import json
import secrets
import shlex
import socket
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nextstrain_batch import __version__, job_tags, runs
from nextstrain_batch.agent import bootstrap, bundle
from nextstrain_batch.config import BucketUrl
from nextstrain_batch.connection import connect
from nextstrain_batch.diagnose import Diagnosis
from nextstrain_batch.download import Downloaded, download
from nextstrain_batch.errors import JobError, UnreachableError, UserError
from nextstrain_batch.events import LogLine
from nextstrain_batch.interrupts import Interrupts
from nextstrain_batch.job import RUN_VARIABLE, UnknownJobError, cancel, describe
from nextstrain_batch.kept_log import KeptLog, Seen
from nextstrain_batch.local_state import LocalState
from nextstrain_batch.logs import JobLogs
from nextstrain_batch.outcome import Attempts, Outcome, outcome_of
from nextstrain_batch.pathogen import LeftOut, UploadFilter, download_filter
from nextstrain_batch.runs import LedgerEntry, Run
from nextstrain_batch.snapshot import Sink, Snapshot, take
from nextstrain_batch.store import codec, keys
from nextstrain_batch.submit import JobRequest, submit
from nextstrain_batch.upload import Plan, Uploaded, execute, read_and_plan
from nextstrain_batch.walk import walk
from nextstrain_batch.watch import follow, leading_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nextstrain_batch.aws import Aws
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.events import Event
    from nextstrain_batch.job import Job
    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.options import BuildOptions
    from nextstrain_batch.store.manifest import Manifest
    from nextstrain_batch.store.transport import Transport
    from nextstrain_batch.ui import Ui


@dataclass(frozen=True)
class Launched:
    """A run whose job exists, or did until AWS Batch forgot it."""

    run: Run
    job_id: str
    bucket: Transport
    is_new: bool = False
    """Just submitted, so that not all of AWS may know it yet."""
    is_forgotten: bool = False


@dataclass(frozen=True)
class Gathered:
    """What travels of a build directory, and what does not."""

    plan: Plan
    """Of sending it."""
    left_out: tuple[LeftOut, ...]


class AwsBatch:
    """AWS Batch in one account and region, or in the sandbox."""

    def __init__(self, aws: Aws, settings: BatchSettings, state: LocalState, ui: Ui) -> None:
        self._aws = aws
        self._settings = settings
        self._state = state
        self._ui = ui

    @classmethod
    def connect(cls, settings: BatchSettings, home: Path, ui: Ui) -> AwsBatch:
        """Return the one that *settings* mean; a sandbox is started if it is not up."""
        return cls(connect(settings, home), settings, LocalState(home / "aws-batch"), ui)

    def gather(
        self, pathogen: Pathogen, exclude: tuple[str, ...], *, dry_run: bool = False
    ) -> Gathered:
        """Find out what travels, and what of it is not in the bucket yet.

        What has to be read for that and fills packs is sent at once, unless it is a *dry_run*.
        Raises the bucket's errors before any file is read: it is missing, elsewhere, denied. Raises
        ``PathogenError`` for a file that cannot travel.
        """
        root, bucket = pathogen.root, self._bucket()
        cache = self._state.stat_cache(root)
        skip = UploadFilter(root, exclude)
        with self._ui.progress() as progress:

            def read(sink: Sink | None) -> Snapshot:
                return take(root, walk(root, skip), cache, sink=sink, progress=progress)

            known = self._state.manifests(root, bucket.url)
            planned = read_and_plan(read, bucket, known=known, now=_now, ahead=not dry_run)
        self._state.keep_stat_cache(root, cache)
        return Gathered(planned, tuple(skip.left_out))

    def send(self, planned: Plan) -> Uploaded:
        """Put into the bucket what is not there yet."""
        bucket = self._bucket()
        with self._ui.progress() as progress:
            pause = self._pause_for_pruning()
            uploaded = execute(planned, bucket, now=_now, pause=pause, progress=progress)
        self._state.keep_manifest(planned.snapshot.root, bucket.url, "input", uploaded.manifest)
        return uploaded

    def record(
        self,
        pathogen: Pathogen,
        program: tuple[str, ...],
        uploaded: Uploaded,
        options: BuildOptions,
    ) -> Run:
        """Write down the run, with all that its job needs to know."""
        bucket = self._bucket()
        agent = bundle.ensure(self._state.agent)
        bundle.publish(agent, bucket, _now)
        now = _now()
        run_id = runs.new_id(pathogen.name, now, secrets.token_hex(4))
        digest = codec.publish(uploaded.manifest, bucket, keys.input_manifest(run_id))
        if options.environment:
            values = json.dumps(dict(options.environment)).encode()
            bucket.put(keys.environment(run_id), values)
        run = Run(
            id=run_id,
            created=now,
            pathogen=pathogen.name,
            working_directory=pathogen.working_directory,
            program=program,
            queue=self._settings.queue.value,
            job_definition=self._settings.job.value,
            input_manifest_digest=digest,
            image=options.image.value,
            cpus=self._settings.cpus.value,
            memory_mib=self._settings.memory_mib.value,
            has_environment=bool(options.environment),
            exclude_from_upload=options.exclude_from_upload,
            agent=agent.digest,
            user=_user(),
            host=socket.gethostname(),
            client_version=__version__,
        )
        runs.write_record(run, bucket)
        self._note(run, pathogen.directory)
        return run

    def launch(self, run: Run, directory: Path) -> Launched:
        """Submit the run's job."""
        bucket = self._bucket()
        assert run.agent is not None
        request = JobRequest(
            queue=run.queue,
            definition=run.job_definition,
            name=run.id,
            command=bootstrap.command(run.agent),
            environment={RUN_VARIABLE: f"{bucket.url}/{keys.run(run.id).rstrip('/')}"},
            cpus=run.cpus,
            memory_mib=run.memory_mib,
            image=run.image,
            tags=self._tags(run, bucket),
        )
        try:
            job_id = submit(self._aws.batch, request, time.sleep)
        except UnreachableError:
            raise  # The job may exist, and would then need its environment.
        except UserError:
            self._forget_environment(run, bucket)
            raise
        run = replace(run, job_id=job_id)
        self._note(run, directory)
        launched = Launched(run, job_id, bucket, is_new=True)
        with leading_back(self.attach_command(launched, directory)):
            runs.write_record(run, bucket)
        return launched

    def attach(self, job_id: str) -> Launched:
        """Return the run of a job, or of a run's own id, wherever it was started from."""
        entry = self._state.ledger.by_job(job_id) or self._state.ledger.read(job_id)
        if entry is not None and entry.run.job_id is not None:
            job_id = entry.run.job_id
        try:
            url = _run_url(describe(self._aws.batch, job_id))
            is_forgotten = False
        except UnknownJobError:
            if entry is None:
                raise
            url = f"{entry.bucket}/{keys.run(entry.run.id).rstrip('/')}"
            is_forgotten = True
        bucket_url, _, run_id = url.rpartition(f"/{keys.RUNS}")
        bucket = self._aws.bucket(BucketUrl.parse(bucket_url))
        run = runs.read_record(run_id, bucket)
        return Launched(run, job_id, bucket, is_forgotten=is_forgotten)

    def watch(
        self, launched: Launched, interrupts: Interrupts, again: str, *, cancel: bool = False
    ) -> Iterator[Event]:
        """Yield what happens to the job until it is over; *cancel* it first, if told to.

        *again* is the command line that takes the watching up. Raises ``Detach`` or
        ``StopWaiting`` when a signal asks for it.
        """
        kept = KeptLog(launched.bucket, launched.run.id)
        if launched.is_forgotten:
            yield from _kept_lines(kept, Attempts.of(launched.run.id, launched.bucket))
            return
        if cancel:
            with leading_back(again):
                interrupts.cancel()
        clock = time.monotonic
        events = follow(
            launched.job_id,
            batch=self._aws.batch,
            clock=clock,
            wait=interrupts.wait,
            reattach=again,
            logs=JobLogs(self._aws.logs, kept, clock=clock, now=_now),
            diagnosis=Diagnosis(self._aws.batch, clock),
            just_submitted=launched.is_new,
        )
        with interrupts.installed():
            try:
                yield from events
            except UnknownJobError:
                # Forgotten while this computer slept, say; the bucket remembers longer.
                if not Attempts.of(launched.run.id, launched.bucket).results:
                    raise

    def interrupts(self, launched: Launched, *, detach_on_interrupt: bool) -> Interrupts:
        """Return what signals do to this job."""
        return Interrupts(
            cancel=lambda: cancel(self._aws.batch, launched.job_id, f"Cancelled by {_user()}"),
            tell=self._ui.say,
            on_terminal=sys.stdin is not None and sys.stdin.isatty(),
            detach_on_interrupt=detach_on_interrupt,
        )

    def outcome(self, launched: Launched, job: Job | None) -> Outcome:
        """Return how a run ended; *job* is the last that was heard of it.

        One that is not over has been forgotten by AWS Batch since.
        """
        self._forget_environment(launched.run, launched.bucket)
        job = job if job is not None and job.is_over else None
        return outcome_of(job, Attempts.of(launched.run.id, launched.bucket))

    def bring_back(
        self,
        launched: Launched,
        outcome: Outcome,
        pathogen: Pathogen,
        wanted: bool | tuple[str, ...],
    ) -> Downloaded | None:
        """Write the new and changed files that are *wanted*; None when the job stored nothing."""
        run, bucket = launched.run, launched.bucket
        output = outcome.attempts.last_output(run.id, bucket)
        if output is None:
            return None
        base = self._input(run, bucket, pathogen.root)
        cache = self._state.stat_cache(pathogen.root)
        with self._ui.progress() as progress:
            downloaded = download(
                output,
                base,
                bucket,
                pathogen.root,
                wanted=download_filter(wanted),
                run_id=run.id,
                cache=cache,
                progress=progress,
            )
        self._state.keep_stat_cache(pathogen.root, cache)
        self._state.keep_manifest(pathogen.root, bucket.url, "output", output)
        return downloaded

    def _input(self, run: Run, bucket: Transport, root: Path) -> Manifest:
        """Return what the job began with; the bucket need not be asked where this was kept."""
        digest = run.input_manifest_digest
        kept = self._state.manifest(root, bucket.url, "input", digest)
        return kept or codec.retrieve(bucket, keys.input_manifest(run.id), digest)

    def attach_command(self, launched: Launched, directory: Path | None) -> str:
        """Return the command line that takes the job up again."""
        words = ["nextstrain", "build", "--aws-batch"]
        words += ["--sandbox"] if self._settings.sandbox.value else []
        words += ["--attach", launched.job_id]
        words += [str(directory)] if directory is not None else ["--no-download"]
        return shlex.join(words)

    def _pause_for_pruning(self) -> Callable[[float], None]:
        said: list[bool] = []

        def pause(seconds: float) -> None:
            if not said:
                said.append(True)
                self._ui.say("Somebody is pruning the bucket; waiting for that to end.")
            time.sleep(seconds)

        return pause

    def _tags(self, run: Run, bucket: Transport) -> dict[str, str]:
        """Return the tags of the run's job: none, unless a setting asks for them."""
        if not self._settings.tag_jobs.value:
            return {}
        try:
            return job_tags.tags_of(run, self._aws.client("sts"))
        except UserError:
            self._forget_environment(run, bucket)
            raise

    def _forget_environment(self, run: Run, bucket: Transport) -> None:
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
            self._ui.warn(
                f"The values given with --env stay in the bucket until they expire there. {why}"
            )

    def _bucket(self) -> Transport:
        return self._aws.bucket(self._settings.required_bucket)

    def _note(self, run: Run, directory: Path) -> None:
        bucket = str(self._settings.required_bucket)
        entry = LedgerEntry(run, bucket, self._aws.region, str(directory), self._aws.endpoint)
        self._state.ledger.write(entry)


def _run_url(job: Job) -> str:
    """Return where the job's run lies, or raise ``JobError`` for a job that is not ours."""
    if job.run_url:
        return job.run_url
    raise JobError(
        f"The job {job.id} is not a run of this program: its environment has no {RUN_VARIABLE}."
        "\n\nJobs that the reference client has launched cannot be attached to in this version."
        " Attach with the program that launched it."
    )


def _kept_lines(kept: KeptLog, attempts: Attempts) -> Iterator[LogLine]:
    """Yield the whole log that a run left in the bucket."""
    for number in sorted(attempts.results):
        missing = kept.missing(number, Seen())
        for text in missing.lines if missing else ():
            yield LogLine(text, None, number)


def _user() -> str:
    try:
        import getpass

        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"


def _now() -> datetime:
    return datetime.now(UTC)
