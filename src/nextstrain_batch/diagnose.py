"""Why a job waits, in plain words and with the next step.

Batch's reasons for RUNNABLE come and go while machines start from none, so one counts only once
it has stood for some minutes; and none is ever a ground to end a job. What AWS allows the user to
look at beyond the job (the queue; optionally its compute environments and the jobs ahead) is
looked at, rarely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.aws_errors import explaining
from nextstrain_batch.errors import AccessDeniedError, CredentialsError, UserError
from nextstrain_batch.events import Notice
from nextstrain_batch.job import region_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nextstrain_batch.clients import BatchClient
    from nextstrain_batch.job import Job

STANDS = 180.0
"""Seconds for which a reason must have stood before it counts."""
LONG = 300.0
"""Seconds of waiting after which the queue is looked at."""
LOOK_AGAIN = 600.0
"""Seconds between two looks at the queue."""
LONG_START = 600.0
"""Seconds in STARTING after which something is likely to be wrong."""

_SMALLER = "Ask for less (--cpus, --memory, --aws-batch-cpus, --aws-batch-memory)"
_ADMIN = "whoever administers the AWS account"

# The beginning of Batch's reason, what it means, and what to do.
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "AWS has no free machines of the kinds that the compute environment uses.",
        (
            "It usually passes. If it does not, more instance types, more availability zones or"
            f" on-demand instead of spot machines help; {_ADMIN} can add them."
        ),
    ),
    (
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "the compute environment's limit of vCPUs is smaller than what the job asks for.",
        f"{_SMALLER}, or ask {_ADMIN} to raise the environment's maximum of vCPUs.",
    ),
    (
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "no machine type of the compute environment has the CPUs and memory that the job asks for.",
        (
            f"{_SMALLER}: some memory of each machine is kept for itself. Or ask {_ADMIN} to add a"
            " bigger instance type."
        ),
    ),
    (
        "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "AWS Batch's own role lacks a permission that starting machines takes.",
        f"Ask {_ADMIN} to look at the compute environment's service role.",
    ),
    (
        "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
        "the compute environment asks for a machine configuration that EC2 does not offer.",
        f"Ask {_ADMIN} to look at its instance types, image and launch template.",
    ),
    (
        "ACTION_REQUIRED",
        "something in the compute environment has to be mended before the job can run.",
        f"Show this to {_ADMIN}.",
    ),
    (
        "UNDETERMINED",
        "AWS Batch does not know why.",
        (
            f"If it lasts, show this to {_ADMIN}: the compute environments and the service quotas"
            " of the account are the first things to look at."
        ),
    ),
    (
        "MISCONFIGURATION",
        "the queue or the compute environment is not set up as the job needs it.",
        f"Show this to {_ADMIN}.",
    ),
)


def waiting_reason(reason: str) -> str:
    """Return what Batch's reason for RUNNABLE means, the next step, and the reason itself."""
    for beginning, meaning, step in _REASONS:
        if reason.startswith(beginning):
            return f"The job waits: {meaning} {step} (AWS Batch's reason: {reason})"
    return f"The job waits. AWS Batch's reason: {reason}"


class Diagnosis:
    """Follows a job through its waiting and says what it learns, each thing once.

    *clock* counts seconds.
    """

    def __init__(self, batch: BatchClient, clock: Callable[[], float]) -> None:
        self._batch = batch
        self._clock = clock
        self._status = ""
        self._since = clock()
        self._reason: str | None = None
        self._reason_since = clock()
        self._look_due = 0.0
        self._said: set[str] = set()

    def update(self, job: Job) -> list[Notice]:
        """Take note of the job's state, and return what is new to say about it."""
        now = self._clock()
        if job.status != self._status:
            self._status, self._since = job.status, now
            self._look_due = now + LONG
        if job.reason != self._reason:
            self._reason, self._reason_since = job.reason, now
        return [Notice(text) for text in self._remarks(job, now) if self._is_new(text)]

    def _remarks(self, job: Job, now: float) -> Iterator[str]:
        if job.cancel_requested:
            return
        if job.status == "STARTING" and now - self._since >= LONG_START:
            yield (
                f"The job has been starting for {LONG_START / 60:.0f} minutes. Big images take"
                " long to pull; else the machine may not reach the image's registry"
                f" ({job.image}), or its disk may be full. Ask {_ADMIN} to look at it."
            )
        if job.status != "RUNNABLE":
            return
        if job.reason and now - self._reason_since >= STANDS:
            yield waiting_reason(job.reason)
        if now >= self._look_due:
            self._look_due = now + LOOK_AGAIN
            yield from self._look(job)

    def _is_new(self, text: str) -> bool:
        new = text not in self._said
        self._said.add(text)
        return new

    def _look(self, job: Job) -> Iterator[str]:
        """Look at the queue, its environments and the jobs ahead, as far as AWS lets us."""
        try:
            queue = self._queue(job.queue)
            if queue is None:
                yield f"The job's queue {_short(job.queue)} does not exist any more."
                return
            yield from _queue_remarks(queue)
            names = [one["computeEnvironment"] for one in queue.get("computeEnvironmentOrder", ())]
            yield from _environment_remarks(self._environments(names), job)
            yield from self._ahead(job)
        except AccessDeniedError as error:
            yield (
                f"To say more about why the job waits takes the permission {error.action},"
                " which you do not have: it is in an optional policy. The job is fine without it."
            )
        except CredentialsError:
            raise
        except UserError:
            # It is only an explanation; trouble that lasts shows in the job's own state.
            return

    def _queue(self, queue: str) -> dict[str, Any] | None:
        with explaining("look at the job queue", region_of(self._batch)):
            answer = self._batch.describe_job_queues(jobQueues=[queue])
        return next(iter(answer.get("jobQueues", ())), None)

    def _environments(self, names: list[str]) -> list[dict[str, Any]]:
        if not names:
            return []
        with explaining("look at the compute environments", region_of(self._batch)):
            answer = self._batch.describe_compute_environments(computeEnvironments=names)
        return list(answer.get("computeEnvironments", ()))

    def _ahead(self, job: Job) -> Iterator[str]:
        with explaining("look at the jobs ahead", region_of(self._batch)):
            answer = self._batch.get_job_queue_snapshot(jobQueue=job.queue)
        jobs = (answer.get("frontOfQueue") or {}).get("jobs", [])
        for place, other in enumerate(jobs):
            if place and other.get("jobArn", "").endswith(f"/{job.id}"):
                yield f"Jobs that wait before this one in the queue: {place}."


def _queue_remarks(queue: dict[str, Any]) -> Iterator[str]:
    name = queue.get("jobQueueName", "")
    if queue.get("state") == "DISABLED":
        yield (
            f"The job queue {name} is disabled: jobs in it start once it is enabled again."
            f" Ask {_ADMIN}."
        )
    if queue.get("status") == "INVALID":
        reason = queue.get("statusReason")
        yield f"The job queue {name} is invalid: {reason}. Show this to {_ADMIN}."


def _environment_remarks(environments: list[dict[str, Any]], job: Job) -> Iterator[str]:
    for environment in environments:
        name = environment.get("computeEnvironmentName", "")
        if environment.get("state") == "DISABLED":
            yield f"The compute environment {name} is disabled. Ask {_ADMIN} to enable it."
        if environment.get("status") == "INVALID":
            yield (
                f"The compute environment {name} is invalid: {environment.get('statusReason')}."
                f" Show this to {_ADMIN}."
            )
    limits = [
        limit
        for one in environments
        if (limit := (one.get("computeResources") or {}).get("maxvCpus")) is not None
    ]
    if job.cpus and limits and job.cpus > max(limits):
        yield (
            f"The job asks for {job.cpus} vCPUs, and the queue's compute environments have"
            f" {max(limits)} at most. {_SMALLER}, or ask {_ADMIN} to raise the maximum."
        )


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]
