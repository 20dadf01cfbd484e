"""A request for a job becomes a job: exactly one, or an error that says why not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nextstrain_batch import job_variables
from nextstrain_batch.aws_errors import TRANSIENT, error_code, error_text, explaining, paragraphs
from nextstrain_batch.errors import AccessDeniedError, JobError, UnreachableError, UserError
from nextstrain_batch.image import definition_with_image, find_definition, no_such_definition
from nextstrain_batch.job import region_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nextstrain_batch.clients import BatchClient

LONGEST_OVERRIDES = 8192
"""Characters of JSON. Batch accepts more, and fails the job later."""

LOOKS = (1.0, 2.0, 4.0)
"""Seconds before each look for a job whose submission got no answer."""


class MayExistError(UnreachableError):
    """It cannot be told whether the job exists."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is asked of Batch. None leaves the choice to the job definition."""

    queue: str
    definition: str
    """A name, ``name:revision`` or an ARN."""
    name: str
    """Unique to the run: a lost submission is found again by it."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """The job is told besides how often it is started at most, where that is known."""
    cpus: int | None = None
    memory_mib: int | None = None
    image: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """With any, the submission takes ``batch:TagResource`` too."""


def submit(batch: BatchClient, request: JobRequest, wait: Callable[[float], object]) -> str:
    """Make the job and return its id.

    *wait* sleeps for some seconds. Raises ``JobError`` when the queue or the definition is not as
    needed, ``AccessDeniedError`` when AWS denies what it takes, and ``MayExistError`` when it
    cannot be told whether the job exists; after any other error there is none.
    """
    definition, attempts = request.definition, None
    if request.image is not None:
        found = definition_with_image(batch, definition, request.image)
        definition, attempts = found.name, found.attempts
    parameters = _parameters(request, definition, attempts)
    job_id = _submit_once(batch, request, parameters)
    if job_id is not None:
        return job_id
    try:
        job_id = _look(batch, request, wait) or _submit_once(batch, request, parameters)
    except UserError as error:
        raise _cannot_tell(request, str(error)) from error
    if job_id is None:
        raise _cannot_tell(request, "AWS did not answer properly a second time either.")
    return job_id


def check(batch: BatchClient, queue: str, definition: str) -> None:
    """Raise ``JobError`` where no job could be submitted: there is no such queue or definition.

    Whether there is enough for a job, only its submission tells; so it does of what AWS denies to
    look at, or does not answer now.
    """
    try:
        missing = _missing(batch, queue, definition)
    except (AccessDeniedError, *TRANSIENT):
        return
    if missing is not None:
        raise missing


def find(batch: BatchClient, queue: str, name: str) -> str | None:
    """Return the id of the job called *name* in *queue*; None when AWS Batch knows none.

    It forgets a job some days after its end. Raises the errors of ``aws_errors``.
    """
    with explaining("look for the job", region_of(batch)):
        answer = batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])
    # JOB_NAME ignores case.
    named = [job for job in answer.get("jobSummaryList", ()) if job["jobName"] == name]
    return str(named[0]["jobId"]) if named else None


def _parameters(request: JobRequest, definition: str, attempts: int | None) -> dict[str, Any]:
    environment = dict(request.environment)
    if attempts is not None:
        environment[job_variables.ATTEMPTS] = str(attempts)
    overrides: dict[str, Any] = {
        "command": list(request.command),
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "resourceRequirements": [
            {"type": kind, "value": str(value)}
            for kind, value in (("VCPU", request.cpus), ("MEMORY", request.memory_mib))
            if value is not None
        ],
    }
    overrides = {key: value for key, value in overrides.items() if value}
    length = len(json.dumps(overrides))
    if length > LONGEST_OVERRIDES:
        raise JobError(
            f"The job's command and environment take {length} characters, and AWS Batch takes"
            f" {LONGEST_OVERRIDES} at most."
        )
    parameters: dict[str, Any] = {
        "jobName": request.name,
        "jobQueue": request.queue,
        "jobDefinition": definition,
        "containerOverrides": overrides,
    }
    if request.tags:
        # Jobs themselves cost nothing: in bills, tags count on the tasks that run them.
        parameters |= {"tags": dict(request.tags), "propagateTags": True}
    return parameters


def _submit_once(
    batch: BatchClient, request: JobRequest, parameters: Mapping[str, Any]
) -> str | None:
    """Return the job's id, or None when it may have been made without our hearing of it.

    The connection was lost before AWS answered, or AWS failed on its own side (HTTP 5xx).
    """
    from botocore.exceptions import (
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        SSLError,
    )

    with explaining("submit the job", region_of(batch)):
        try:
            return str(batch.submit_job(**parameters)["jobId"])
        except ClientError as error:
            if error_code(error) == "ClientException":
                raise _refused(batch, request, error_text(error)) from error
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                return None
            raise
        except (EndpointConnectionError, ConnectTimeoutError):
            raise  # Nothing was sent.
        except SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise  # Nothing was sent either.
            return None
        except HTTPClientError:
            return None


def _look(batch: BatchClient, request: JobRequest, wait: Callable[[float], object]) -> str | None:
    """Look for a job that may or may not have been made; None when it is not there."""
    for seconds in LOOKS:
        wait(seconds)
        try:
            job_id = find(batch, request.queue, request.name)
        except TRANSIENT:
            if seconds == LOOKS[-1]:
                raise
            continue
        if job_id is not None:
            return job_id
    return None


def _cannot_tell(request: JobRequest, why: str) -> MayExistError:
    return MayExistError(
        paragraphs(
            "AWS did not answer, or failed, while the job was submitted, so it may exist or not.",
            why,
            f"It would be called {request.name}, in the queue {request.queue}.",
        )
    )


def _refused(batch: BatchClient, request: JobRequest, text: str) -> JobError:
    """Find out why AWS refused the job: its own sentences differ from release to release."""
    said = f"AWS said: {text}"
    try:
        missing = _missing(batch, request.queue, request.definition)
    except AccessDeniedError as error:
        return JobError(
            paragraphs(
                "AWS Batch refused the job.",
                said,
                f"To say more takes {error.action}, which AWS denies.",
            )
        )
    except UserError:
        return JobError(paragraphs("AWS Batch refused the job.", said))
    if missing is not None:
        return JobError(paragraphs(str(missing), said))
    return JobError(
        paragraphs(
            "AWS Batch refused the job.",
            f"The queue {request.queue} and the definition {request.definition} exist. Likely"
            " causes: more CPUs or memory than the definition or the queue allows, or a queue"
            " that is being changed.",
            said,
        )
    )


def _missing(batch: BatchClient, queue: str, definition: str) -> JobError | None:
    """Return the error for a queue that takes no jobs, or a definition that there is not."""
    region = region_of(batch)
    with explaining("look at the job queue", region):
        queues = batch.describe_job_queues(jobQueues=[queue]).get("jobQueues", [])
    if not queues:
        return _no_such_queue(queue, region)
    if queues[0].get("state") != "ENABLED":
        return JobError(
            f"The job queue {queue} is disabled, so it takes no jobs.\n\n"
            "Ask whoever administers the AWS account to enable it, or name another one with"
            " --aws-batch-queue."
        )
    if find_definition(batch, definition) is None:
        return no_such_definition(definition, region)
    return None


def _no_such_queue(queue: str, region: str | None) -> JobError:
    where = f" in the region {region}" if region else ""
    return JobError(
        f"There is no job queue {queue}{where}.\n\n"
        "Check its name (--aws-batch-queue, NEXTSTRAIN_AWS_BATCH_QUEUE, or `queue` under"
        " [aws-batch] in ~/.nextstrain/config) and the region (AWS_DEFAULT_REGION). If the"
        " account is not set up yet, `nextstrain setup aws-batch` does it."
    )
