"""Time passing for what lies in buckets: objects grow older, and expire by lifecycle rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    Backend: TypeAlias = Any
    """moto's objects, which have no types of use. Their times are UTC, without saying so."""


def grow_older(backend: Backend, seconds: float) -> None:
    """Have all objects been written so much earlier.

    Not the clock moves on but they move back: those who use the sandbox have clocks of their own,
    and compare.
    """
    for bucket in list(backend.buckets.values()):
        for version in _versions(bucket):
            version.last_modified -= timedelta(seconds=seconds)


def expire(backend: Backend, now: datetime) -> list[tuple[str, str]]:
    """Remove the objects that have expired; return their buckets and keys.

    *now* is UTC, without saying so. As in S3, an object is there until the midnight (UTC) after it
    has reached its age. In a versioned bucket it gets a delete marker.
    """
    expired = [
        (bucket.name, key)
        for bucket in list(backend.buckets.values())
        for days, prefix in _rules(bucket)
        for key in list(bucket.keys)
        if key.startswith(prefix) and _is_over(bucket.keys.get(key), days, now)
    ]
    for bucket_name, key in dict.fromkeys(expired):
        backend.delete_object(bucket_name, key)
    return expired


def _rules(bucket: Backend) -> Iterator[tuple[int, str]]:
    """Yield days and prefix of the rules that are understood: those by prefix."""
    for rule in bucket.rules:
        if rule.status != "Enabled" or not rule.expiration_days:
            continue
        chosen = rule.filter
        if chosen is not None and (chosen.tag_key or chosen.and_filter):
            continue
        prefix = rule.prefix or (chosen.prefix if chosen is not None else None) or ""
        yield int(rule.expiration_days), prefix


def _is_over(version: Backend, days: int, now: datetime) -> bool:
    if version is None or not hasattr(version, "contentsize"):
        return False  # a delete marker
    reached: datetime = version.last_modified + timedelta(days=days)
    midnight = datetime(reached.year, reached.month, reached.day)  # noqa: DTZ001 - as moto's
    return now >= midnight + timedelta(days=1)


def _versions(bucket: Backend) -> Iterator[Backend]:
    for key in list(bucket.keys):
        yield from list(bucket.keys.getlist(key, []))
