"""What an account lacks: the desired resources minus what is there, found by reading only.

A plan is data. ``apply`` carries it out, ``show`` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import explaining

from . import kinds
from .kinds.network import our_groups, our_templates
from .resources import (
    Account,
    Bucket,
    ComputeEnvironment,
    Group,
    LaunchTemplate,
    LogGroup,
    Policy,
    Resource,
    Role,
    SecurityGroup,
    ServiceLinkedRole,
)

if TYPE_CHECKING:
    from .place import Found, Place


class Action(Enum):
    """What a step does."""

    MAKE = "make"
    CHANGE = "change"
    KEEP = "keep"
    REMOVE = "remove"
    LEAVE = "leave"
    """Something that stays though the rest is removed."""


@dataclass(frozen=True)
class Step:
    """One resource, and what is to be done about it."""

    action: Action
    resource: Resource
    found: Found | None = None
    """What is there; None for nothing."""
    reason: str = ""
    """Why it is left."""

    @property
    def title(self) -> str:
        """What it is about, in words."""
        return f"{self.resource.noun} {self.resource.name}"

    @property
    def is_foreign(self) -> bool:
        """Whether it changes something that we did not make."""
        return self.action is Action.CHANGE and self.found is not None and not self.found.ours

    @property
    def takes_from(self) -> str:
        """What of another set-up is lost by the change, in words; empty for nothing."""
        return self.found.serves if self.action is Action.CHANGE and self.found else ""


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they have to be taken."""

    steps: tuple[Step, ...]

    @property
    def work(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(each for each in self.steps if each.action not in {Action.KEEP, Action.LEAVE})

    def without(self, *unwanted: Step) -> Plan:
        """Return the plan without some steps."""
        return Plan(tuple(each for each in self.steps if each not in unwanted))


def plan(account: Account, place: Place) -> Plan:
    """Return what has to be done for the account to be as desired.

    Raises ``AwsError`` when that cannot be told.
    """
    return Plan(tuple(_step(each, place) for each in account.resources))


def destruction(account: Account, place: Place, *, delete_data: bool = False) -> Plan:
    """Return what has to be removed, in order: what is there under the names, and ours.

    A bucket or a log group with content is left unless *delete_data* says otherwise, and all of
    IAM while its policy for the bucket is about another one.
    """
    others = [each for each in account.resources if not isinstance(each, _LOOKED_UP)]
    environments = (
        number for number, each in enumerate(others) if isinstance(each, ComputeEnvironment)
    )
    position = next(environments, len(others))
    resources: list[Resource] = [
        *others[:position],
        *_made_before(account, place),
        *others[position:],
    ]
    found = (_removal(each, place, delete_data=delete_data) for each in reversed(resources))
    steps = [step for step in found if step is not None]
    if serves := _serves(account, steps):
        steps = [_spared(step, serves) for step in steps]
    return Plan(tuple(steps))


def _serves(account: Account, steps: list[Step]) -> str:
    """Return what of another set-up the policies, roles and group are for; empty for nothing."""
    name = account.names.bucket_policy
    policies = (each for each in steps if isinstance(each.resource, Policy))
    found = next((each.found for each in policies if each.resource.name == name), None)
    return found.serves if found else ""


def _spared(step: Step, serves: str) -> Step:
    """Return a step that leaves what another set-up has jobs and people with."""
    if step.action is not Action.REMOVE or not isinstance(step.resource, _FOR_ALL_REGIONS):
        return step
    return replace(step, action=Action.LEAVE, reason=f"a set-up for {serves} has it")


_FOR_ALL_REGIONS = (Policy, Role, Group)
"""What an account has by name alone, for all its regions and buckets."""


_LOOKED_UP = (LaunchTemplate, SecurityGroup)
"""What other choices made elsewhere or under other names."""


def _step(resource: Resource, place: Place) -> Step:
    found = look(resource, place)
    if found is None:
        return Step(Action.MAKE, resource)
    return Step(Action.CHANGE if found.differences else Action.KEEP, resource, found)


def _removal(resource: Resource, place: Place, *, delete_data: bool) -> Step | None:
    found = look(resource, place)
    if found is None:
        return None
    if isinstance(resource, ServiceLinkedRole):
        return Step(Action.LEAVE, resource, found, "it is AWS's own, and others may use it")
    if not found.ours:
        return Step(Action.LEAVE, resource, found, "it was not made by this command")
    if isinstance(resource, (Bucket, LogGroup)) and found.holds and not delete_data:
        reason = f"it holds {found.holds}; --delete-data removes it with them"
        return Step(Action.LEAVE, resource, found, reason)
    return Step(Action.REMOVE, resource, found)


def look(resource: Resource, place: Place) -> Found | None:
    """Return what is there under a resource's name, or raise ``AwsError``."""
    with explaining(f"look at the {resource.noun} {resource.name}", place.region):
        return kinds.of(resource).look(resource, place)


def _made_before(account: Account, place: Place) -> list[Resource]:
    """Return what present and earlier choices made of what their names do not tell."""
    with explaining("list the security groups", place.region):
        groups = our_groups(account.names.instances, place)
    with explaining("list the launch templates", place.region):
        names = our_templates(place)
    ours = [each for each in names if LaunchTemplate.is_named(each, account.names.environment)]
    return [*groups, *(LaunchTemplate(each) for each in ours)]
