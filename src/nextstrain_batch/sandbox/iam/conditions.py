"""Whether a statement's conditions hold for a request.

A key that the request lacks meets no condition but a negated one, ``Null``, and those that end in
``IfExists``. An operator that nobody knows is not met.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .patterns import arn_matches, matches, substituted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .documents import Condition
    from .patterns import Values

    Compare = Callable[[str, str, Values], bool]
    """Compares what the policy has with what the request has."""

_IF_EXISTS = "IfExists"


def hold(conditions: tuple[Condition, ...], values: Values) -> bool:
    """Tell whether all *conditions* hold for what is known of a request."""
    return all(_holds(condition, values) for condition in conditions)


def _holds(condition: Condition, values: Values) -> bool:
    quantifier, _, operator = condition.operator.rpartition(":")
    found = values.get(condition.key)
    if operator == "Null":
        absent = "true" if found is None else "false"
        return absent in [wanted.lower() for wanted in condition.values]
    if operator.endswith(_IF_EXISTS):
        if found is None:
            return True
        operator = operator.removesuffix(_IF_EXISTS)
    known = _OPERATORS.get(operator)
    if known is None or quantifier not in {"", "ForAnyValue", "ForAllValues"}:
        return False
    compare, negated = known
    each = (
        any(_compared(compare, wanted, value, values) for wanted in condition.values) != negated
        for value in found or ()
    )
    if quantifier == "ForAllValues":
        return all(each)
    if quantifier == "ForAnyValue":
        return any(each)
    if not found:
        return negated
    # Of a key with several values, one that is asked for will do, and none that is excluded.
    return all(each) if negated else any(each)


def _compared(compare: Compare, wanted: str, value: str, values: Values) -> bool:
    try:
        return compare(wanted, value, values)
    except ValueError:  # no number, date or address
        return False


def _equal(wanted: str, value: str, values: Values) -> bool:
    return substituted(wanted, values) == value


def _equal_ignoring_case(wanted: str, value: str, values: Values) -> bool:
    text = substituted(wanted, values)
    return text is not None and text.casefold() == value.casefold()


def _in_network(wanted: str, value: str, _: Values) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


def _number(compare: Callable[[float, float], bool]) -> Compare:
    return lambda wanted, value, _: compare(float(value), float(wanted))


def _date(compare: Callable[[float, float], bool]) -> Compare:
    return lambda wanted, value, _: compare(_instant(value), _instant(wanted))


def _instant(text: str) -> float:
    """Return the seconds since 1970 that an ISO 8601 date or a number means."""
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _ordering(kind: str, made: Callable[[Callable[[float, float], bool]], Compare]) -> _Table:
    return {
        f"{kind}Equals": (made(lambda one, other: one == other), False),
        f"{kind}NotEquals": (made(lambda one, other: one == other), True),
        f"{kind}LessThan": (made(lambda one, other: one < other), False),
        f"{kind}LessThanEquals": (made(lambda one, other: one <= other), False),
        f"{kind}GreaterThan": (made(lambda one, other: one > other), False),
        f"{kind}GreaterThanEquals": (made(lambda one, other: one >= other), False),
    }


if TYPE_CHECKING:
    _Table = Mapping[str, tuple[Compare, bool]]

_OPERATORS: _Table = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equal_ignoring_case, True),
    "StringLike": (matches, False),
    "StringNotLike": (matches, True),
    "Bool": (_equal_ignoring_case, False),
    "ArnEquals": (arn_matches, False),
    "ArnLike": (arn_matches, False),
    "ArnNotEquals": (arn_matches, True),
    "ArnNotLike": (arn_matches, True),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    **_ordering("Numeric", _number),
    **_ordering("Date", _date),
}
"""How to compare, and whether the outcome is turned round."""
