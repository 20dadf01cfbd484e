"""AWS Batch: which action a request takes on what; after its Service Authorization Reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from .calls import Need, tag_values

if TYPE_CHECKING:
    from .calls import Incoming
    from .patterns import Values

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
        return operation, (Need(f"batch:{operation}", resource, _tagging(incoming)),)
    path = incoming.path.removeprefix(_PREFIX)
    operation = _NAMES.get(path, path)
    request = incoming.json
    values = _asked(request.get("tags"))
    needs = [
        Need(f"batch:{operation}", each, values)
        for each in _resources(operation, request, incoming)
    ]
    return operation, (*needs, *_further(operation, request, incoming))


def _tagging(incoming: Incoming) -> Values:
    """Return what is known of the tags that a tag call adds or takes away."""
    if incoming.method == "DELETE":
        keys = parse_qs(incoming.headers.get("QUERY_STRING", ""), keep_blank_values=True)
        return {"aws:tagkeys": tuple(keys.get("tagKeys", ()))}
    return _asked(incoming.json.get("tags"))


def _asked(tags: object) -> Values:
    """Return what is known of the tags in a request; nothing where it has none."""
    if not isinstance(tags, dict) or not tags:
        return {}
    return {**tag_values("aws:requesttag", tags), "aws:tagkeys": tuple(map(str, tags))}


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
        # A new job's tags are judged on what it is submitted to: that is what AWS's refusals name.
        resources = _resources(operation, request, incoming)
        needs += [Need("batch:TagResource", each, _asked(request["tags"])) for each in resources]
    container = request.get("containerProperties") or {}
    roles = (container.get("jobRoleArn"), container.get("executionRoleArn"))
    needs += [incoming.role_to_pass(role, "ecs-tasks.amazonaws.com") for role in roles if role]
    if request.get("serviceRole"):
        needs.append(incoming.role_to_pass(request["serviceRole"], "batch.amazonaws.com"))
    return needs
