"""A Batch job as AWS describes it, and its end on request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nextstrain_batch import job_variables
from nextstrain_batch.aws_errors import explaining, paragraphs
from nextstrain_batch.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextstrain_batch.clients import BatchClient

OVER = ("SUCCEEDED", "FAILED")
DEFAULT_LOG_GROUP = "/aws/batch/job"
DESCRIBED_AT_ONCE = 100


class UnknownJobError(JobError):
    """AWS Batch does not know the job: it never did, or has forgotten it since."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a job's container."""

    number: int
    """Counted from 1."""
    exit_code: int | None
    """Of the program; None while it runs, or where it did not end by itself."""
    reason: str | None
    """Why it ended, by Batch: ``Essential container in task exited``, ``Host EC2 …``."""
    container_reason: str | None
    """Why it ended, by the container engine: ``OutOfMemoryError: …``, ``CannotPull…``."""
    log_stream: str | None
    started: datetime | None
    stopped: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment. Instants are aware and in UTC, by AWS's clock."""

    id: str
    name: str
    status: str
    """SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED or FAILED."""
    reason: str | None
    """Batch's reason for the status."""
    container_reason: str | None
    exit_code: int | None
    """Of the last attempt that has one."""
    attempts: tuple[Attempt, ...]
    """In their order; the running one may be missing."""
    log_group: str | None
    """None where the job does not log to CloudWatch."""
    log_stream: str | None
    """Of the running attempt, else of the last."""
    run_url: str | None
    """``s3://bucket/prefix/runs/<run-id>``; None for jobs that we did not make."""
    environment: Mapping[str, str]
    queue: str
    """Its ARN, or name."""
    definition: str
    """Its ARN, or name with revision."""
    image: str | None
    cpus: int | None
    memory_mib: int | None
    timeout: int | None
    """Of an attempt, in seconds."""
    cancel_requested: bool
    """Someone asked for its end; it may take half a minute to come."""
    created: datetime | None
    started: datetime | None
    stopped: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether the job has reached a state that it does not leave."""
        return self.status in OVER

    @property
    def succeeded(self) -> bool:
        """Whether the job has ended well."""
        return self.status == "SUCCEEDED"

    @property
    def attempt_number(self) -> int:
        """The number of the attempt that runs or is waited for, or of the last one."""
        streams = [attempt.log_stream for attempt in self.attempts]
        if self.is_over or (self.log_stream in streams and self.status == "RUNNING"):
            return max(len(self.attempts), 1)
        return len(self.attempts) + 1


def describe(batch: BatchClient, job_id: str) -> Job:
    """Ask AWS for a job. Raises ``UnknownJobError`` and the errors of ``aws_errors``."""
    found = describe_all(batch, [job_id])
    if job_id in found:
        return found[job_id]
    region = region_of(batch)
    raise UnknownJobError(
        paragraphs(
            f"AWS Batch does not know the job {job_id}"
            + (f" in the region {region}." if region else "."),
            "Likely causes: the id is mistyped; the job belongs to another region"
            " (AWS_DEFAULT_REGION) or account (AWS_PROFILE); or it ended long ago: Batch forgets"
            " a finished job after some days, sometimes after one.",
            "What a finished run stored stays in the bucket until its objects expire, usually for"
            " 30 days. --attach takes the run's id as well, which AWS Batch need not know:"
            " `nextstrain storage usage` lists the runs that are there.",
        )
    )


def describe_all(batch: BatchClient, job_ids: Sequence[str]) -> dict[str, Job]:
    """Ask AWS for any number of jobs. Those that it does not know are missing from the answer."""
    jobs: dict[str, Job] = {}
    for start in range(0, len(job_ids), DESCRIBED_AT_ONCE):
        ids = list(job_ids[start : start + DESCRIBED_AT_ONCE])
        what = f"the job {ids[0]}" if len(ids) == 1 else "the jobs"
        with explaining(f"ask AWS Batch about {what}", region_of(batch)):
            answer = batch.describe_jobs(jobs=ids)
        jobs.update((job["jobId"], _job(job)) for job in answer.get("jobs", ()))
    return jobs


def cancel(batch: BatchClient, job_id: str, reason: str) -> None:
    """Ask AWS to end a job, whatever its state; one that has ended is no error.

    Its program gets SIGTERM and 30 seconds. *reason* is kept as the job's reason.
    """
    with explaining(f"cancel the job {job_id}", region_of(batch)):
        batch.terminate_job(jobId=job_id, reason=reason)


def region_of(client: object) -> str | None:
    """Return the region that a botocore client speaks to."""
    name = getattr(getattr(client, "meta", None), "region_name", None)
    return name if isinstance(name, str) else None


def _job(answer: Mapping[str, Any]) -> Job:
    container = answer.get("container") or {}
    attempts = tuple(
        _attempt(number, attempt) for number, attempt in enumerate(answer.get("attempts") or (), 1)
    )
    codes = [attempt.exit_code for attempt in attempts if attempt.exit_code is not None]
    environment = {
        variable["name"]: variable.get("value", "") for variable in container.get("environment", ())
    }
    streams = [attempt.log_stream for attempt in attempts if attempt.log_stream]
    return Job(
        id=answer["jobId"],
        name=answer.get("jobName", ""),
        status=answer["status"],
        reason=answer.get("statusReason"),
        container_reason=container.get("reason"),
        exit_code=container.get("exitCode", codes[-1] if codes else None),
        attempts=attempts,
        log_group=_log_group(container.get("logConfiguration")),
        log_stream=container.get("logStreamName") or (streams[-1] if streams else None),
        run_url=environment.get(job_variables.RUN),
        environment=environment,
        queue=answer.get("jobQueue", ""),
        definition=answer.get("jobDefinition", ""),
        image=container.get("image"),
        cpus=_resource(container, "VCPU", "vcpus"),
        memory_mib=_resource(container, "MEMORY", "memory"),
        timeout=(answer.get("timeout") or {}).get("attemptDurationSeconds"),
        cancel_requested=bool(answer.get("isTerminated") or answer.get("isCancelled")),
        created=_instant(answer.get("createdAt")),
        started=_instant(answer.get("startedAt")),
        stopped=_instant(answer.get("stoppedAt")),
    )


def _attempt(number: int, answer: Mapping[str, Any]) -> Attempt:
    container = answer.get("container") or {}
    return Attempt(
        number=number,
        exit_code=container.get("exitCode"),
        reason=answer.get("statusReason"),
        container_reason=container.get("reason"),
        log_stream=container.get("logStreamName"),
        started=_instant(answer.get("startedAt")),
        stopped=_instant(answer.get("stoppedAt")),
    )


def _log_group(configuration: Mapping[str, Any] | None) -> str | None:
    if not configuration:
        return DEFAULT_LOG_GROUP
    if configuration.get("logDriver", "awslogs") != "awslogs":
        return None
    return str((configuration.get("options") or {}).get("awslogs-group") or DEFAULT_LOG_GROUP)


def _resource(container: Mapping[str, Any], kind: str, old_name: str) -> int | None:
    for requirement in container.get("resourceRequirements") or ():
        if requirement.get("type") == kind:
            # Fargate knows fractions of a vCPU; whoever asks wants whole ones.
            return int(float(requirement["value"]))
    value = container.get(old_name)
    return int(value) if value else None


def _instant(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
