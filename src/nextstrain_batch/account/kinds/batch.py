"""The job queue and the job definition."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import TAGS, Difference, Found, Kind, differences, is_ours
from nextstrain_batch.account.resources import JobDefinition, JobQueue

from .environments import wait_until_ready
from .waiting import is_going, lasting_status, patiently, wait_until_gone, wait_until_valid

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Place

STATE, STATUS, ORDER = "state", "status", "compute environments"


class JobQueueKind(Kind[JobQueue]):
    """The queue."""

    def summary(self, wanted: JobQueue) -> tuple[str, ...]:
        """Return what it will be."""
        return (f"on {', then '.join(wanted.environments)}",)

    def look(self, wanted: JobQueue, place: Place) -> Found | None:
        """Read it."""
        found = describe_queue(wanted.name, place)
        if found is None or found.get("status") == "DELETED":
            return None
        order = sorted(found["computeEnvironmentOrder"], key=lambda each: int(each["order"]))
        names = [each["computeEnvironment"].rpartition("/")[2] for each in order]
        lacks = differences(
            (STATE, found["state"], "ENABLED"),
            (STATUS, lasting_status(found), "VALID"),
            (ORDER, names, list(wanted.environments)),
        )
        going = found.get("status") == "DELETING"
        jobs = "" if going else _jobs(wanted.name, place)
        return Found(is_ours(found.get("tags")), lacks, holds=jobs, raw=found)

    def make(self, wanted: JobQueue, place: Place) -> None:
        """Make it, and wait until it is valid."""
        self._wait_for_environments(wanted, place)
        place.client("batch").create_job_queue(
            jobQueueName=wanted.name,
            state="ENABLED",
            priority=wanted.priority,
            computeEnvironmentOrder=_order(wanted, place),
            tags=TAGS,
        )
        self._wait(wanted, place)

    def mend(self, wanted: JobQueue, place: Place, found: Found) -> None:
        """Enable it, with the environments in order; make anew one that is being removed."""
        if is_going(found):
            self._wait_until_gone(wanted, place)
            self.make(wanted, place)
            return
        self._wait_for_environments(wanted, place)
        self._wait(wanted, place, may_be_invalid=True)
        order = {"computeEnvironmentOrder": _order(wanted, place)} if found.lacks(ORDER) else {}
        place.client("batch").update_job_queue(jobQueue=wanted.name, state="ENABLED", **order)
        self._wait(wanted, place)

    def remove(self, wanted: JobQueue, place: Place, found: Found) -> None:
        """Disable it, remove it, and wait until it is gone; AWS ends its jobs."""
        batch, name = place.client("batch"), wanted.name
        if not is_going(found):
            self._wait(wanted, place, may_be_invalid=True)
            batch.update_job_queue(jobQueue=name, state="DISABLED")
            self._wait(wanted, place, may_be_invalid=True)
            batch.delete_job_queue(jobQueue=name)
        self._wait_until_gone(wanted, place)

    @staticmethod
    def _wait_for_environments(wanted: JobQueue, place: Place) -> None:
        # AWS refuses a queue on one that is not valid, as after an interruption while it was made.
        for name in wanted.environments:
            wait_until_ready(name, place)

    @staticmethod
    def _wait(wanted: JobQueue, place: Place, *, may_be_invalid: bool = False) -> None:
        described = partial(describe_queue, wanted.name, place)
        title = f"{wanted.noun} {wanted.name}"
        wait_until_valid(described, title, place, may_be_invalid=may_be_invalid)

    @staticmethod
    def _wait_until_gone(wanted: JobQueue, place: Place) -> None:
        described = partial(describe_queue, wanted.name, place)
        wait_until_gone(described, f"{wanted.noun} {wanted.name}", place)


class JobDefinitionKind(Kind[JobDefinition]):
    """A definition is never changed: another revision takes its place."""

    def summary(self, wanted: JobDefinition) -> tuple[str, ...]:
        """Return what it will be."""
        attempts = (
            "1 attempt"
            if wanted.attempts == 1
            else f"up to {wanted.attempts} attempts when spot instances are taken away"
        )
        size = f"{wanted.vcpus} vCPUs, {wanted.memory_mib} MiB"
        return (f"image {wanted.image}, {size}", f"{attempts}, {wanted.timeout_seconds} s at most")

    def look(self, wanted: JobDefinition, place: Place) -> Found | None:
        """Read its newest active revision."""
        found = active_definitions(wanted.name, place)
        if not found:
            return None
        latest = max(found, key=lambda each: int(each["revision"]))
        return Found(is_ours(latest.get("tags")), _definition_lacks(latest, wanted, place))

    def make(self, wanted: JobDefinition, place: Place) -> None:
        """Register a revision."""
        batch = place.client("batch")
        patiently(
            lambda: batch.register_job_definition(
                jobDefinitionName=wanted.name,
                type="container",
                containerProperties=container_properties(wanted, place),
                retryStrategy=retry_strategy(wanted),
                timeout={"attemptDurationSeconds": wanted.timeout_seconds},
                tags=TAGS,
            ),
            place,
        )

    def mend(self, wanted: JobDefinition, place: Place, found: Found) -> None:  # noqa: ARG002
        """Register another revision."""
        self.make(wanted, place)

    def remove(self, wanted: JobDefinition, place: Place, found: Found) -> None:  # noqa: ARG002
        """Deregister the revisions that are ours."""
        for each in active_definitions(wanted.name, place):
            if is_ours(each.get("tags")):
                place.client("batch").deregister_job_definition(
                    jobDefinition=f"{wanted.name}:{each['revision']}"
                )


def describe_queue(name: str, place: Place) -> dict[str, Any] | None:
    """Return AWS's description of a queue, or None."""
    found = place.client("batch").describe_job_queues(jobQueues=[name])["jobQueues"]
    return dict(found[0]) if found else None


def active_definitions(name: str, place: Place) -> list[dict[str, Any]]:
    """Return AWS's descriptions of a definition's active revisions."""
    batch = place.client("batch")
    query = {"jobDefinitionName": name, "status": "ACTIVE"}
    found: list[dict[str, Any]] = []
    while True:
        answer = batch.describe_job_definitions(**query)
        found += answer["jobDefinitions"]
        if not answer.get("nextToken"):
            return found
        query["nextToken"] = answer["nextToken"]


def container_properties(wanted: JobDefinition, place: Place) -> dict[str, Any]:
    """Return the definition's ``containerProperties``."""
    return {
        "image": wanted.image,
        "command": [],
        "jobRoleArn": place.iam_arn(f"role/{wanted.role}"),
        "resourceRequirements": [
            {"type": "VCPU", "value": str(wanted.vcpus)},
            {"type": "MEMORY", "value": str(wanted.memory_mib)},
        ],
    }


def retry_strategy(wanted: JobDefinition) -> dict[str, Any]:
    """Return when a job is started again: after its host was lost, and for nothing else."""
    if wanted.attempts == 1:
        return {"attempts": 1}
    # What matches nothing would be tried again, so the last one matches all.
    return {
        "attempts": wanted.attempts,
        "evaluateOnExit": [
            {"onStatusReason": "Host EC2*", "action": "RETRY"},
            {"onReason": "*", "action": "EXIT"},
        ],
    }


def size(container: dict[str, Any], kind: str) -> str | None:
    """Return what a container asks of VCPU or MEMORY, also in the form of earlier years."""
    required = {each["type"]: str(each["value"]) for each in container["resourceRequirements"]}
    old = container.get({"VCPU": "vcpus", "MEMORY": "memory"}[kind])
    return required.get(kind) or (str(old) if old else None)


def _definition_lacks(
    found: dict[str, Any], wanted: JobDefinition, place: Place
) -> tuple[Difference, ...]:
    container = {"resourceRequirements": [], **found.get("containerProperties", {})}
    retry = found.get("retryStrategy") or {}
    return differences(
        ("image", _image(container.get("image")), _image(wanted.image)),
        ("command", container.get("command") or [], []),
        ("job role", container.get("jobRoleArn"), place.iam_arn(f"role/{wanted.role}")),
        ("vCPUs", size(container, "VCPU"), str(wanted.vcpus)),
        ("memory in MiB", size(container, "MEMORY"), str(wanted.memory_mib)),
        ("attempts", retry.get("attempts") or 1, wanted.attempts),
        ("retries", _retries(retry), _retries(retry_strategy(wanted))),
        (
            "time limit in seconds",
            (found.get("timeout") or {}).get("attemptDurationSeconds"),
            wanted.timeout_seconds,
        ),
        ("environment", [each["name"] for each in container.get("environment") or ()], []),
        ("parameters", sorted(found.get("parameters") or ()), []),
    )


def _image(name: object) -> str:
    text = str(name or "")
    named = ":" in text.rpartition("/")[2] or "@" in text
    return text if named or not text else f"{text}:latest"


def _retries(strategy: dict[str, Any]) -> list[str]:
    return [
        f"{each.get('action', '').lower()} on"
        f" {each.get('onStatusReason') or each.get('onReason') or each.get('onExitCode')}"
        for each in strategy.get("evaluateOnExit") or ()
    ]


def _order(wanted: JobQueue, place: Place) -> list[dict[str, Any]]:
    return [
        {"order": number, "computeEnvironment": place.batch_arn(f"compute-environment/{name}")}
        for number, name in enumerate(wanted.environments, 1)
    ]


def _jobs(queue: str, place: Place) -> str:
    """Say how many jobs would be ended with a queue."""
    batch = place.client("batch")
    count = sum(
        len(batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"])
        for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
    )
    return f"{count} jobs that are not over" if count else ""
