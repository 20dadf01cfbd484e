"""Cutting files into chunks by their content.

A file of at most ``MAXIMUM`` bytes is one chunk. A bigger one is cut at line starts, chosen by what
the lines say: an insertion, an edit or an append changes the chunks around it, and the next cut
that both versions share brings them back in step. Nothing relies on two computers cutting alike:
whether files are equal is always decided by the chunk list of a manifest. Cutting alike only
saves bytes.

The cut after byte ``MINIMUM`` and up to byte ``MAXIMUM`` of what is left comes before the whole
line of that window which is the greatest after a fixed permutation of the byte values. Greatest,
because two windows that overlap then agree as long as the greatest line of both lies in what they
share; permuted, because sorted tables are common, and the greatest line of a sorted window would
always be its last, wherever the window begins. Splitting, translating and comparing run at
C speed (0.5 GB/s), which a rolling hash in Python would not (5 MB/s).

Where ``>`` is there and rare, as in FASTA, its records count as the lines, known by their first
bytes: a search for a rare byte is ten times as fast as taking every line of a sequence apart, and
Python's lock is held for all of it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nextstrain_batch.store.manifest import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINIMUM = 512 * 1024
"""In bytes; only a file's last chunk may be smaller."""

MAXIMUM = 1024 * 1024
"""In bytes. No chunk is bigger, in any manifest."""

_READ = 4 * MAXIMUM
# More separators than this make no lines, but a binary file full of them, and slow work.
_MOST = 128 * 1024
# The same for records, whose names are read: so many that searching still costs little.
_MOST_RECORDS = 1024
_NAME = 64
# How many equal lines are told apart by how many bytes that follow them.
_TIES = 64
_CONTEXT = 64 * 1024
_PERMUTATION = bytes(sorted(range(256), key=lambda value: hashlib.sha256(bytes([value])).digest()))
# Content without a line end in half a megabyte is cut after other bytes: one-line JSON after a
# comma, for instance, and a genome on one line at a word that is common in any.
_SEPARATORS = tuple(
    each.translate(_PERMUTATION) for each in (b"\n", b",", b" ", b"\0", b"GATC", b"gatc")
)


def chunk_of(data: bytes) -> Chunk:
    """Return the name of *data* as a chunk."""
    return Chunk(hashlib.sha256(data).hexdigest(), len(data))


def pieces(readinto: Callable[[memoryview], int | None], size: int) -> Iterator[bytes]:
    """Yield the content that ``readinto(buffer)`` gives until it gives nothing, cut into pieces.

    *size* is how much is expected, in bytes; there may be more. No piece is empty or exceeds
    ``MAXIMUM``; together they are the content. Holds some 5 MiB at a time.
    """
    # One buffer for all: fresh memory for each block would take longer to get than to fill.
    buffer = bytearray(min(max(size, MAXIMUM) + 1, MAXIMUM + _READ))
    view = memoryview(buffer)
    held = 0
    while count := readinto(view[held:]):
        held += count
        start = 0
        while held - start > MAXIMUM:
            end = start + cut(view, start)
            yield bytes(view[start:end])
            start = end
        held -= start
        view[:held] = view[start : start + held]
    if held:
        yield bytes(view[:held])


def cut(data: bytes | memoryview, start: int = 0) -> int:
    """Return the length of the first piece of *data* from *start*; more than ``MAXIMUM`` is there.

    It depends on those ``MAXIMUM`` bytes alone, and is more than ``MINIMUM`` and at most
    ``MAXIMUM``.
    """
    window = bytes(data[start + MINIMUM : start + MAXIMUM])
    if record := _greatest_record(window):
        return MINIMUM + record
    window = window.translate(_PERMUTATION)
    for separator in _SEPARATORS:
        lines = window.split(separator, _MOST + 1)
        if 1 < len(lines) <= _MOST + 1:
            return MINIMUM + _greatest(window, lines, len(separator))
    return MAXIMUM


def _greatest_record(window: bytes) -> int:
    """Return where the record with the greatest name begins, after its ``>``; 0 if none does."""
    starts: list[int] = []
    start = 0
    while start := window.find(b">", start) + 1:
        if len(starts) == _MOST_RECORDS:
            return 0
        starts.append(start)
    # The window may tear the last one's name.
    names = [window[start : start + _NAME].translate(_PERMUTATION) for start in starts[:-1]]
    if not names:
        return starts[0] if starts else 0
    greatest = max(names)
    tied = [start for start, name in zip(starts, names, strict=False) if name == greatest]
    return _greatest_by_what_follows(window, tied[:_TIES])


def _greatest(window: bytes, lines: list[bytes], width: int) -> int:
    """Return where the greatest of *lines* begins: *window* split at separators *width* bytes wide.

    The first and the last may be torn by the window, so they do not count, unless there is only
    the last.
    """
    last = max(len(lines) - 1, 2)
    greatest = max(lines[1:last])
    offsets: list[int] = []
    offset = number = 0
    while len(offsets) < _TIES:
        try:
            following = lines.index(greatest, number + 1, last)
        except ValueError:
            break
        offset += sum(map(len, lines[number:following])) + (following - number) * width
        offsets.append(offset)
        number = following
    return _greatest_by_what_follows(window, offsets)


def _greatest_by_what_follows(window: bytes, offsets: list[int]) -> int:
    """Return the one of *offsets*, where equal lines begin, that has the greatest after it.

    Records that resemble each other, like aligned genomes, repeat their lines. Always the first
    one would keep two versions out of step for ever.
    """
    if len(offsets) == 1:
        return offsets[0]
    return max(offsets, key=lambda offset: window[offset : offset + _CONTEXT])
