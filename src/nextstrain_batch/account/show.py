"""A plan in words: what will be made, changed and removed, and what of it costs money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import kinds
from .plan import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .plan import Plan, Step

_MARKS = {
    Action.MAKE: "+",
    Action.CHANGE: "~",
    Action.KEEP: " ",
    Action.REMOVE: "-",
    Action.LEAVE: " ",
}
_KEPT = {Action.KEEP: "is as it should be", Action.LEAVE: "stays"}


def lines(planned: Plan) -> Iterator[str]:
    """Yield a plan's lines.

    ``+`` is made, ``~`` changed, ``-`` removed; ``$`` costs money, ``!`` breaks something.
    """
    for step in planned.steps:
        yield _head(step)
        yield from (f"      {line}" for line in _details(step))


def _head(step: Step) -> str:
    kept = _KEPT.get(step.action)
    said = f": {kept}" if kept else ""
    if step.reason:
        said += f" ({step.reason})"
    if step.is_foreign:
        said = "  (not made by this command)"
    return f"  {_MARKS[step.action]} {step.title}{said}"


def _details(step: Step) -> Iterator[str]:
    kind = kinds.of(step.resource)
    if step.action is Action.MAKE:
        yield from kind.summary(step.resource)
        if kind.costs:
            yield f"$ {kind.costs}"
    if step.action is Action.CHANGE and step.found is not None:
        for each in step.found.differences:
            yield f"{each.what}: {each.found} → {each.wanted}"
    if step.takes_from:
        yield f"! {loss(step)}"
    if step.action is Action.REMOVE and step.found is not None and step.found.holds:
        yield f"with {step.found.holds}"


def loss(step: Step) -> str:
    """Return what a step takes from another set-up, and how to do without."""
    return (
        f"jobs and users of a set-up for {step.takes_from} can no longer use it; other [names] in"
        " the --file give this set-up names of its own"
    )


def summary(planned: Plan) -> str:
    """Return how many of what a plan has, in a sentence."""
    counts = dict.fromkeys(Action, 0)
    for step in planned.steps:
        counts[step.action] += 1
    words = [
        f"{counts[action]} to {action.value}"
        for action in (Action.MAKE, Action.CHANGE, Action.REMOVE)
        if counts[action]
    ]
    rest = counts[Action.KEEP]
    if not words:
        return "There is nothing to do."
    return ", ".join(words) + (f"; {rest} are as they should be." if rest else ".")
