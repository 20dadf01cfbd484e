"""Manifests as bytes: written after everything they rely on, and believed only after checking.

A manifest comes out of a bucket that others can write to, and says where files are to be written.
So whatever it says is checked before anything is done with it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from nextstrain_batch.errors import CorruptError, StoreError
from nextstrain_batch.store import chunks, packs, paths, seekable, zstd
from nextstrain_batch.store.manifest import Chunk, Entry, Kind, Location, Manifest, Pack

if TYPE_CHECKING:
    from nextstrain_batch.store.transport import Transport

FORMAT = "nextstrain-batch manifest"
VERSION = 1

LIMIT = 1024 * 1024 * 1024
"""The most bytes of JSON that a manifest may be: some five million files."""

_LEVEL = 3
_STORED_LIMIT = 2 * packs.MAXIMUM
_LETTERS: dict[Kind, str] = {"file": "f", "directory": "d", "symlink": "l"}
_KINDS: dict[object, Kind] = {letter: kind for kind, letter in _LETTERS.items()}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def publish(manifest: Manifest, transport: Transport, key: str) -> str:
    """Write *manifest*, whose packs are all there already; return the SHA-256 of its bytes."""
    data = encode(manifest)
    transport.put(key, data)
    return hashlib.sha256(data).hexdigest()


def retrieve(transport: Transport, key: str, digest: str | None = None) -> Manifest:
    """Return the manifest at *key*.

    Raises ``MissingObjectError`` when there is none, and ``CorruptError`` when its bytes' SHA-256
    is not *digest* or it says something that cannot be.
    """
    data = transport.get(key)
    where = f"The manifest {transport.url}/{key}"
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise CorruptError(
            f"{where} is not the one that was written: its SHA-256 is not {digest}.\n\n"
            "Something else has written to the bucket.\n\nRun the build again."
        )
    try:
        return decode(data)
    except CorruptError as error:
        raise CorruptError(
            f"{where} is damaged: {error}\n\nSomething else may have written to the bucket.\n\n"
            "Run the build again."
        ) from None


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of *manifest*; the same for the same manifest and version of zstd.

    One that was decoded has the bytes that it was decoded from.
    """
    if manifest.encoded is None:
        _remember(manifest, _encode(manifest))
    assert manifest.encoded is not None
    return manifest.encoded


def _remember(manifest: Manifest, data: bytes) -> None:
    # Frozen as it is for everybody else: what it says does not change by this.
    object.__setattr__(manifest, "encoded", data)


def _encode(manifest: Manifest) -> bytes:
    pack_numbers = {pack_id: number for number, pack_id in enumerate(manifest.packs)}
    chunk_numbers: dict[str, int] = {}
    table: list[list[object]] = []
    entries: list[list[object]] = []
    for entry in manifest.entries:
        content: object = entry.target
        if entry.kind == "file":
            for chunk in entry.chunks:
                if chunk.digest not in chunk_numbers:
                    place = manifest.locations[chunk.digest]
                    chunk_numbers[chunk.digest] = len(table)
                    table.append([chunk.digest, chunk.size, pack_numbers[place.pack], place.offset])
            content = [chunk_numbers[chunk.digest] for chunk in entry.chunks]
        entries.append([_LETTERS[entry.kind], entry.path, entry.mode, entry.mtime_ns, content])
    document = {
        "format": FORMAT,
        "version": VERSION,
        "packs": [[pack.id, pack.size, pack.stored_size] for pack in manifest.packs.values()],
        "chunks": table,
        "entries": entries,
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    if len(text) > LIMIT:
        raise StoreError(
            f"The list of files takes {len(text)} bytes, and {LIMIT} are allowed.\n\n"
            "Some five million files fit.\n\nLeave some out with --exclude-from-upload."
        )
    return seekable.compress(zstd.best(), text, _LEVEL)


def decode(data: bytes) -> Manifest:
    """Return the manifest that *data* are, or raise ``CorruptError`` saying what is wrong."""
    document = _document(data)
    numbered_packs = [_pack(row) for row in _rows(document, "packs", 3)]
    numbered = [_chunk(row, numbered_packs) for row in _rows(document, "chunks", 4)]
    all_chunks = [chunk for chunk, _ in numbered]
    manifest = Manifest(
        entries=_entries(_rows(document, "entries", 5), all_chunks),
        packs={pack.id: pack for pack in numbered_packs},
        locations={chunk.digest: place for chunk, place in numbered},
    )
    if len(manifest.packs) != len(numbered_packs) or len(manifest.locations) != len(numbered):
        raise CorruptError("It names a pack or a chunk twice.")
    _remember(manifest, data)
    return manifest


def packs_of(data: bytes) -> tuple[Pack, ...]:
    """Return the packs that a manifest's bytes refer to; raises what ``decode`` does.

    Looks at nothing else in it, and so takes a fraction of the time.
    """
    return tuple(_pack(row) for row in _rows(_document(data), "packs", 3))


def _document(data: bytes) -> dict[str, Any]:
    text = seekable.decompress(zstd.best(), data, LIMIT)
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"It is not JSON: {error}.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CorruptError("It does not say that it is a manifest.")
    if document.get("version") != VERSION:
        raise StoreError(
            f"A manifest of version {document.get('version')!r} cannot be read; this program reads "
            f"version {VERSION}.\n\nIt was written by a newer release.\n\n"
            "Upgrade: pip install --upgrade nextstrain-batch"
        )
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _rows(document: dict[str, Any], name: str, width: int) -> list[list[Any]]:
    rows = document.get(name)
    if not isinstance(rows, list):
        raise CorruptError(f"It has no list of {name}.")
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise CorruptError(f"Among its {name} is {row!r:.200}.")
    return rows


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


def _chunk(row: list[Any], numbered_packs: list[Pack]) -> tuple[Chunk, Location]:
    chunk = Chunk(_digest(row[0], "digest"), _integer(row[1], 1, chunks.MAXIMUM, "chunk's size"))
    pack = numbered_packs[_integer(row[2], 0, len(numbered_packs) - 1, "pack's number")]
    offset = _integer(row[3], 0, pack.size - chunk.size, "offset of a chunk")
    return chunk, Location(pack.id, offset)


def _entries(rows: list[list[Any]], all_chunks: list[Chunk]) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    directories = {""}
    previous = b""
    for row in rows:
        entry = _entry(row, all_chunks)
        encoded = paths.check(entry.path)
        if encoded <= previous:
            raise CorruptError(f"The path {entry.path!r} is not in its place.")
        previous = encoded
        if entry.path.rpartition("/")[0] not in directories:
            raise CorruptError(f"The path {entry.path!r} lies in something that is no directory.")
        if entry.kind == "directory":
            directories.add(entry.path)
        entries.append(entry)
    return tuple(entries)


def _entry(row: list[Any], all_chunks: list[Chunk]) -> Entry:
    letter, path, mode, mtime_ns, content = row
    kind = _KINDS.get(letter) if isinstance(letter, str) else None
    if kind is None or not isinstance(path, str):
        raise CorruptError(f"Among its entries is {row!r:.200}.")
    _integer(mode, 0, 0o777, "mode")
    _integer(mtime_ns, -(2**63), 2**63 - 1, "modification time")
    if kind == "file":
        return Entry(path, kind, mode, mtime_ns, _content(path, content, all_chunks))
    if not isinstance(content, str) or bool(content) != (kind == "symlink"):
        raise CorruptError(f"The {kind} {path!r} has the content {content!r:.80}.")
    if kind == "symlink":
        paths.check_target(path, content)
    return Entry(path, kind, mode, mtime_ns, (), content)


def _content(path: str, content: object, all_chunks: list[Chunk]) -> tuple[Chunk, ...]:
    if not isinstance(content, list):
        raise CorruptError(f"The file {path!r} has no list of chunks.")
    try:
        if any(type(number) is not int or number < 0 for number in content):
            raise IndexError
        return tuple([all_chunks[number] for number in content])
    except IndexError:
        raise CorruptError(f"The file {path!r} names a chunk that is not listed.") from None
