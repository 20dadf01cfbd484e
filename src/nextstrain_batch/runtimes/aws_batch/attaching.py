"""From the id of a job, or of its run, back to both, wherever the job was started from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from nextstrain_batch import job_variables, runs
from nextstrain_batch.aws_errors import paragraphs
from nextstrain_batch.config import BucketUrl
from nextstrain_batch.errors import AccessDeniedError, JobError, MissingObjectError
from nextstrain_batch.job import UnknownJobError, describe
from nextstrain_batch.outcome import Attempts
from nextstrain_batch.run_ends import is_over
from nextstrain_batch.runtimes.aws_batch.context import Launched, now
from nextstrain_batch.store import keys
from nextstrain_batch.submit import find

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from nextstrain_batch.job import Job
    from nextstrain_batch.runs import LedgerEntry, Run
    from nextstrain_batch.runtimes.aws_batch.context import Batch
    from nextstrain_batch.store.patient import Patient
    from nextstrain_batch.store.transport import Transport

NEW = timedelta(minutes=10)
"""For so long after a run was recorded, AWS Batch may not know its job yet."""


def attach(batch: Batch, name: str, clock: Callable[[], datetime] = now) -> Launched:
    """Return the run of a job, by the id of either, wherever it was started from.

    Raises ``UnknownJobError`` for a job that AWS Batch does not know, unless its run is over, so
    that Batch has forgotten it, or new, so that Batch may not know it yet.
    """
    entry = batch.state.ledger.by_job(name) or batch.state.ledger.read(name)
    url = _url(entry.bucket, entry.run.id) if entry else None
    job_id = entry.run.job_id if entry else None
    if job_id is None and url is None and not keys.is_ours(keys.run_record(name)):
        job_id = name
    if job_id is None:
        url = url or _url(str(batch.settings.required_bucket), name)
        job_id = _job_of(batch, *_record(batch, url))
    try:
        job = describe(batch.aws.batch, job_id)
    except UnknownJobError as error:
        if url is None:
            raise
        run, bucket = _record(batch, url)
        if is_over(run, Attempts.of(run.id, bucket), clock()):
            return Launched(run, job_id, bucket, is_over=True, is_forgotten=True)
        elsewhere = _elsewhere(batch, entry) if entry else None
        if elsewhere is None and clock() - run.created < NEW:
            return Launched(run, job_id, bucket, is_new=True)
        error.args = (paragraphs(elsewhere, str(error)),)
        raise
    run, bucket = _record(batch, _run_url(job))
    return Launched(run, job_id, bucket, is_over=job.is_over)


def _elsewhere(batch: Batch, entry: LedgerEntry) -> str | None:
    """Say that the run was submitted to another AWS than the one asked now, if it was."""
    if entry.region != batch.aws.region:
        return (
            f"The run {entry.run.id} was submitted in the region {entry.region}, and the region"
            f" asked now is {batch.aws.region}. AWS_REGION={entry.region} asks there."
        )
    if entry.endpoint and not batch.aws.endpoint:
        return f"The run {entry.run.id} was submitted to {entry.endpoint}; to a sandbox, perhaps?"
    return None


def _url(bucket: str, run_id: str) -> str:
    return f"{bucket}/{keys.run(run_id).rstrip('/')}"


def _record(batch: Batch, url: str) -> tuple[Run, Patient]:
    """Return the run at *url*, and its bucket."""
    bucket_url, _, run_id = url.rpartition(f"/{keys.RUNS}")
    bucket = batch.bucket_at(BucketUrl.parse(bucket_url))
    try:
        return runs.read_record(run_id, bucket), bucket
    except MissingObjectError as error:
        raise MissingObjectError(
            f"The run {run_id} is not in the bucket {bucket.url}.\n\n"
            "Likely causes: it was removed by `nextstrain storage prune`; it expired (the bucket"
            " keeps what a run stored for 30 days, unless it was set up otherwise); or, where it"
            " was named by hand, its id is mistyped or another bucket was meant"
            " (--aws-batch-s3-bucket).\n\n"
            "What has been removed cannot be brought back: build again."
        ) from error


def _job_of(batch: Batch, run: Run, bucket: Transport) -> str:
    """Return the id of a run's job, even if it was lost when the job was submitted."""
    if run.job_id is not None:
        return run.job_id
    try:
        job_id = find(batch.aws.batch, run.queue, run.id)
    except AccessDeniedError as error:
        error.args = (
            paragraphs(
                f"The run {run.id} has not noted its job: the submission was interrupted or failed,"
                " so the job may exist or not.",
                str(error),
                f"Whoever may list jobs finds it by the name {run.id} in the queue {run.queue};"
                " then attach to it by its own id.",
            ),
        )
        raise
    if job_id is None:
        raise JobError(
            f"AWS Batch has no job of the run {run.id} in the queue {run.queue}.\n\n"
            "Its submission was interrupted or failed; or the job ended long ago: Batch forgets a"
            " finished job after some days.\n\n"
            "Build again. What has been sent is not sent a second time."
        )
    runs.write_record(replace(run, job_id=job_id), bucket)
    return job_id


def _run_url(job: Job) -> str:
    """Return where the job's run lies, or raise ``JobError`` for a job that is not ours."""
    if job.run_url:
        return job.run_url
    raise JobError(
        f"The job {job.id} is not a run of this program: its environment has no"
        f" {job_variables.RUN}.\n\n"
        "Jobs that the reference client has launched cannot be attached to in this version. Attach"
        " with the program that launched it."
    )
