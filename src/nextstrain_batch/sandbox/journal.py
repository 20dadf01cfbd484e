"""The request journal: every call that was made, one line of JSON each, in a bounded file.

A line is written as soon as its answer is sent, so that even a killed server leaves the journal
whole and can be read without it. Two files at most are kept: the current one, and the one before.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_BYTES = 8 * 1024 * 1024
"""Of one file; some 20,000 calls."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call."""

    time: str
    """When it came in: UTC, ISO 8601, milliseconds."""
    caller: str
    """ARN; empty for unsigned requests and unknown keys."""
    service: str
    """As signatures name it; ``credentials`` for the address that jobs get theirs from."""
    operation: str
    """``HeadObject``; HTTP method and path where there is no such name."""
    action: str
    """``s3:GetObject``: the first one it took, or the one that was refused. Empty for what
    everybody may do."""
    resource: str
    bytes_in: int
    """Of the bodies, both ways."""
    bytes_out: int
    status: int
    """Of HTTP; 0 when no answer was given."""
    error: str
    """The code of a refusal by IAM, else empty."""
    seconds: float
    """From the request's arrival, whole, to the end of its answer."""


_NAMES = tuple(field.name for field in fields(Entry))


class Journal:
    """The files, written to. Safe to use from several threads."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._file = -1
        self._size = 0
        self._open()

    def write(self, entry: Entry) -> None:
        """Append an entry. A full disk costs entries, never an answer."""
        values = {name: getattr(entry, name) for name in _NAMES}  # asdict copies, which takes long
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            if self._size and self._size + len(line) > self._max_bytes:
                self._rotate()
            self._size += os.write(self._file, line)

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            os.close(self._file)
            self._file = -1  # the number may become somebody else's

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        self._path.replace(earlier(self._path))
        os.close(self._file)
        self._open()


@dataclass(frozen=True, slots=True)
class Total:
    """What the calls of one kind come to."""

    caller: str
    """ARN, without the session of an assumed role: there is one for each job."""
    service: str
    operation: str
    calls: int
    failed: int
    """Those answered with a status of 400 or more, or not at all."""
    bytes_in: int
    bytes_out: int
    seconds: float


def earlier(path: Path) -> Path:
    """Return where the file before the current one is."""
    return path.with_suffix(f".earlier{path.suffix}")


def instant(seconds: float) -> str:
    """Return seconds since 1970 as entries have them; such texts sort like the times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def read(path: Path, since: float | None = None) -> Iterator[Entry]:
    """Yield the entries, oldest first; only those from *since* on, in seconds since 1970."""
    first = "" if since is None else instant(since)
    for file in (earlier(path), path):
        for line in _lines(file):
            with contextlib.suppress(ValueError, TypeError):  # cut short by a full disk
                entry = Entry(**json.loads(line))
                if entry.time >= first:
                    yield entry


def totals(entries: Iterable[Entry]) -> tuple[Total, ...]:
    """Return what each caller's calls of each operation come to, by caller, then most calls."""
    kinds: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        kind = (_without_session(entry.caller), entry.service, entry.operation)
        kinds.setdefault(kind, []).append(entry)
    found = (
        Total(
            *kind,
            calls=len(each),
            failed=sum(1 for entry in each if entry.status >= 400 or not entry.status),
            bytes_in=sum(entry.bytes_in for entry in each),
            bytes_out=sum(entry.bytes_out for entry in each),
            seconds=round(sum(entry.seconds for entry in each), 6),
        )
        for kind, each in kinds.items()
    )
    return tuple(sorted(found, key=lambda each: (each.caller, -each.calls)))


def _without_session(caller: str) -> str:
    return caller.rpartition("/")[0] if ":assumed-role/" in caller else caller


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return
