"""AWS Batch: which action a request takes on what; after its Service Authorization Reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .calls import Need

if TYPE_CHECKING:
    from .calls import Incoming

_PREFIX = "/v1/"
_TAGS = "/v1/tags/"

_NAMES = {
    name.lower(): name
    for name in (
        *("CancelJob", "DescribeJobs", "GetJobQueueSnapshot", "ListJobs", "SubmitJob"),
        *("TerminateJob", "RegisterJobDefinition", "DeregisterJobDefinition"),
        *("DescribeJobDefinitions", "CreateJobQueue", "DeleteJobQueue", "DescribeJobQueues"),
        *("UpdateJobQueue", "CreateComputeEnvironment", "DeleteComputeEnvironment"),
        *("DescribeComputeEnvironments", "UpdateComputeEnvironment"),
        *("CreateSchedulingPolicy", "DeleteSchedulingPolicy", "DescribeSchedulingPolicies"),
        *("ListSchedulingPolicies", "UpdateSchedulingPolicy"),
    )
}
"""Paths hold operations in lower case."""

_TAG_OPERATIONS = {"GET": "ListTagsForResource", "POST": "TagResource", "DELETE": "UntagResource"}


def read(incoming: Incoming) -> tuple[str, tuple[Need, ...]]:
    """Return the operation and what it takes."""
    if incoming.path.startswith(_TAGS):
        operation = _TAG_OPERATIONS.get(incoming.method, "TagResource")
        resource = unquote(incoming.path.removeprefix(_TAGS))
        return operation, (Need(f"batch:{operation}", resource),)
    path = incoming.path.removeprefix(_PREFIX)
    operation = _NAMES.get(path, path)
    request = incoming.json
    needs = [Need(f"batch:{operation}", each) for each in _resources(operation, request, incoming)]
    return operation, (*needs, *_further(operation, request, incoming))


def _resources(operation: str, request: dict[str, Any], incoming: Incoming) -> list[str]:
    def named(kind: str, field: str) -> str:
        value = str(request.get(field) or "*")
        return value if value.startswith("arn:") else incoming.arn("batch", f"{kind}/{value}")

    match operation:
        case "SubmitJob":
            return [named("job-definition", "jobDefinition"), named("job-queue", "jobQueue")]
        case "TerminateJob" | "CancelJob":
            return [named("job", "jobId")]
        case "RegisterJobDefinition":
            return [named("job-definition", "jobDefinitionName")]
        case "DeregisterJobDefinition":
            return [named("job-definition", "jobDefinition")]
        case "CreateJobQueue":
            return [named("job-queue", "jobQueueName")]
        case "UpdateJobQueue" | "DeleteJobQueue" | "GetJobQueueSnapshot":
            return [named("job-queue", "jobQueue")]
        case "CreateComputeEnvironment":
            return [named("compute-environment", "computeEnvironmentName")]
        case "UpdateComputeEnvironment" | "DeleteComputeEnvironment":
            return [named("compute-environment", "computeEnvironment")]
    return ["*"]


def _further(operation: str, request: dict[str, Any], incoming: Incoming) -> list[Need]:
    """Return what it takes besides the operation's own action: tags, and roles to hand over."""
    needs = []
    if request.get("tags"):
        kind, name = {
            "SubmitJob": ("job", "*"),
            "RegisterJobDefinition": ("job-definition", request.get("jobDefinitionName")),
            "CreateJobQueue": ("job-queue", request.get("jobQueueName")),
        }.get(operation, ("compute-environment", request.get("computeEnvironmentName")))
        needs.append(Need("batch:TagResource", incoming.arn("batch", f"{kind}/{name}")))
    container = request.get("containerProperties") or {}
    roles = (container.get("jobRoleArn"), container.get("executionRoleArn"))
    needs += [incoming.role_to_pass(role, "ecs-tasks.amazonaws.com") for role in roles if role]
    if request.get("serviceRole"):
        needs.append(incoming.role_to_pass(request["serviceRole"], "batch.amazonaws.com"))
    return needs
