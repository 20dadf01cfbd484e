"""Carrying a plan out. Every step may be repeated, and interrupted anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import explaining

from . import kinds
from .plan import Action, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from .place import Place
    from .plan import Plan, Step
    from .resources import Account


def execute(
    planned: Plan, place: Place, *, progress: Callable[[Step], None] = lambda _: None
) -> None:
    """Take the steps of a plan, telling *progress* before each.

    Raises ``AwsError`` when AWS refuses one, or when something does not become valid; the steps
    before it are done, and another plan has the rest.
    """
    for step in planned.work:
        progress(step)
        doing = f"{step.action.value} the {step.title}"
        with explaining(doing, place.region):
            _take(step, place)


def _take(step: Step, place: Place) -> None:
    kind = kinds.of(step.resource)
    match step.action:
        case Action.MAKE:
            kind.make(step.resource, place)
        case Action.CHANGE:
            assert step.found is not None
            kind.mend(step.resource, place, step.found)
        case Action.REMOVE:
            assert step.found is not None
            kind.remove(step.resource, place, step.found)


def apply(
    account: Account, place: Place, *, progress: Callable[[Step], None] = lambda _: None
) -> Plan:
    """Make an account as desired, whatever it lacks; return what was done."""
    planned = plan(account, place)
    execute(planned, place, progress=progress)
    return planned
