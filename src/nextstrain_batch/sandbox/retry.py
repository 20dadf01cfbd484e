"""Whether another attempt follows one that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .jobs import Attempt, Retry, Rule


def follows(retry: Retry, attempts: list[Attempt]) -> bool:
    """Tell whether Batch would try again after the last of *attempts*, which failed.

    The first rule that matches decides; where none does, Batch retries.
    """
    if len(attempts) >= retry.attempts:
        return False
    for rule in retry.rules:
        if _matches(rule, attempts[-1]):
            return rule.action == "RETRY"
    return True


def _matches(rule: Rule, attempt: Attempt) -> bool:
    code = None if attempt.exit_code is None else str(attempt.exit_code)
    return (
        _fits(rule.on_status_reason, attempt.status_reason)
        and _fits(rule.on_reason, attempt.reason)
        and _fits(rule.on_exit_code, code)
    )


def _fits(pattern: str | None, value: str | None) -> bool:
    if pattern is None:
        return True
    if value is None:
        return False
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern
