"""CloudWatch Logs: which action a request takes on what.

Whatever is about a log group as a whole is checked against the group's ARN with an empty stream,
as CloudWatch's own refusals show it: a policy that names the bare group does not allow it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .calls import Need

if TYPE_CHECKING:
    from .calls import Incoming

_OF_STREAMS = frozenset({"CreateLogStream", "DeleteLogStream", "GetLogEvents", "PutLogEvents"})
_OF_TAGS = frozenset({"TagResource", "UntagResource", "ListTagsForResource"})
_OF_ALL = frozenset({"DescribeQueries", "GetQueryResults", "StopQuery", "DescribeResourcePolicies"})


def read(incoming: Incoming) -> tuple[str, tuple[Need, ...]]:
    """Return the operation and what it takes."""
    operation = str(incoming.headers.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]
    resource = _resource(operation, incoming.json, incoming)
    return operation, (Need(f"logs:{operation}", resource),)


def _resource(operation: str, request: dict[str, Any], incoming: Incoming) -> str:
    if operation in _OF_ALL:
        return "*"
    if operation in _OF_TAGS:
        return str(request.get("resourceArn") or "*")
    group = _group(request)
    stream = request.get("logStreamName", "") if operation in _OF_STREAMS else ""
    return incoming.arn("logs", f"log-group:{group}:log-stream:{stream}")


def _group(request: dict[str, Any]) -> str:
    """Return the name of the group that a request is about, by whatever it is given."""
    identifiers = request.get("logGroupIdentifiers") or [""]
    found = request.get("logGroupIdentifier") or identifiers[0]
    if found:
        return str(found).partition(":log-group:")[2].removesuffix(":*") or str(found)
    return str(request.get("logGroupName") or request.get("logGroupNamePrefix") or "")
