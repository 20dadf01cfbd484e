"""A policy document, read into frozen data once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a ``Condition``: all of them have to hold."""

    operator: str
    key: str
    """In lower case: keys have none of their own."""
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. Patterns are those of ``patterns``."""

    allows: bool
    """Else it denies."""
    actions: tuple[str, ...]
    excepted_actions: tuple[str, ...]
    """``NotAction``; a statement has either."""
    resources: tuple[str, ...]
    excepted_resources: tuple[str, ...]
    principals: tuple[tuple[str, str], ...]
    """Kind and name: ``("AWS", "arn:…")``. None for policies of users, groups and roles."""
    excepted_principals: tuple[tuple[str, str], ...]
    conditions: tuple[Condition, ...]


Policy = tuple[Statement, ...]


@lru_cache(maxsize=512)
def parse(text: str) -> Policy:
    """Return a document's statements. Raises ``ValueError`` when it is none."""
    try:
        document = json.loads(text)
        return tuple(_statement(each) for each in _listed(document["Statement"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"This is no policy document: {error!r}") from error


def _statement(found: dict[str, Any]) -> Statement:
    effect = found["Effect"]
    if effect not in {"Allow", "Deny"}:
        raise ValueError(f"Unknown effect {effect!r}")
    if "Action" not in found and "NotAction" not in found:
        raise ValueError("A statement without an action")
    return Statement(
        allows=effect == "Allow",
        actions=_texts(found.get("Action")),
        excepted_actions=_texts(found.get("NotAction")),
        resources=_texts(found.get("Resource")),
        excepted_resources=_texts(found.get("NotResource")),
        principals=_principals(found.get("Principal")),
        excepted_principals=_principals(found.get("NotPrincipal")),
        conditions=tuple(_conditions(found.get("Condition") or {})),
    )


def _principals(found: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401 - JSON
    if isinstance(found, str):
        return (("AWS", found),)
    return tuple((kind, name) for kind, names in (found or {}).items() for name in _texts(names))


def _conditions(found: dict[str, dict[str, Any]]) -> Iterator[Condition]:
    for operator, lines in found.items():
        for key, values in lines.items():
            yield Condition(operator, key.lower(), _texts(values))


def _texts(found: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    """Return one or several values as texts: true and 7 may stand without quotes."""
    return tuple(
        each if isinstance(each, str) else json.dumps(each)
        for each in _listed(found)
        if each is not None
    )


def _listed(found: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return found if isinstance(found, list) else [found]
