"""What the sandbox changes in moto's queues, compute environments and definitions.

Time limits of queues, which moto drops; pages, which it does not make; fields and refusals of
AWS's that it lacks.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Module: TypeAlias = Any
    Answer: TypeAlias = Any
    """moto's modules and objects, which have no types of use."""

PAGE = 100
SHORTEST, LONGEST = 600, 86_400
"""Seconds of a time limit."""
MAX_DEFINITION = 24 * 1024

_PAGED = {
    "describecomputeenvironments": "computeEnvironments",
    "describejobqueues": "jobQueues",
    "describejobdefinitions": "jobDefinitions",
}
_HEALTHY = {
    "computeEnvironments": {
        "statusReason": "ComputeEnvironment Healthy",
        "containerOrchestrationType": "ECS",
    },
    "jobQueues": {"statusReason": "JobQueue Healthy", "jobQueueType": "ECS"},
    "jobDefinitions": {"containerOrchestrationType": "ECS"},
}


def apply(responses: Module, models: Module) -> None:
    """Correct moto's classes, once."""
    handler = responses.BatchResponse
    for name, key in _PAGED.items():
        setattr(handler, name, _paged(getattr(handler, name), key))
    for name in ("createjobqueue", "updatejobqueue"):
        setattr(handler, name, _with_limits(getattr(handler, name), models))
    handler.registerjobdefinition = _not_too_big(handler.registerjobdefinition, models)
    backend = models.BatchBackend
    backend.delete_job_queue = _only_disabled_queue(backend.delete_job_queue, models)
    backend.delete_compute_environment = _only_unused_environment(
        backend.delete_compute_environment, models
    )


def _paged(original: Callable[[Answer], str], key: str) -> Callable[[Answer], str]:
    def method(response: Answer) -> str:
        found = json.loads(original(response))[key]
        for each in found:
            each.update(_HEALTHY[key])
        if key == "jobQueues":
            for each in found:
                queue = response.batch_backend.get_job_queue(each["jobQueueArn"])
                each["jobStateTimeLimitActions"] = getattr(queue, "time_limit_actions", [])
        size = min(int(response._get_param("maxResults") or PAGE), PAGE)  # noqa: SLF001
        token = response._get_param("nextToken")  # noqa: SLF001
        start = int(base64.b64decode(token)) if token else 0
        answer: dict[str, Any] = {key: found[start : start + size]}
        if start + size < len(found):
            answer["nextToken"] = base64.b64encode(str(start + size).encode()).decode()
        return json.dumps(answer)

    return method


def _with_limits(original: Callable[[Answer], str], models: Module) -> Callable[[Answer], str]:
    """Keep a queue's ``jobStateTimeLimitActions``. A wrong one refuses the whole request."""

    def method(response: Answer) -> str:
        actions = response._get_param("jobStateTimeLimitActions")  # noqa: SLF001
        for each in actions or ():
            for wrong in _mistakes(each):
                raise models.ClientException(f"Error executing request, Exception : {wrong}")
        answer = original(response)
        if actions is not None:
            queue = response.batch_backend.get_job_queue(json.loads(answer)["jobQueueArn"])
            queue.time_limit_actions = actions
        return answer

    return method


def _mistakes(action: dict[str, Any]) -> list[str]:
    found = []
    if not SHORTEST <= int(action.get("maxTimeSeconds", 0)) <= LONGEST:
        found.append("maxTimeSeconds must be between 600 and 86400")
    if action.get("state") != "RUNNABLE":
        found.append("The only valid state is RUNNABLE")
    if action.get("action") not in {"CANCEL", "TERMINATE"}:
        found.append("The only valid action is CANCEL")
    if not action.get("reason"):
        found.append("reason must not be empty")
    return found


def _not_too_big(original: Callable[[Answer], str], models: Module) -> Callable[[Answer], str]:
    def method(response: Answer) -> str:
        if len(response.body or "") > MAX_DEFINITION:
            raise models.ClientException("Job definition size exceeds the maximum of 24 KiB")
        return original(response)

    return method


def _only_disabled_queue(original: Callable[..., Answer], models: Module) -> Callable[..., Answer]:
    def method(backend: Answer, queue_name: str) -> Answer:
        queue = backend.get_job_queue(queue_name)
        if queue is not None and queue.state != "DISABLED":
            raise models.ClientException(
                f"JobQueue {queue.arn} is ENABLED. It must be DISABLED before it is deleted."
            )
        return original(backend, queue_name)

    return method


def _only_unused_environment(
    original: Callable[..., Answer], models: Module
) -> Callable[..., Answer]:
    def method(backend: Answer, compute_environment_name: str) -> Answer:
        found = backend.get_compute_environment(compute_environment_name)
        if found is not None:
            if any(found in queue.environments for queue in backend._job_queues.values()):  # noqa: SLF001
                raise models.ClientException("Cannot delete, found existing JobQueue relationship")
            if found.state != "DISABLED":
                raise models.ClientException(
                    "Cannot delete, compute environment must be DISABLED first"
                )
        return original(backend, compute_environment_name)

    return method
