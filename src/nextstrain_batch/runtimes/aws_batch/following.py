"""The last steps of a build on AWS Batch: its job until that is over, its end, its results."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nextstrain_batch.diagnose import Diagnosis
from nextstrain_batch.download import Downloaded, download
from nextstrain_batch.events import LogLine, Notice
from nextstrain_batch.job import UnknownJobError
from nextstrain_batch.kept_log import KeptLog, Seen
from nextstrain_batch.logs import JobLogs
from nextstrain_batch.outcome import Attempts, Outcome, outcome_of
from nextstrain_batch.run_ends import is_over
from nextstrain_batch.runtimes.aws_batch.context import now
from nextstrain_batch.store import codec, keys
from nextstrain_batch.wanted import Wanted
from nextstrain_batch.watch import follow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nextstrain_batch.events import Event
    from nextstrain_batch.interrupts import Interrupts
    from nextstrain_batch.job import Job
    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runs import Run
    from nextstrain_batch.runtimes.aws_batch.context import Batch, Launched
    from nextstrain_batch.store.manifest import Manifest
    from nextstrain_batch.store.transport import Transport


def watch(
    batch: Batch,
    launched: Launched,
    interrupts: Interrupts,
    *,
    cancel: bool = False,
    with_logs: bool = True,
) -> Iterator[Event]:
    """Yield what happens to the job until it is over; *cancel* it first, if told to.

    Raises ``Detach`` or ``StopWaiting`` when a signal asks for it.
    """
    if launched.is_forgotten:
        if with_logs:
            yield from _kept_lines(launched)
        return
    # The job's state comes first, and signals: nothing here waits until the bucket answers.
    bucket = launched.bucket.at_once
    if cancel and not launched.is_over:
        interrupts.cancel()
    clock = time.monotonic
    kept = KeptLog(bucket, launched.run.id)
    events = follow(
        launched.job_id,
        batch=batch.aws.batch,
        clock=clock,
        wait=interrupts.wait,
        logs=JobLogs(batch.aws.logs, kept, clock=clock, now=now) if with_logs else None,
        diagnosis=Diagnosis(batch.aws.batch, clock),
        just_submitted=launched.is_new,
    )
    with interrupts.installed():
        try:
            yield from events
        except UnknownJobError:
            # Forgotten while this computer slept, say; the bucket remembers longer.
            if not is_over(launched.run, Attempts.of(launched.run.id, bucket), now()):
                raise


def end(batch: Batch, launched: Launched, job: Job | None) -> Outcome:
    """Return how a run ended; *job* is the last that was heard of it.

    One that is not over has been forgotten by AWS Batch since.
    """
    batch.forget_environment(launched.run, launched.bucket)
    job = job if job is not None and job.is_over else None
    return outcome_of(job, Attempts.of(launched.run.id, launched.bucket))


def bring_back(
    batch: Batch,
    launched: Launched,
    outcome: Outcome,
    pathogen: Pathogen,
    wanted: bool | tuple[str, ...],
) -> Downloaded | None:
    """Write the new and changed files that are *wanted*; None when the job stored nothing."""
    run, bucket = launched.run, launched.bucket
    if not outcome.attempts.manifests:
        return None  # Nor is it of interest what was sent.
    sent = _input(batch, run, bucket, pathogen.root)
    output = outcome.attempts.last_output(run.id, bucket, like=sent)
    assert output is not None
    chosen = Wanted(wanted, output, sent, pathogen.root)
    cache = batch.state.stat_cache(pathogen.root)
    with batch.ui.progress() as progress:
        downloaded = download(
            chosen,
            sent,
            bucket,
            pathogen.root,
            run_id=run.id,
            cache=cache,
            earlier=lambda: batch.state.manifest(pathogen.root, bucket.url, "output"),
            progress=progress,
        )
    batch.state.keep_stat_cache(pathogen.root, cache)
    batch.state.keep_manifest(pathogen.root, bucket.url, "output", output)
    return downloaded


def _input(batch: Batch, run: Run, bucket: Transport, root: Path) -> Manifest:
    """Return what the job began with; the bucket need not be asked where this was kept."""
    digest = run.input_manifest_digest
    kept = batch.state.manifest(root, bucket.url, "input", digest)
    return kept or codec.retrieve(bucket, keys.input_manifest(run.id), digest)


def _kept_lines(launched: Launched) -> Iterator[Event]:
    """Yield the whole log that a run left in the bucket."""
    kept = KeptLog(launched.bucket, launched.run.id)
    for number in Attempts.of(launched.run.id, launched.bucket).numbers:
        missing = kept.missing(number, Seen())
        for text in missing.lines if missing else ():
            yield LogLine(text, None, number)
    if complaint := kept.complaint():
        yield Notice(complaint)
