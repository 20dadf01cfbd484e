"""What the store asks of S3: the smallest interface that serves it.

``s3.py`` implements it with botocore for every way to AWS that botocore knows, ``direct`` with
the standard library alone for the common ones. Tests pass ``tests/memory_transport.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size: int
    """In bytes."""
    modified: datetime
    """When it was written; in UTC, by S3's clock."""


class Transport(Protocol):
    """A bucket, seen from below its prefix. Safe to use from several threads at once.

    Every method raises ``CredentialsError``, ``AccessDeniedError``, ``UnreachableError`` or
    ``StoreError`` after its own retries are used up.
    """

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``, without a slash at its end."""

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or *length* of them from *start*.

        A negative *start* counts from the end. Raises ``MissingObjectError``.
        """

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write an object. With *if_absent*, return false where it exists already."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with *prefix*, in the order of their keys."""

    def renew(self, key: str) -> None:
        """Make an object as new as one just written, so that its expiry starts again."""

    def delete(self, key: str, *, may: Callable[[], bool] | None = None) -> bool:
        """Remove an object. One that does not exist is no error.

        With *may*, it is tried once only, and not at all if that, asked when the request's date
        is set already, says no; then return false. So S3 itself refuses the request if it comes
        much later, such as from a computer that was asleep (``pins.SIGNED``).
        """


def byte_range(start: int, length: int | None) -> str | None:
    """Return a range as HTTP writes it; None for the whole. What it means says ``get``."""
    if length is not None and length < 1:
        raise ValueError("a range holds at least one byte")
    if start < 0:
        return f"bytes={start}"
    if length is not None:
        return f"bytes={start}-{start + length - 1}"
    return f"bytes={start}-" if start else None
