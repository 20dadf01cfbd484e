"""Packs: many chunks in one object, because requests cost time and money.

A pack is named by what it holds, not by its bytes, so its name is known before it is compressed,
whichever version of zstd does it.
"""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.errors import CorruptError
from nextstrain_batch.store import keys, seekable
from nextstrain_batch.store.manifest import Chunk, Location, Pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from nextstrain_batch.store.transport import Transport
    from nextstrain_batch.store.zstd import Codec

MINIMUM = 8 * 1024 * 1024
"""Uncompressed bytes before a pack may end, except for the last one of a transfer."""

MAXIMUM = 32 * 1024 * 1024
"""The most uncompressed bytes that a pack holds, in any manifest."""

# Between the two, a pack ends after as many more bytes as this, on average.
_SPREAD = 8 * 1024 * 1024
_TAG = b"nextstrain-batch pack 1\n"
# What the end of a pack is asked for first: the table of any pack that this program makes.
_TAIL = 4096
# Unwanted stored bytes that are fetched rather than paying for another request.
_GAP = 256 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """A pack that is to be made: its id and its chunks, in order."""

    id: str
    chunks: tuple[Chunk, ...]

    @property
    def size(self) -> int:
        """The uncompressed size in bytes."""
        return sum(chunk.size for chunk in self.chunks)

    def locations(self) -> Iterator[tuple[str, Location]]:
        """Yield each chunk's digest and its place in this pack."""
        offset = 0
        for chunk in self.chunks:
            yield chunk.digest, Location(self.id, offset)
            offset += chunk.size


def pack_id(chunks: Iterable[Chunk]) -> str:
    """Return the id of the pack that holds *chunks* in this order: 64 hexadecimal digits."""
    digest = hashlib.sha256(_TAG)
    for chunk in chunks:
        digest.update(f"{chunk.digest} {chunk.size}\n".encode())
    return digest.hexdigest()


class Filling:
    """Packs that chunks fill one after the other.

    Where a pack ends depends on the chunks alone, so that two people who send the same files, or
    nearly, make the same packs and only one of them sends them.
    """

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._size = 0

    def add(self, chunk: Chunk) -> Plan | None:
        """Take a chunk; return the pack that is full now, which may end before this chunk."""
        full = self.end() if self._size + chunk.size > MAXIMUM else None
        self._chunks.append(chunk)
        self._size += chunk.size
        if self._size >= MINIMUM and _ends_pack(chunk):
            return self.end()
        return full

    def end(self) -> Plan | None:
        """Return the pack of what is left, if anything is."""
        if not self._chunks:
            return None
        plan = Plan(pack_id(self._chunks), tuple(self._chunks))
        self._chunks, self._size = [], 0
        return plan


def plan(chunks: Iterable[Chunk]) -> Iterator[Plan]:
    """Yield the packs that *chunks* go into; none of them comes twice."""
    filling = Filling()
    for chunk in chunks:
        if full := filling.add(chunk):
            yield full
    if rest := filling.end():
        yield rest


def _ends_pack(chunk: Chunk) -> bool:
    """Tell by its digest; the bigger, the likelier: bytes count, not the number of files."""
    return int(chunk.digest[:8], 16) * _SPREAD < chunk.size << 32


def stored(plan: Plan, size: int, transport: Transport) -> Pack:
    """Return the pack that the bucket holds by the name of *plan*, in an object of *size* bytes.

    Raises ``CorruptError`` where that is too small to be one: whoever relied on it would fail.
    """
    if size <= seekable.SMALLEST:
        raise _damaged(transport, plan.id, f"It has {size} bytes.")
    return Pack(plan.id, plan.size, size)


def build(plan: Plan, read: Callable[[Chunk], bytes], codec: Codec, level: int) -> bytes:
    """Return the bytes of the pack; ``read(chunk)`` returns the chunk's content, verified."""
    writer = seekable.Writer(codec, level)
    for chunk in plan.chunks:
        writer.add(read(chunk))
    return writer.finish()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk that is to be read from a pack."""

    chunk: Chunk
    offset: int
    """In bytes, in the pack's content."""


def fetch(
    transport: Transport,
    pack: Pack,
    wanted: Sequence[Wanted],
    codec: Codec,
    turn: AbstractContextManager[object] | None = None,
) -> Iterator[tuple[Chunk, memoryview]]:
    """Yield each wanted chunk with its verified content, in the order of their offsets.

    Fetches the whole pack where that costs least, else its table and the frames that hold
    something wanted. *turn* is entered while there is something to decode, and for the caller to
    work on, and not while S3 is waited for. Raises ``MissingObjectError`` when the pack is gone,
    and ``CorruptError``, naming it, when it is not what its id and the manifest promise.
    """
    try:
        ordered = sorted(wanted, key=lambda each: each.offset)
        yield from _fetch(transport, pack, ordered, codec, turn or nullcontext())
    except CorruptError as error:
        raise _damaged(transport, pack.id, str(error)) from None


def _damaged(transport: Transport, pack_id: str, why: str) -> CorruptError:
    url = f"{transport.url}/{keys.pack(pack_id)}"
    return CorruptError(
        f"The pack {url} is damaged: {why}\n\n"
        "The object may have been overwritten, or written by something else than this program.\n\n"
        f"Delete it and send the build again: aws s3 rm {url}"
    )


def _fetch(
    transport: Transport,
    pack: Pack,
    wanted: Sequence[Wanted],
    codec: Codec,
    turn: AbstractContextManager[object],
) -> Iterator[tuple[Chunk, memoryview]]:
    key = keys.pack(pack.id)
    live = sum(each.chunk.size for each in wanted)
    if pack.stored_size <= 2 * _GAP or 2 * live >= pack.size:
        data = transport.get(key)
        table = _checked(seekable.read_table(data, len(data)), pack)
        with turn:
            yield from _chunks(codec, table, wanted, data, 0)
        return
    table = _checked(_table(transport, key, pack), pack)
    for run in _runs(table, wanted):
        first = table.frames(run[0].offset, run[0].chunk.size)[0]
        last = table.frames(run[-1].offset, run[-1].chunk.size)[-1]
        start = table.stored[first]
        data = transport.get(key, start, table.stored[last + 1] - start)
        with turn:
            yield from _chunks(codec, table, run, data, start)


def _table(transport: Transport, key: str, pack: Pack) -> seekable.Table:
    tail = transport.get(key, -min(_TAIL, pack.stored_size))
    length = seekable.table_length(tail)
    if len(tail) < length <= pack.stored_size:
        tail = transport.get(key, -length)
    # Its size is not compared with the manifest's: a pack that expired and was sent again may take
    # other bytes for the same content, by another level or version of zstd.
    return seekable.read_table(tail)


def _checked(table: seekable.Table, pack: Pack) -> seekable.Table:
    if table.size != pack.size:
        raise CorruptError(f"It holds {table.size} bytes where the manifest says {pack.size}.")
    return table


def _runs(table: seekable.Table, wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    """Yield *wanted* in groups that one request each is to fetch."""
    run: list[Wanted] = []
    end = 0
    for each in wanted:
        frames = table.frames(each.offset, each.chunk.size)
        if run and table.stored[frames[0]] - end > _GAP:
            yield run
            run = []
        run.append(each)
        end = max(end, table.stored[frames[-1] + 1])
    if run:
        yield run


def _chunks(
    codec: Codec, table: seekable.Table, wanted: Sequence[Wanted], data: bytes, start: int
) -> Iterator[tuple[Chunk, memoryview]]:
    """Yield the wanted chunks out of *data*, the pack's bytes from *start*, a frame at a time."""
    frames: dict[int, bytes] = {}
    for each in wanted:
        needed = table.frames(each.offset, each.chunk.size)
        for old in [frame for frame in frames if frame < needed[0]]:
            del frames[old]
        missing = [frame for frame in needed if frame not in frames]
        for frame in missing:
            (_, frames[frame]), *_ = seekable.decode(codec, table, [frame], data, start)
        content = (
            b"".join(frames[frame] for frame in needed) if len(needed) > 1 else (frames[needed[0]])
        )
        begin = each.offset - table.raw[needed[0]]
        piece = memoryview(content)[begin : begin + each.chunk.size]
        if hashlib.sha256(piece).hexdigest() != each.chunk.digest:
            raise CorruptError(f"The bytes at {each.offset} are not {each.chunk.digest}.")
        yield each.chunk, piece
