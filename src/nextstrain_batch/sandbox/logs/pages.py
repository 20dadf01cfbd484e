"""One page of a stream, forwards or backwards, and one page of many streams' events in order."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .store import Event, Stream

MAX_EVENTS = 10_000
MAX_BYTES = 1 << 20

START = (-1, -1)
"""The key before every event."""


@dataclass(frozen=True)
class Window:
    """Which events of a stream a call may see. Times are milliseconds; *end* is not included."""

    start: int | None
    end: int | None
    visible_until: int
    """Events that arrived later are not there yet."""


@dataclass(frozen=True)
class Page:
    """Events, and the keys that the pages before and after it start from."""

    events: list[Event]
    before: tuple[int, int]
    after: tuple[int, int]


def forward(stream: Stream, window: Window, key: tuple[int, int], limit: int) -> Page:
    """Return the events that follow *key*."""
    with stream.lock:
        first, last = stream.between(window.start, window.end)
        places = range(max(first, stream.after(key)), last)
        events = stream.read(_fill(stream, _visible(stream, places, window), limit))
    return Page(events, events[0].key if events else key, events[-1].key if events else key)


def backward(stream: Stream, window: Window, key: tuple[int, int] | None, limit: int) -> Page:
    """Return the events before that of *key*, or the last ones, in the stream's order."""
    with stream.lock:
        first, last = stream.between(window.start, window.end)
        if key is not None:
            last = min(last, stream.after((key[0], key[1] - 1)))
        places = _fill(stream, _visible(stream, reversed(range(first, last)), window), limit)
        events = stream.read(places[::-1])
    empty = START if key is None else key
    return Page(events, events[0].key if events else empty, events[-1].key if events else empty)


def _visible(stream: Stream, places: Iterable[int], window: Window) -> Iterator[int]:
    return (place for place in places if stream.arrived(place) <= window.visible_until)


def _fill(stream: Stream, places: Iterable[int], limit: int) -> list[int]:
    """Take places until the page is full; one event always fits."""
    taken: list[int] = []
    size = 0
    for place in places:
        size += stream.size(place)
        if len(taken) >= limit or (taken and size > MAX_BYTES):
            break
        taken.append(place)
    return taken


Key = tuple[int, str, int]
"""Timestamp, stream and sequence: what events of several streams are ordered by."""

_CHUNK = 500


def merged(
    streams: Sequence[Stream],
    window: Window,
    after: Key | None,
    limit: int,
    wanted: Callable[[str], bool],
) -> tuple[list[tuple[Stream, Event]], Key | None]:
    """Return the wanted events of some streams that follow *after*, and the key to go on from.

    The key is None once all have been looked at.
    """
    found: list[tuple[Stream, Event]] = []
    size = 0
    last: Key | None = after
    rows = heapq.merge(*(_rows(stream, window, after) for stream in streams), key=lambda r: r[0])
    for key, stream, event in rows:
        if wanted(event.message):
            size += len(event.message) + 26
            if len(found) >= limit or (found and size > MAX_BYTES):
                return found, last
            found.append((stream, event))
        last = key
    return found, None


def _rows(stream: Stream, window: Window, after: Key | None) -> Iterator[tuple[Key, Stream, Event]]:
    with stream.lock:
        # What arrives out of order from here on is for the next call.
        first, last = stream.between(window.start, window.end)
    if after is not None:
        timestamp, name, sequence = after
        passed = sequence if name == stream.name else (-1 if name < stream.name else 1 << 60)
        first = max(first, stream.after((timestamp, passed)))
    for start in range(first, last, _CHUNK):
        places = list(_visible(stream, range(start, min(start + _CHUNK, last)), window))
        for event in stream.read(places):
            yield (event.timestamp, stream.name, event.sequence), stream, event
