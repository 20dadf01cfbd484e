"""From a build's files in the bucket to its job: the run's record, and the submission."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from nextstrain_batch import __version__, job_tags, job_variables, runs
from nextstrain_batch.agent import bootstrap, bundle
from nextstrain_batch.aws_errors import paragraphs
from nextstrain_batch.errors import (
    LocalFilesError,
    UserError,
)
from nextstrain_batch.interrupts import Interrupts, saying
from nextstrain_batch.job import cancel
from nextstrain_batch.runs import LedgerEntry, Run
from nextstrain_batch.runtimes.aws_batch.context import (
    Launched,
    now,
    user,
)
from nextstrain_batch.runtimes.aws_batch.way_back import WayBack, before_there_is_a_job
from nextstrain_batch.store import codec, keys
from nextstrain_batch.submit import JobRequest, MayExistError, submit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.aws_batch.context import Batch
    from nextstrain_batch.runtimes.options import BuildOptions
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
    try:
        _note(batch, run, pathogen.directory)
    except LocalFilesError as error:
        # All is in the bucket: a full disk here is no reason not to build.
        batch.ui.warn(str(error).partition("\n")[0])
    return run


def launch(
    batch: Batch, run: Run, environment: Mapping[str, str | None], directory: Path
) -> Launched:
    """Submit the run's job, which finds the values of *environment* in the bucket.

    They stay there only if the job exists, or may. Every error that leaves it in existence, and
    ``KeyboardInterrupt``, says how to take it up. Trouble with the bucket is not ridden out:
    interrupts wait meanwhile.
    """
    way_back = WayBack.to(batch, run.id, directory)
    find_out = f"To find out, and to take it up:\n\n    {way_back.attach}"
    if environment:
        with before_there_is_a_job():
            _put_environment(batch, run, environment)
    with saying(f"The job may exist. {find_out}"):
        try:
            job_id = _submitted(batch, run)
        except MayExistError as error:
            error.args = (paragraphs(str(error), find_out),)
            raise
        run = replace(run, job_id=job_id)
        _keep_job_id(batch, run, job_id, directory)
    return Launched(run, job_id, batch.bucket, is_new=True)


def _put_environment(batch: Batch, run: Run, environment: Mapping[str, str | None]) -> None:
    bucket = batch.bucket.at_once
    try:
        bucket.put(keys.environment(run.id), json.dumps(dict(environment)).encode())
    except UserError:
        batch.forget_environment(run, bucket)  # It may have arrived.
        raise


def _submitted(batch: Batch, run: Run) -> str:
    """Return the id of the run's new job."""
    try:
        return submit(batch.aws.batch, _request(batch, run), time.sleep)
    except MayExistError:
        raise  # Its job would need the values of its environment.
    except UserError:
        batch.forget_environment(run, batch.bucket.at_once)
        raise


def _keep_job_id(batch: Batch, run: Run, job_id: str, directory: Path) -> None:
    """Write the run down again, now that it has a job.

    Where that fails it is said, and the job is watched all the same: it is found by its run's id,
    too.
    """
    notes: tuple[Callable[[], None], ...] = (
        lambda: _note(batch, run, directory),  # First, as it is quick.
        lambda: runs.write_record(run, batch.bucket.at_once),
    )
    with WayBack.to(batch, job_id, directory).while_it_runs():
        for note in notes:
            try:
                note()
            except UserError as error:
                why = str(error).partition("\n")[0]
                batch.ui.warn(f"{why} The job does not need that; its id is {job_id}.")


def _request(batch: Batch, run: Run) -> JobRequest:
    assert run.agent is not None
    url = f"{batch.bucket.url}/{keys.run(run.id).rstrip('/')}"
    tagged = batch.settings.tag_jobs.value
    return JobRequest(
        queue=run.queue,
        definition=run.job_definition,
        name=run.id,
        command=bootstrap.command(run.agent),
        environment={job_variables.RUN: url, job_variables.REGION: batch.aws.region},
        cpus=run.cpus,
        memory_mib=run.memory_mib,
        image=run.image,
        tags=job_tags.tags_of(run, batch.aws.client("sts")) if tagged else {},
    )


def interrupts_of(
    batch: Batch, job_id: Callable[[], str], *, detach_on_interrupt: bool
) -> Interrupts:
    """Return what signals do to a job; its id is asked for when it is to be cancelled."""
    return Interrupts(
        cancel=lambda: cancel(batch.aws.batch, job_id(), f"Cancelled by {user()}"),
        tell=batch.ui.say,
        on_terminal=sys.stdin is not None and sys.stdin.isatty(),
        detach_on_interrupt=detach_on_interrupt,
    )


def _note(batch: Batch, run: Run, directory: Path) -> None:
    bucket = str(batch.settings.required_bucket)
    entry = LedgerEntry(run, bucket, batch.aws.region, str(directory), batch.aws.endpoint)
    batch.state.ledger.write(entry)
