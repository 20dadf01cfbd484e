"""Wildcards and variables, as policies have them.

``*`` stands for any characters, colons and slashes included, and ``?`` for one. ``${name}`` is a
value of the request, taken literally; ``${*}``, ``${?}`` and ``${$}`` are those characters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    Values = Mapping[str, tuple[str, ...]]
    """What is known of a request: lower-case condition key → values."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = frozenset("*?$")
_COMPONENTS = 6


def matches(pattern: str, value: str, values: Values, *, ignore_case: bool = False) -> bool:
    """Tell whether *value* is one of those that *pattern* stands for.

    A variable that the request has no single value for matches nothing.
    """
    expression = _with_values(pattern, values)
    if expression is None:
        return False
    return _compiled(expression, ignore_case).match(value) is not None


def arn_matches(pattern: str, value: str, values: Values) -> bool:
    """Compare two ARNs component by component: no wildcard reaches beyond its colons.

    That is how condition operators compare them; ``Resource`` is a plain pattern.
    """
    parts, others = _components(pattern), _components(value)
    if len(parts) != _COMPONENTS or len(others) != _COMPONENTS:
        return False
    return all(matches(part, other, values) for part, other in zip(parts, others, strict=True))


def substituted(text: str, values: Values) -> str | None:
    """Return *text* with its variables replaced; None when the request lacks one of them."""
    if "${" not in text:
        return text
    found = [_value(name, values) for name in _VARIABLE.findall(text)]
    if any(value is None for value in found):
        return None
    replacements = iter(found)
    return _VARIABLE.sub(lambda _: next(replacements) or "", text)


def _with_values(pattern: str, values: Values) -> tuple[str, ...] | None:
    """Return the pattern's pieces, patterns and literal texts by turns."""
    if "${" not in pattern:
        return (pattern,)
    pieces = _VARIABLE.split(pattern)
    for number in range(1, len(pieces), 2):
        value = _value(pieces[number], values)
        if value is None:
            return None
        pieces[number] = value
    return tuple(pieces)


def _value(variable: str, values: Values) -> str | None:
    if variable in _LITERALS:
        return variable
    name, _, default = variable.partition(",")
    found = values.get(name.strip().lower(), ())
    if len(found) == 1:
        return found[0]
    default = default.strip()
    return default[1:-1] if len(default) > 1 and default[0] == default[-1] == "'" else None


@lru_cache(maxsize=4096)
def _compiled(pieces: tuple[str, ...], ignore_case: bool) -> re.Pattern[str]:
    runs: list[str] = [""]
    for number, piece in enumerate(pieces):
        if number % 2:
            runs[-1] += re.escape(piece)
            continue
        first, *others = piece.split("*")
        runs[-1] += _one_run(first)
        runs += [_one_run(other) for other in others]
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile(_joined(runs), flags)


def _one_run(text: str) -> str:
    return ".".join(re.escape(part) for part in text.split("?"))


def _joined(runs: list[str]) -> str:
    """Join what stands between asterisks; the groups keep matching from taking exponential time.

    Each run but the last is best taken where it first occurs, so nothing has to be tried twice.
    """
    if len(runs) == 1:
        return rf"{runs[0]}\Z"
    middle = "".join(f"(?>.*?{run})" for run in runs[1:-1] if run)
    return rf"{runs[0]}{middle}.*{runs[-1]}\Z"


def _components(arn: str) -> list[str]:
    return arn.split(":", _COMPONENTS - 1)
