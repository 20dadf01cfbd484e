"""The zstd seekable format: frames of up to 4 MiB, and a table of them at the end.

Public specification: ``contrib/seekable_format`` of facebook/zstd. ``zstd -d`` decodes such an
object as it is, because the table lies in a frame that decoders skip; a reader that wants only
some of it fetches the table, then the frames.
"""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nextstrain_batch.store.zstd import Codec

FRAME = 4 * 1024 * 1024
"""The most that a frame holds, in bytes. A reader refuses more before decompressing anything.

What resembles each other is found only within a frame: 2 GB of related genomes take 72 MB in frames
of 1 MiB, and 34 MB in these. Each thread that compresses or decompresses holds one.
"""

# Of small pieces: files that may be wanted one by one, unlike the pieces of a big one.
_FRAME_OF_SMALL = 1024 * 1024
_SMALL = 512 * 1024

_SKIPPABLE = 0x184D2A5E
_SEEKABLE = 0x8F92EAB1
_HEADER = struct.Struct("<II")
_ROW = struct.Struct("<II")
_FOOTER = struct.Struct("<IBI")
_CHECKSUMS = 0x80
_RESERVED = 0x7C


SMALLEST = _HEADER.size + _FOOTER.size
"""The bytes of an object without a frame: no object that holds anything has so few."""


class Writer:
    """Makes one object of the seekable format, holding only its compressed bytes."""

    def __init__(self, codec: Codec, level: int) -> None:
        self._codec = codec
        self._level = level
        self._parts: list[bytes] = []
        self._rows: list[bytes] = []
        self._frame: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """Append *data*, at most ``FRAME`` bytes, which will not be torn between frames."""
        most = _FRAME_OF_SMALL if len(data) < _SMALL else FRAME
        if self._size + len(data) > most:
            self._flush()
        self._frame.append(data)
        self._size += len(data)

    def finish(self) -> bytes:
        """Return the whole object."""
        self._flush()
        table = b"".join(self._rows)
        footer = _FOOTER.pack(len(self._rows), 0, _SEEKABLE)
        header = _HEADER.pack(_SKIPPABLE, len(table) + len(footer))
        return b"".join([*self._parts, header, table, footer])

    def _flush(self) -> None:
        if not self._size:
            return
        frame = self._codec.compress(b"".join(self._frame), self._level)
        self._parts.append(frame)
        self._rows.append(_ROW.pack(len(frame), self._size))
        self._frame.clear()
        self._size = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Where the frames of one object lie. Position ``i`` is where frame ``i`` begins."""

    stored: tuple[int, ...]
    """Positions in the object; one more than there are frames."""
    raw: tuple[int, ...]
    """Positions in the content; one more than there are frames."""

    @property
    def size(self) -> int:
        """The content's size in bytes."""
        return self.raw[-1]

    def frames(self, offset: int, size: int) -> range:
        """Return the frames that hold the content's *size* bytes from *offset*."""
        if offset < 0 or size < 1 or offset + size > self.size:
            raise CorruptError(f"Bytes {offset} to {offset + size} lie outside of a pack.")
        first = bisect.bisect_right(self.raw, offset) - 1
        return range(first, bisect.bisect_left(self.raw, offset + size))


def table_length(tail: bytes) -> int:
    """Return how many bytes of the object's end its table takes; *tail* is that end or more."""
    count, descriptor = _footer(tail)
    row = 12 if descriptor & _CHECKSUMS else 8
    return _HEADER.size + count * row + _FOOTER.size


def read_table(tail: bytes, stored_size: int | None = None) -> Table:
    """Return the table at the end of *tail*, the last bytes of an object.

    Raises ``CorruptError`` unless it describes frames that are neither empty nor hold more than
    ``FRAME`` bytes, and exactly an object of *stored_size* bytes, where that is known.
    """
    length = table_length(tail)
    if length > len(tail):
        raise CorruptError("The table of a pack is longer than the pack.")
    count, descriptor = _footer(tail)
    width = 12 if descriptor & _CHECKSUMS else 8
    magic, claimed = _HEADER.unpack_from(tail, len(tail) - length)
    if magic != _SKIPPABLE or claimed != length - _HEADER.size:
        raise CorruptError("The table of a pack has no proper beginning.")
    stored, raw = [0], [0]
    start = len(tail) - length + _HEADER.size
    for position in range(start, start + count * width, width):
        frame, content = _ROW.unpack_from(tail, position)
        if not frame or not 0 < content <= FRAME:
            raise CorruptError(f"A pack claims {frame} bytes that hold {content}.")
        stored.append(stored[-1] + frame)
        raw.append(raw[-1] + content)
    if stored_size is not None and stored[-1] + length != stored_size:
        raise CorruptError("The table of a pack does not describe its size.")
    return Table(tuple(stored), tuple(raw))


def _footer(tail: bytes) -> tuple[int, int]:
    """Return the number of frames and the descriptor byte."""
    if len(tail) < _HEADER.size + _FOOTER.size:
        raise CorruptError("A pack is too short to be one.")
    count, descriptor, magic = _FOOTER.unpack_from(tail, len(tail) - _FOOTER.size)
    if magic != _SEEKABLE or descriptor & _RESERVED:
        raise CorruptError("A pack has no table at its end.")
    return count, descriptor


def decode(
    codec: Codec, table: Table, frames: Iterable[int], data: bytes, start: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Yield the content position and content of each of *frames*.

    *data* are bytes of the object from position *start*.
    """
    for frame in frames:
        piece = data[table.stored[frame] - start : table.stored[frame + 1] - start]
        position = table.raw[frame]
        yield position, codec.decompress(piece, table.raw[frame + 1] - position)


def compress(codec: Codec, data: bytes, level: int) -> bytes:
    """Return *data* as one object of the seekable format."""
    writer = Writer(codec, level)
    for start in range(0, len(data), FRAME):
        writer.add(data[start : start + FRAME])
    return writer.finish()


def decompress(codec: Codec, data: bytes, limit: int) -> bytes:
    """Return an object's content; raises ``CorruptError`` for more than *limit* bytes."""
    table = read_table(data, len(data))
    if table.size > limit:
        raise CorruptError(f"An object claims to hold {table.size} bytes; {limit} are allowed.")
    frames = range(len(table.raw) - 1)
    return b"".join(content for _, content in decode(codec, table, frames, data))
