"""What the sandbox changes in moto, where moto is not like AWS or not made to be kept running."""

from __future__ import annotations

import importlib
import threading
import types
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.options import LOG_DAYS

from . import batch_corrections

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .bodies import Bodies

    Module: TypeAlias = Any
    Backend: TypeAlias = Any
    Answer: TypeAlias = Any
    """moto's modules and objects, which have no types of use."""

SERVICE_ROLE = "AWSServiceRoleForBatch"
MANAGED_POLICIES = ("AWSBatchServiceRole", "AmazonEC2ContainerServiceforEC2Role")
"""The AWS-managed policies that Batch's roles carry; all that there are would be megabytes."""


def apply(service: str, models: Module, bodies: Bodies, administrator: str) -> None:
    """Correct a service's module of models, before its first backend is made.

    *administrator* is the access key of the account's root user.
    """
    if service == "s3":
        _keep_bodies_on_disk(models, bodies)
        _ignore_bucket_policies(models)
    if service == "iam":
        # The service-linked role's name has its service's letter case.
        models.SERVICE_NAME_CONVERSION["batch"] = "Batch"
    if service == "ec2":
        _wrap(models.EC2Backend, "create_default_vpc", _with_way_out)
        _wrap(models.EC2Backend, "delete_vpc_endpoints", _without_route)
    if service == "sts":
        _wrap(models.STSBackend, "get_caller_identity", _with_root(administrator))
    if service == "logs":
        _wrap(models.LogsBackend, "put_retention_policy", _known_retention)
    if service == "batch":
        batch_corrections.apply(importlib.import_module("moto.batch.responses"), models)
        _wrap(models.BatchBackend, "create_compute_environment", _create_environment)
        _wrap(models.BatchBackend, "update_compute_environment", _update_environment)
        _wrap(models.BatchBackend, "create_job_queue", _with_arns)
        _wrap(models.BatchBackend, "update_job_queue", _with_arns)


def _keep_bodies_on_disk(models: Module, bodies: Bodies) -> None:
    """Keep contents in *bodies*; the saved state then only names them."""
    models.tempfile = types.SimpleNamespace(SpooledTemporaryFile=bodies.new)
    models.FakeKey.__getstate__ = _state_without_lock
    models.FakeKey.__setstate__ = _set_state_with_lock


def _state_without_lock(key: Backend) -> dict[str, Any]:
    state = dict(key.__dict__)
    del state["lock"]
    return state


def _set_state_with_lock(key: Backend, state: dict[str, Any]) -> None:
    key.__dict__.update(state)
    key.lock = threading.Lock()


def _ignore_bucket_policies(models: Module) -> None:
    """Keep moto from judging by bucket policies: it denies all where a condition is not met."""
    from moto.iam.access_control import PermissionResult

    models.FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL


def _wrap(owner: Backend, name: str, wrapper: Callable[..., Answer]) -> None:
    """Put *wrapper*, which is given the original first, in place of a method."""
    original = getattr(owner, name)

    def method(backend: Backend, *arguments: Answer, **named: Answer) -> Answer:
        return wrapper(original, backend, *arguments, **named)

    setattr(owner, name, method)


def _with_way_out(original: Callable[..., Answer], backend: Backend) -> Answer:
    """Give the default VPC its internet gateway and the route to it, which moto's lacks."""
    vpc = original(backend)
    gateway = backend.create_internet_gateway()
    backend.attach_internet_gateway(gateway.id, vpc.id)
    (table,) = backend.describe_route_tables(filters={"vpc-id": [vpc.id]})
    backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)
    return vpc


def _without_route(
    original: Callable[..., Answer], backend: Backend, vpce_ids: list[str]
) -> Answer:
    """Delete endpoints that were put into route tables later, which moto gave no routes."""
    known = [each for each in backend.vpc_end_points.values() if each.id in vpce_ids]
    for found in known:
        routed = {
            table.id
            for table in backend.route_tables.values()
            for route in table.routes
            if route.destination_prefix_list_id == found.destination_prefix_list_id
        }
        found.route_table_ids = [each for each in found.route_table_ids or () if each in routed]
    return original(backend, vpce_ids)


def _with_root(administrator: str) -> Callable[..., Answer]:
    """Name the administrator as what permissions take it for: the account's root user."""

    def identity(
        original: Callable[..., Answer], backend: Backend, access_key: str, region: str
    ) -> Answer:
        if access_key != administrator:
            return original(backend, access_key, region)
        return backend.account_id, f"arn:aws:iam::{backend.account_id}:root", backend.account_id

    return identity


def _known_retention(
    original: Callable[..., Answer], backend: Backend, *arguments: Answer, **named: Answer
) -> Answer:
    """Refuse numbers of days that CloudWatch Logs does not have, which moto takes."""
    from moto.logs.exceptions import InvalidParameterException

    days = arguments[-1] if arguments else named["retention_in_days"]
    if int(days) not in LOG_DAYS:
        raise InvalidParameterException(
            constraint=f"Member must satisfy enum value set: {sorted(LOG_DAYS)}",
            parameter="retentionInDays",
            value=days,
        )
    return original(backend, *arguments, **named)


def _create_environment(
    original: Callable[..., Answer], backend: Backend, **arguments: Answer
) -> Answer:
    """Use Batch's service-linked role where none is named; AWS makes it where it is missing."""
    if not arguments["service_role"]:
        iam = backend.iam_backend
        if SERVICE_ROLE not in [role.name for role in iam.get_roles()]:
            iam.create_service_linked_role("batch.amazonaws.com", "", "")
        (role,) = [role for role in iam.get_roles() if role.name == SERVICE_ROLE]
        arguments["service_role"] = role.arn
    return original(backend, **arguments)


def _update_environment(
    original: Callable[..., Answer], backend: Backend, **arguments: Answer
) -> Answer:
    """Change sizes, which moto drops."""
    answer = original(backend, **arguments)
    environment = backend.get_compute_environment(arguments["compute_environment_name"])
    environment.compute_resources = {
        **(environment.compute_resources or {}),
        **(arguments["compute_resources"] or {}),
    }
    return answer


def _with_arns(original: Callable[..., Answer], backend: Backend, **arguments: Answer) -> Answer:
    """Take names of compute environments, and show their ARNs, as AWS does."""
    order = arguments["compute_env_order"]
    if order is not None:
        arguments["compute_env_order"] = [_with_arn(backend, item) for item in order]
    return original(backend, **arguments)


def _with_arn(backend: Backend, item: dict[str, Any]) -> dict[str, Any]:
    found = backend.get_compute_environment(item["computeEnvironment"])
    return item if found is None else {**item, "computeEnvironment": found.arn}


def add_managed_policies(backend: Backend, models: Module, account: str) -> None:
    """Add the AWS-managed policies that the account's roles carry."""
    for name in MANAGED_POLICIES:
        data = {
            "DefaultVersionId": "v1",
            "Path": "/service-role/",
            "Document": {"Version": "2012-10-17", "Statement": []},
            "CreateDate": "2016-12-06T19:11:23+00:00",
            "UpdateDate": "2016-12-06T19:11:23+00:00",
        }
        policy = models.AWSManagedPolicy.from_data(name, account, "us-east-1", data)
        if policy.arn not in backend.managed_policies:
            backend.aws_managed_policies.append(policy)
            backend.managed_policies[policy.arn] = policy
