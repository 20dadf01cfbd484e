"""Compute environments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import (
    TAGS,
    Difference,
    Found,
    Kind,
    absent,
    differences,
    is_ours,
)
from nextstrain_batch.account.resources import ComputeEnvironment

from . import network
from .waiting import is_going, lasting_status, patiently, wait_until_gone, wait_until_valid

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.account.place import Place

STATE, STATUS = "state", "status"
MAX_VCPUS, MIN_VCPUS, TYPES = "maximum vCPUs", "minimum vCPUs", "instance types"
TEMPLATE, SUBNETS, GROUPS = "launch template", "subnets", "security groups"
KIND = "kind"
NEW = "the new ones"
"""Subnets that are made first, and have no ids yet."""


class ComputeEnvironmentKind(Kind[ComputeEnvironment]):
    """A managed environment. What jobs cost is the instances in it."""

    costs = "EC2 instances and their disks, by the second while jobs run; nothing while none do"

    def summary(self, wanted: ComputeEnvironment) -> tuple[str, ...]:
        """Return what it will be."""
        where = wanted.network
        price = "spot" if wanted.kind == "SPOT" else "on-demand"
        types = ", ".join(wanted.instance_types)
        everywhere = f"the subnets of {network.words(where.vpc, where.own_vpc)}"
        lines = [
            f"{price} instances ({types}), {wanted.min_vcpus} to {wanted.max_vcpus} vCPUs",
            f"in {', '.join(where.subnets) or everywhere}",
        ]
        if wanted.launch_template:
            lines.append(f"with the launch template {wanted.launch_template}")
        return tuple(lines)

    def look(self, wanted: ComputeEnvironment, place: Place) -> Found | None:
        """Read it."""
        found = describe_environment(wanted.name, place)
        if found is None or found.get("status") == "DELETED":
            return None
        resources = found.get("computeResources") or {}
        types = sorted(resources.get("instanceTypes", ()))
        lacks = differences(
            (STATE, found.get("state", "ENABLED"), "ENABLED"),
            (STATUS, lasting_status(found), "VALID"),
            (KIND, resources.get("type"), wanted.kind),
            (MIN_VCPUS, int(resources.get("minvCpus", 0)), wanted.min_vcpus),
            (MAX_VCPUS, int(resources.get("maxvCpus", 0)), wanted.max_vcpus),
            (TYPES, types, sorted(wanted.instance_types)),
            (TEMPLATE, template_name(resources, place), wanted.launch_template),
        )
        lacks += _elsewhere(resources, wanted, place)
        return Found(is_ours(found.get("tags")), lacks, raw=found)

    def make(self, wanted: ComputeEnvironment, place: Place) -> None:
        """Make it, and wait until it is valid."""
        batch = place.client("batch")
        resources = {
            "type": wanted.kind,
            "allocationStrategy": wanted.allocation,
            "minvCpus": wanted.min_vcpus,
            "maxvCpus": wanted.max_vcpus,
            "instanceTypes": list(wanted.instance_types),
            "subnets": network.subnets(wanted.network, place),
            "securityGroupIds": network.security_groups(wanted.network, place),
            "instanceRole": place.iam_arn(f"instance-profile/{wanted.instance_role}"),
            "tags": {"Name": wanted.name},
        }
        if wanted.launch_template:
            resources["launchTemplate"] = _template(wanted.launch_template)
        patiently(
            lambda: batch.create_compute_environment(
                computeEnvironmentName=wanted.name,
                type="MANAGED",
                state="ENABLED",
                serviceRole=place.iam_arn(f"role/{wanted.service_role.path}"),
                computeResources=resources,
                tags=TAGS,
            ),
            place,
        )
        wait_until_ready(wanted.name, place)

    def mend(self, wanted: ComputeEnvironment, place: Place, found: Found) -> None:
        """Change what differs, and wait until it is valid; make anew one that is being removed."""
        if is_going(found):
            self._wait_until_gone(wanted, place)
            self.make(wanted, place)
            return
        values: dict[str, tuple[str, Callable[[], object]]] = {
            KIND: ("type", lambda: wanted.kind),
            MIN_VCPUS: ("minvCpus", lambda: wanted.min_vcpus),
            MAX_VCPUS: ("maxvCpus", lambda: wanted.max_vcpus),
            TYPES: ("instanceTypes", lambda: list(wanted.instance_types)),
            TEMPLATE: ("launchTemplate", lambda: _template(wanted.launch_template)),
            SUBNETS: ("subnets", lambda: network.subnets(wanted.network, place)),
            GROUPS: ("securityGroupIds", lambda: network.security_groups(wanted.network, place)),
        }
        changes = {key: value() for what, (key, value) in values.items() if found.lacks(what)}
        if found.lacks(KIND):
            changes["allocationStrategy"] = wanted.allocation
        parameters: dict[str, Any] = {"state": "ENABLED"}
        if changes:
            parameters["computeResources"] = changes
        # One that is invalid is mended by the change, which AWS takes only while none goes on.
        wait_until_ready(wanted.name, place, may_be_invalid=True)
        place.client("batch").update_compute_environment(
            computeEnvironment=wanted.name, **parameters
        )
        wait_until_ready(wanted.name, place)

    def remove(self, wanted: ComputeEnvironment, place: Place, found: Found) -> None:
        """Disable it, remove it, and wait until it is gone."""
        batch, name = place.client("batch"), wanted.name
        if not is_going(found):
            wait_until_ready(name, place, may_be_invalid=True)
            batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
            wait_until_ready(name, place, may_be_invalid=True)
            batch.delete_compute_environment(computeEnvironment=name)
        self._wait_until_gone(wanted, place)

    @staticmethod
    def _wait_until_gone(wanted: ComputeEnvironment, place: Place) -> None:
        described = partial(describe_environment, wanted.name, place)
        wait_until_gone(described, f"{wanted.noun} {wanted.name}", place)


def wait_until_ready(name: str, place: Place, *, may_be_invalid: bool = False) -> None:
    """Wait until an environment is valid; ``AwsError`` when it does not become so."""
    batch = place.client("batch")
    wait_until_valid(
        lambda: describe_environment(name, place),
        f"{ComputeEnvironment.noun} {name}",
        place,
        may_be_invalid=may_be_invalid,
        look_again=lambda: batch.update_compute_environment(
            computeEnvironment=name, state="ENABLED"
        ),
    )


def describe_environment(name: str, place: Place) -> dict[str, Any] | None:
    """Return AWS's description of a compute environment, or None."""
    batch = place.client("batch")
    found = batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
    return dict(found[0]) if found else None


def _elsewhere(
    resources: dict[str, Any], wanted: ComputeEnvironment, place: Place
) -> tuple[Difference, ...]:
    """Return what differs in the network, of what was chosen or is ours."""
    there = sorted(resources.get("subnets", ()))
    possible = network.subnets_or_none(wanted.network, place)
    chosen = wanted.network.subnets or wanted.network.own_vpc
    lacks: tuple[Difference, ...] = ()
    # In a VPC that somebody else looks after, some of its subnets may have been left out.
    if set(there) != set(possible) if chosen else not set(there) <= set(possible):
        lacks += differences((SUBNETS, there, possible or [NEW]))
    groups = sorted(resources.get("securityGroupIds", ()))
    own = sorted(network.security_groups(wanted.network, place))
    # Ours may be missing, and will have a new id.
    return lacks + differences(
        (GROUPS, groups, own or [f"the new {wanted.network.own_security_group}"])
    )


def template_name(resources: dict[str, Any], place: Place) -> str | None:
    """Return the name of an environment's launch template, or None; its id if there is no such."""
    template = resources.get("launchTemplate") or {}
    name, number = template.get("launchTemplateName"), template.get("launchTemplateId")
    if name or not number:
        return str(name) if name else None
    ec2 = place.client("ec2")
    answer = absent(
        ("InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateId.NotFoundException"),
        lambda: ec2.describe_launch_templates(LaunchTemplateIds=[number]),
    )
    found = answer["LaunchTemplates"] if answer else []
    return str(found[0]["LaunchTemplateName"]) if found else str(number)


def _template(name: str | None) -> dict[str, str]:
    # An empty name takes it away, by the documentation of ComputeResourceUpdate.
    return (
        {"launchTemplateName": name, "version": "$Default"} if name else {"launchTemplateName": ""}
    )
