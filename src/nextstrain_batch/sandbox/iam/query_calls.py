"""IAM, STS and EC2: which action a request takes on what. They all name it in ``Action``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .calls import OWN_NAME, Need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .calls import Incoming

FOR_EVERYBODY = frozenset({"GetCallerIdentity", "GetSessionToken"})
"""Of STS; not even an explicit denial keeps anybody from the first."""

_IAM_KINDS = (
    # The first that an action's name has; what it is about, and the parameter that names it.
    (re.compile(r"InstanceProfilesForRole"), "role", "RoleName"),
    (re.compile(r"InstanceProfile"), "instance-profile", "InstanceProfileName"),
    (re.compile(r"UserToGroup|UserFromGroup|GroupPolic|[a-z]Group$"), "group", "GroupName"),
    (re.compile(r"User|AccessKey|LoginProfile"), "user", "UserName"),
    (re.compile(r"Role"), "role", "RoleName"),
    (re.compile(r"Policy"), "policy", "PolicyName"),
)


def read(service: str, incoming: Incoming) -> tuple[str, tuple[Need, ...]]:
    """Return the operation and what it takes."""
    body = parse_qs(incoming.body.decode("utf-8", "replace"), keep_blank_values=True)
    request = {**incoming.query, **{name: values[0] for name, values in body.items()}}
    operation = request.get("Action", "")
    match service:
        case "iam":
            return operation, _iam(operation, request, incoming)
        case "sts" if operation in FOR_EVERYBODY:
            return operation, ()
        case "sts":
            resource = request.get("RoleArn", "*")
        case "ec2" if not operation.startswith("Describe"):
            resource = incoming.arn("ec2", "*/*")
        case _:
            resource = "*"
    return operation, (Need(f"{service}:{operation}", resource),)


def _iam(operation: str, request: Mapping[str, str], incoming: Incoming) -> tuple[Need, ...]:
    needs = (Need(f"iam:{operation}", _iam_resource(operation, request, incoming)),)
    if operation == "AddRoleToInstanceProfile":
        role = request.get("RoleName", "*")
        return (*needs, incoming.role_to_pass(role, "ec2.amazonaws.com"))
    return needs


def _iam_resource(operation: str, request: Mapping[str, str], incoming: Incoming) -> str:
    if "PolicySourceArn" in request:  # a simulation, which is about a user or role
        return request["PolicySourceArn"]
    for pattern, kind, parameter in _IAM_KINDS:
        if not pattern.search(operation):
            continue
        if kind == "policy" and "PolicyArn" in request:
            return request["PolicyArn"]
        # Without a name, the request is about the caller, or about all there are.
        own = kind == "user" and operation != "ListUsers"
        name = request.get(parameter) or (OWN_NAME if own else "*")
        path = request.get("Path", "/") if operation.startswith("Create") else "/"
        return f"arn:aws:iam::{incoming.account}:{kind}{path}{name}"
    return "*"
