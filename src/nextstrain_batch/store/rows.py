"""The rows of a manifest's tables, as JSON has them: none is believed unchecked.

Each function raises ``CorruptError`` for what cannot be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nextstrain_batch.errors import CorruptError
from nextstrain_batch.store import chunks, packs, paths
from nextstrain_batch.store.manifest import (
    EARLIEST_NS,
    LATEST_NS,
    Chunk,
    Entry,
    Kind,
    Location,
    Pack,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STORED_LIMIT = 2 * packs.MAXIMUM
_LETTERS: dict[Kind, str] = {"file": "f", "directory": "d", "symlink": "l"}
_KINDS: dict[object, Kind] = {letter: kind for kind, letter in _LETTERS.items()}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def table(document: dict[str, Any], name: str, width: int) -> list[list[Any]]:
    """Return the table called *name*, whose rows are *width* values each."""
    rows = values(document, name)
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise CorruptError(f"Among its {name} is {row!r:.200}.")
    return rows


def values(document: dict[str, Any], name: str) -> list[Any]:
    """Return the list called *name*."""
    found = document.get(name)
    if not isinstance(found, list):
        raise CorruptError(f"It has no list of {name}.")
    return found


def packs_by_id(document: dict[str, Any]) -> dict[str, Pack]:
    """Return the packs that a document names, in its order, each once."""
    found = [_pack(row) for row in table(document, "packs", 3)]
    by_id = {pack.id: pack for pack in found}
    if len(by_id) != len(found):
        raise CorruptError("It names a pack twice.")
    return by_id


def chunks_by_digest(
    document: dict[str, Any], named: dict[str, Pack]
) -> dict[str, tuple[Chunk, Location]]:
    """Return the chunks that a document lists, in its order, each once, and where they lie."""
    numbered_packs = tuple(named.values())
    found = [_chunk(row, numbered_packs) for row in table(document, "chunks", 4)]
    by_digest = {chunk.digest: (chunk, place) for chunk, place in found}
    if len(by_digest) != len(found):
        raise CorruptError("It names a chunk twice.")
    return by_digest


def entries(document: dict[str, Any], all_chunks: Sequence[Chunk]) -> list[Entry]:
    """Return a document's entries, each of them checked by itself."""
    return [_entry(row, all_chunks) for row in table(document, "entries", 5)]


def tree(found: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries whose paths are below the root, in order, and in directories among them."""
    checked: list[Entry] = []
    directories = {""}
    previous = b""
    for entry in found:
        encoded = paths.check(entry.path)
        if encoded <= previous:
            raise CorruptError(f"The path {entry.path!r} is not in its place.")
        previous = encoded
        if entry.path.rpartition("/")[0] not in directories:
            raise CorruptError(f"The path {entry.path!r} lies in something that is no directory.")
        if entry.kind == "directory":
            directories.add(entry.path)
        checked.append(entry)
    return tuple(checked)


def numbered(name: str, numbers: object, all_chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """Return the chunks that have these *numbers*, which *name* is made of."""
    if not isinstance(numbers, list):
        raise CorruptError(f"{name} has no list of chunks.")
    try:
        if any(type(number) is not int or number < 0 for number in numbers):
            raise IndexError
        return tuple([all_chunks[number] for number in numbers])
    except IndexError:
        raise CorruptError(f"{name} names a chunk that is not listed.") from None


def pack_row(pack: Pack) -> list[object]:
    """Return a pack as ``packs_by_id`` reads it."""
    return [pack.id, pack.size, pack.stored_size]


def chunk_row(chunk: Chunk, pack_number: int, offset: int) -> list[object]:
    """Return a chunk as ``chunks_by_digest`` reads it."""
    return [chunk.digest, chunk.size, pack_number, offset]


def entry_row(entry: Entry, chunk_numbers: dict[str, int]) -> list[object]:
    """Return an entry as ``entries`` reads it; chunks have their numbers by their digests."""
    content: object = entry.target
    if entry.kind == "file":
        content = [chunk_numbers[chunk.digest] for chunk in entry.chunks]
    return [_LETTERS[entry.kind], entry.path, entry.mode, entry.mtime_ns, content]


def _integer(value: object, low: int, high: int, what: str) -> int:
    # A bool is an int to Python, but none in JSON.
    if type(value) is not int or not low <= value <= high:
        raise CorruptError(f"The {what} {value!r:.80} is not a number from {low} to {high}.")
    return value


def _digest(value: object, what: str) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise CorruptError(f"The {what} {value!r:.80} is not 64 hexadecimal digits.")
    return value


def _pack(row: list[Any]) -> Pack:
    return Pack(
        _digest(row[0], "pack id"),
        _integer(row[1], 1, packs.MAXIMUM, "size of a pack"),
        _integer(row[2], 1, _STORED_LIMIT, "stored size of a pack"),
    )


def _chunk(row: list[Any], numbered_packs: Sequence[Pack]) -> tuple[Chunk, Location]:
    chunk = Chunk(_digest(row[0], "digest"), _integer(row[1], 1, chunks.MAXIMUM, "chunk's size"))
    pack = numbered_packs[_integer(row[2], 0, len(numbered_packs) - 1, "pack's number")]
    offset = _integer(row[3], 0, pack.size - chunk.size, "offset of a chunk")
    return chunk, Location(pack.id, offset)


def _entry(row: list[Any], all_chunks: Sequence[Chunk]) -> Entry:
    letter, path, mode, mtime_ns, content = row
    kind = _KINDS.get(letter) if isinstance(letter, str) else None
    if kind is None or not isinstance(path, str):
        raise CorruptError(f"Among its entries is {row!r:.200}.")
    _integer(mode, 0, 0o777, "mode")
    _integer(mtime_ns, EARLIEST_NS, LATEST_NS, "modification time")
    if kind == "file":
        found = numbered(f"The file {path!r}", content, all_chunks)
        return Entry(path, kind, mode, mtime_ns, found)
    if not isinstance(content, str) or bool(content) != (kind == "symlink"):
        raise CorruptError(f"The {kind} {path!r} has the content {content!r:.80}.")
    if kind == "symlink":
        paths.check_target(path, content)
    return Entry(path, kind, mode, mtime_ns, (), content)
