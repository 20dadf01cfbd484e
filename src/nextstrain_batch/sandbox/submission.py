"""SubmitJob: a request and a job definition become a job's specification.

Shapes and limits are those of AWS Batch's API reference. What a build has no use for (arrays,
dependencies, several nodes, EKS) is refused by name rather than ignored.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from .jobs import Container, Retry, Rule, Specification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .queues import Catalogue, Definition, Queue

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")
MIN_TIMEOUT = 60
MAX_ATTEMPTS = 10
MAX_RULES = 5
MAX_PAYLOAD = 30 * 1024
MAX_TAGS, MAX_TAG_KEY, MAX_TAG_VALUE = 50, 128, 256
"""Of a resource, and characters ("Tag restrictions", AWS Batch User Guide)."""
UNSUPPORTED = (
    "arrayProperties",
    "dependsOn",
    "nodeOverrides",
    "eksPropertiesOverride",
    "ecsPropertiesOverride",
    "consumableResourcePropertiesOverride",
)


class ClientError(Exception):
    """What Batch answers with ``ClientException``, or another *code* and HTTP *status*."""

    def __init__(self, message: str, code: str = "ClientException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def specification(
    request: Mapping[str, Any], region: str, catalogue: Catalogue, size: int
) -> Specification:
    """Return what a SubmitJob request of *size* bytes asks for. Raises ``ClientError``."""
    if size > MAX_PAYLOAD:
        raise ClientError("Request payload size exceeds the maximum of 30 KiB")
    if not NAME.match(str(request.get("jobName", ""))):
        _refuse("Job name should match valid pattern")
    for name in UNSUPPORTED:
        if request.get(name):
            raise ClientError(f"The sandbox does not support {name}")
    queue = _queue(request, region, catalogue)
    definition = _definition(request, region, catalogue)
    overrides = request.get("containerOverrides") or {}
    parameters = dict(definition.parameters or {}) | dict(request.get("parameters") or {})
    return Specification(
        name=request["jobName"],
        region=region,
        queue=queue.name,
        queue_arn=queue.arn,
        definition=definition.name,
        definition_arn=definition.arn,
        container=_container(definition.container_properties or {}, overrides, parameters),
        retry=_retry(request.get("retryStrategy") or definition.retry_strategy or {}),
        timeout=_timeout(request.get("timeout") or definition.timeout or {}),
        parameters=tuple(parameters.items()),
        tags=tuple(allowed_tags(request.get("tags") or {}).items()),
        propagate_tags=bool(request.get("propagateTags", definition.propagate_tags)),
        overrides_length=len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False)),
    )


def allowed_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return a resource's tags, all there are to be. Raises ``ClientError`` for wrong ones."""
    if len(tags) > MAX_TAGS:
        _refuse(f"A resource may have at most {MAX_TAGS} tags")
    for key, value in tags.items():
        if not 1 <= len(key) <= MAX_TAG_KEY or len(value) > MAX_TAG_VALUE:
            _refuse(f"The tag {key} is too long or empty")
        if key.lower().startswith("aws:"):
            _refuse(f"The tag {key} has a prefix that is reserved for AWS")
    return tags


def _refuse(message: str) -> NoReturn:
    raise ClientError(f"Error executing request, Exception : {message}")


def _queue(request: Mapping[str, Any], region: str, catalogue: Catalogue) -> Queue:
    reference = str(request.get("jobQueue", ""))
    queue = catalogue.queue(region, reference)
    if queue is None:
        raise ClientError(f"JobQueue {reference} not found.")
    if queue.state == "DISABLED":
        raise ClientError(f"JobQueue {queue.arn} is disabled. Cannot accept jobs.")
    return queue


def _definition(request: Mapping[str, Any], region: str, catalogue: Catalogue) -> Definition:
    reference = str(request.get("jobDefinition", ""))
    definition = catalogue.definition(region, reference)
    if definition is not None:
        return definition
    if reference.startswith("arn:"):
        raise ClientError(f"JobDefinition {reference} not found.")
    raise ClientError(f"JobDefinition name {reference} does not exist or is not in ACTIVE status")


def _container(
    properties: Mapping[str, Any], overrides: Mapping[str, Any], parameters: Mapping[str, str]
) -> Container:
    environment = {
        each["name"]: each.get("value", "")
        for each in [*properties.get("environment", ()), *overrides.get("environment", ())]
    }
    command = overrides.get("command") or properties.get("command") or []
    return Container(
        image=str(properties.get("image", "")),
        command=tuple(_with_parameter(word, parameters) for word in command),
        environment=tuple(environment.items()),
        vcpus=float(_resource(properties, overrides, "VCPU", "vcpus")),
        memory=int(_resource(properties, overrides, "MEMORY", "memory")),
        job_role=properties.get("jobRoleArn"),
        execution_role=properties.get("executionRoleArn"),
    )


def _with_parameter(word: str, parameters: Mapping[str, str]) -> str:
    if not word.startswith("Ref::"):
        return word
    return parameters.get(word.removeprefix("Ref::"), word)


def _resource(
    properties: Mapping[str, Any], overrides: Mapping[str, Any], kind: str, old: str
) -> str:
    """Return a resource in either of the two ways to say it, the override's first."""
    for source in (overrides, properties):
        for each in source.get("resourceRequirements") or ():
            if each["type"] == kind:
                return str(each["value"])
        if source.get(old):
            return str(source[old])
    return _refuse(f"Container {old} are required")


def _retry(strategy: Mapping[str, Any]) -> Retry:
    attempts = int(strategy.get("attempts") or 1)
    rules = strategy.get("evaluateOnExit") or ()
    if not 1 <= attempts <= MAX_ATTEMPTS:
        _refuse("Attempts must be between 1 and 10")
    if len(rules) > MAX_RULES:
        _refuse("evaluateOnExit may have at most 5 conditions")
    return Retry(
        attempts,
        tuple(
            Rule(
                action="RETRY" if str(rule["action"]).upper() == "RETRY" else "EXIT",
                on_status_reason=rule.get("onStatusReason"),
                on_reason=rule.get("onReason"),
                on_exit_code=rule.get("onExitCode"),
            )
            for rule in rules
        ),
    )


def _timeout(timeout: Mapping[str, Any]) -> int | None:
    seconds = timeout.get("attemptDurationSeconds")
    if seconds is None:
        return None
    if int(seconds) < MIN_TIMEOUT:
        _refuse("Job attempt duration timeout must be at least 60 seconds")
    return int(seconds)
