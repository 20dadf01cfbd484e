"""Log streams, one file each: a line about the stream, then one record for each event.

The files are only appended to, so what was written survives the server's death; a record that
was cut short is dropped when the file is read again. In memory there are five numbers for each
event. Events are in the order of their timestamps, and of their arrival where those are equal.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_RECORD = struct.Struct(">qqI")
"""Timestamp, time of arrival, length of the message."""

OVERHEAD = 26
"""Bytes that CloudWatch counts for each event besides its message."""


@dataclass(frozen=True)
class Group:
    """A log group as its streams see it. *created* tells it from an earlier one of its name."""

    region: str
    name: str
    created: int


@dataclass(frozen=True)
class Event:
    """One event. Times are milliseconds since 1970."""

    timestamp: int
    ingested: int
    sequence: int
    """Counts the stream's events in their order of arrival."""
    message: str

    @property
    def key(self) -> tuple[int, int]:
        """What events of one stream are ordered by."""
        return self.timestamp, self.sequence


class Stream:
    """One stream. Safe to use from several threads; *lock* keeps places from moving."""

    def __init__(self, path: Path, group: Group, name: str, created: int) -> None:
        self.group = group
        self.name = name
        self.created = created
        self._path = path
        self.lock = threading.RLock()
        self._times = array("q")
        self._sequences = array("q")
        self._ingested = array("q")
        self._offsets = array("q")
        self._sizes = array("l")
        self._end = 0

    def __len__(self) -> int:
        """Return the number of events, those that cannot be read yet included."""
        return len(self._times)

    @property
    def last_ingested(self) -> int | None:
        """When the last event arrived; None for an empty stream."""
        with self.lock:
            return max(self._ingested) if self._ingested else None

    def append(self, events: Iterable[tuple[int, str]], now: int) -> None:
        """Add events that arrive *now*, whatever their order. Raises ``OSError``; then none is."""
        with self.lock:
            encoded = [(time, text.encode("utf-8", "replace")) for time, text in events]
            self._write(b"".join(_RECORD.pack(t, now, len(data)) + data for t, data in encoded))
            for timestamp, data in encoded:
                self._index(timestamp, now, len(data))

    def between(self, start: int | None, end: int | None) -> tuple[int, int]:
        """Return the places of events from *start* until before *end*."""
        with self.lock:
            first = 0 if start is None else bisect_left(self._times, start)
            last = len(self._times) if end is None else bisect_left(self._times, end)
            return first, max(first, last)

    def after(self, key: tuple[int, int]) -> int:
        """Return the place of the first event that follows *key* in the stream's order."""
        timestamp, sequence = key
        with self.lock:
            first = bisect_left(self._times, timestamp)
            last = bisect_right(self._times, timestamp)
            return bisect_right(self._sequences, sequence, first, last)

    def read(self, places: Sequence[int]) -> list[Event]:
        """Return the events at some places."""
        with self.lock, self._path.open("rb") as file:
            return [self._event(file.fileno(), place) for place in places]

    def arrived(self, place: int) -> int:
        """Return when the event at a place arrived."""
        return self._ingested[place]

    def size(self, place: int) -> int:
        """Return what the event at a place counts for in a page, in bytes."""
        return self._sizes[place] + OVERHEAD

    def time(self, place: int) -> int:
        """Return the timestamp of the event at a place."""
        return self._times[place]

    def load(self) -> None:
        """Index the events of the file."""
        with self._path.open("rb") as file:
            file.readline()
            good = self._end = file.tell()
            while len(head := file.read(_RECORD.size)) == _RECORD.size:
                timestamp, ingested, size = _RECORD.unpack(head)
                if len(file.read(size)) < size:
                    break
                self._index(timestamp, ingested, size)
                good = self._end
        os.truncate(self._path, good)

    def make(self) -> None:
        """Write the file, without events."""
        about = {
            "region": self.group.region,
            "group": self.group.name,
            "group_created": self.group.created,
            "stream": self.name,
            "created": self.created,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._end = self._path.write_bytes(json.dumps(about).encode() + b"\n")

    def remove(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        """Add to the file; whatever of it a full disk has taken is cut off again."""
        try:
            with self._path.open("ab") as file:
                file.write(data)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self._path, self._end)
            raise

    def _event(self, descriptor: int, place: int) -> Event:
        data = os.pread(descriptor, self._sizes[place], self._offsets[place])
        return Event(
            self._times[place], self._ingested[place], self._sequences[place], data.decode()
        )

    def _index(self, timestamp: int, ingested: int, size: int) -> None:
        late = bool(self._times) and timestamp < self._times[-1]
        place = bisect_right(self._times, timestamp) if late else len(self._times)
        sequence = len(self._times)
        self._times.insert(place, timestamp)
        self._sequences.insert(place, sequence)
        self._ingested.insert(place, ingested)
        self._offsets.insert(place, self._end + _RECORD.size)
        self._sizes.insert(place, size)
        self._end += _RECORD.size + size


class LogStore:
    """All streams, below *directory*. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._streams: dict[tuple[str, str], dict[str, Stream]] | None = None

    def streams(self, group: Group) -> list[Stream]:
        """Return a group's streams, by name."""
        with self._lock:
            return [found for _, found in sorted(self._of(group).items())]

    def find(self, group: Group, name: str) -> Stream | None:
        """Return a stream, or None."""
        with self._lock:
            return self._of(group).get(name)

    def create(self, group: Group, name: str, now: int) -> Stream | None:
        """Return a new stream; None where there is one of this name."""
        with self._lock:
            streams = self._of(group)
            if name in streams:
                return None
            made = streams[name] = Stream(self._path(group, name), group, name, now)
            made.make()
            return made

    def delete(self, group: Group, name: str) -> bool:
        """Remove a stream; return whether there was one."""
        with self._lock:
            found = self._of(group).pop(name, None)
            if found is not None:
                found.remove()
            return found is not None

    def _of(self, group: Group) -> dict[str, Stream]:
        if self._streams is None:
            self._streams = {}
            for path in sorted(self._directory.glob("*/*/*")):
                self._load(path)
        streams = self._streams.setdefault((group.region, group.name), {})
        for name in [n for n, each in streams.items() if each.group.created != group.created]:
            streams.pop(name).remove()  # of a group that was deleted
        return streams

    def _load(self, path: Path) -> None:
        assert self._streams is not None
        with contextlib.suppress(ValueError, KeyError), path.open("rb") as file:
            about = json.loads(file.readline())
            group = Group(about["region"], about["group"], about["group_created"])
            stream = Stream(path, group, about["stream"], about["created"])
            stream.load()
            self._streams.setdefault((group.region, group.name), {})[stream.name] = stream

    def _path(self, group: Group, name: str) -> Path:
        return self._directory / group.region / _digest(group.name)[:16] / _digest(name)[:32]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
