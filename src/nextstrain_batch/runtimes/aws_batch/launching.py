"""From a build's files in the bucket to its job: the run's record, and the submission."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from nextstrain_batch import __version__, job_tags, runs
from nextstrain_batch.agent import bootstrap, bundle
from nextstrain_batch.config import BucketUrl
from nextstrain_batch.errors import JobError, UnreachableError, UserError
from nextstrain_batch.job import RUN_VARIABLE, UnknownJobError, describe
from nextstrain_batch.runs import LedgerEntry, Run
from nextstrain_batch.runtimes.aws_batch.context import Launched, attach_command, now, user
from nextstrain_batch.store import codec, keys
from nextstrain_batch.submit import JobRequest, submit
from nextstrain_batch.watch import leading_back

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.job import Job
    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.aws_batch.context import Batch
    from nextstrain_batch.runtimes.options import BuildOptions
    from nextstrain_batch.store.transport import Transport
    from nextstrain_batch.upload import Uploaded


def record(
    batch: Batch,
    pathogen: Pathogen,
    program: tuple[str, ...],
    uploaded: Uploaded,
    options: BuildOptions,
) -> Run:
    """Write down the run, with all that its job needs to know."""
    bucket = batch.bucket
    agent = bundle.ensure(batch.state.agent)
    bundle.publish(agent, bucket, now)
    created = now()
    run_id = runs.new_id(pathogen.name, created, os.urandom(4).hex())
    digest = codec.publish(uploaded.manifest, bucket, keys.input_manifest(run_id))
    if options.environment:
        values = json.dumps(dict(options.environment)).encode()
        bucket.put(keys.environment(run_id), values)
    run = Run(
        id=run_id,
        created=created,
        pathogen=pathogen.name,
        working_directory=pathogen.working_directory,
        program=program,
        queue=batch.settings.queue.value,
        job_definition=batch.settings.job.value,
        input_manifest_digest=digest,
        image=options.image.value,
        cpus=batch.settings.cpus.value,
        memory_mib=batch.settings.memory_mib.value,
        has_environment=bool(options.environment),
        exclude_from_upload=options.exclude_from_upload,
        agent=agent.digest,
        user=user(),
        host=socket.gethostname(),
        client_version=__version__,
    )
    runs.write_record(run, bucket)
    _note(batch, run, pathogen.directory)
    return run


def launch(batch: Batch, run: Run, directory: Path) -> Launched:
    """Submit the run's job."""
    bucket = batch.bucket
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
        tags=_tags(batch, run, bucket),
    )
    try:
        job_id = submit(batch.aws.batch, request, time.sleep)
    except UnreachableError:
        raise  # The job may exist, and would then need its environment.
    except UserError:
        batch.forget_environment(run, bucket)
        raise
    run = replace(run, job_id=job_id)
    _note(batch, run, directory)
    with leading_back(attach_command(batch, job_id, directory)):
        runs.write_record(run, bucket)
    return Launched(run, job_id, bucket, is_new=True)


def attach(batch: Batch, job_id: str) -> Launched:
    """Return the run of a job, or of a run's own id, wherever it was started from."""
    entry = batch.state.ledger.by_job(job_id) or batch.state.ledger.read(job_id)
    if entry is not None and entry.run.job_id is not None:
        job_id = entry.run.job_id
    try:
        url = _run_url(describe(batch.aws.batch, job_id))
        is_forgotten = False
    except UnknownJobError:
        if entry is None:
            raise
        url = f"{entry.bucket}/{keys.run(entry.run.id).rstrip('/')}"
        is_forgotten = True
    bucket_url, _, run_id = url.rpartition(f"/{keys.RUNS}")
    bucket = batch.aws.bucket(BucketUrl.parse(bucket_url))
    run = runs.read_record(run_id, bucket)
    return Launched(run, job_id, bucket, is_forgotten=is_forgotten)


def _tags(batch: Batch, run: Run, bucket: Transport) -> dict[str, str]:
    """Return the tags of the run's job: none, unless a setting asks for them."""
    if not batch.settings.tag_jobs.value:
        return {}
    try:
        return job_tags.tags_of(run, batch.aws.client("sts"))
    except UserError:
        batch.forget_environment(run, bucket)
        raise


def _note(batch: Batch, run: Run, directory: Path) -> None:
    bucket = str(batch.settings.required_bucket)
    entry = LedgerEntry(run, bucket, batch.aws.region, str(directory), batch.aws.endpoint)
    batch.state.ledger.write(entry)


def _run_url(job: Job) -> str:
    """Return where the job's run lies, or raise ``JobError`` for a job that is not ours."""
    if job.run_url:
        return job.run_url
    raise JobError(
        f"The job {job.id} is not a run of this program: its environment has no {RUN_VARIABLE}."
        "\n\nJobs that the reference client has launched cannot be attached to in this version."
        " Attach with the program that launched it."
    )
