"""PutLogEvents' rules: which batches are refused, and which events of a good one are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .store import OVERHEAD

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BATCH_EVENTS = 10_000
MAX_BATCH_BYTES = 1_048_576
MAX_SPAN = 24 * 3_600_000
FUTURE = 2 * 3_600_000
PAST = 14 * 86_400_000
"""Milliseconds: how far events of a batch may lie apart, ahead, and back."""


def accepted(
    events: Sequence[dict[str, Any]], now: int, days: int | None
) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """Return the events to keep, and which were rejected for their age, as the answer has it.

    Raises ``ValueError`` for a batch that is refused as a whole.
    """
    found = [(int(each["timestamp"]), str(each["message"])) for each in events]
    _check(found)
    oldest = now - (PAST if days is None else min(PAST, days * 86_400_000))
    times = [at for at, _ in found]
    too_old = sum(at < oldest for at in times)
    too_new = sum(at > now + FUTURE for at in times)
    rejected: dict[str, int] = {}
    if too_old:
        name = "expiredLogEventEndIndex" if oldest > now - PAST else "tooOldLogEventEndIndex"
        rejected[name] = too_old
    if too_new:
        rejected["tooNewLogEventStartIndex"] = len(found) - too_new
    return found[too_old : len(found) - too_new], rejected


def _check(found: list[tuple[int, str]]) -> None:
    times = [at for at, _ in found]
    size = sum(len(message.encode()) + OVERHEAD for _, message in found)
    if not 1 <= len(found) <= MAX_BATCH_EVENTS or not all(message for _, message in found):
        raise ValueError("A batch has between 1 and 10000 log events, none of which is empty.")
    if size > MAX_BATCH_BYTES:
        raise ValueError("Upload too large: bytes exceed limit of 1048576")
    if times != sorted(times):
        raise ValueError(
            "Log events in a single PutLogEvents request must be in chronological order."
        )
    if times[-1] - times[0] > MAX_SPAN:
        raise ValueError(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 "
            "hours."
        )
    if times[0] < 0:
        raise ValueError("A timestamp cannot be negative.")
