"""Manifests as bytes: written after everything they rely on, and believed only after checking.

A manifest comes out of a bucket that others can write to, and says where files are to be written.
So whatever it says is checked before anything is done with it.

The bytes are those of a JSON document, compressed. One of version 1 says everything. One of version
2 says what is not as in a document of version 1, the *base*, whose text lies in packs.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from nextstrain_batch.errors import CorruptError, MissingObjectError, StoreError
from nextstrain_batch.store import difference, packs, rows, seekable, zstd
from nextstrain_batch.store.difference import Difference
from nextstrain_batch.store.manifest import Base, Chunk, Manifest, Pack, StoredText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nextstrain_batch.store.transport import Transport

FORMAT = "nextstrain-batch manifest"
WHOLE = 1
"""The version of a document that says everything itself."""
DIFFERENCE = 2
"""The version of one that says what differs from its base."""

LIMIT = 1024 * 1024 * 1024
"""The most bytes of JSON that a manifest may be: some five million files."""

_LEVEL = 3


def publish(manifest: Manifest, transport: Transport, key: str) -> str:
    """Write *manifest*, whose packs are all there already; return the SHA-256 of its bytes."""
    data = encode(manifest)
    transport.put(key, data)
    return hashlib.sha256(data).hexdigest()


def retrieve(
    transport: Transport, key: str, digest: str | None = None, *, like: Manifest | None = None
) -> Manifest:
    """Return the manifest at *key*.

    Its base need not be fetched if that of *like* is the same. Raises ``MissingObjectError`` when
    there is no manifest, ``CorruptError`` when its bytes' SHA-256 is not *digest* or it or its base
    says something that cannot be, and ``StoreError`` when its base is gone.
    """
    data = transport.get(key)
    where = f"The manifest {transport.url}/{key}"
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise CorruptError(
            f"{where} is not the one that was written: its SHA-256 is not {digest}.\n\n"
            "Something else has written to the bucket.\n\nRun the build again."
        )
    with _naming(where):
        said = _read(data)
    if not isinstance(said, Difference):
        return said
    if like is not None and like.base is not None and like.base.stored.chunks == said.base.chunks:
        base = replace(like.base, stored=said.base)
    else:
        text = _fetch(transport, said.base, where)
        with _naming(where):
            base = base_of(said.base, text)
    with _naming(where):
        return _remembering(difference.apply(said, base), data)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    try:
        yield
    except CorruptError as error:
        raise CorruptError(
            f"{where} is damaged: {error}\n\nSomething else may have written to the bucket.\n\n"
            "Run the build again."
        ) from None


def _fetch(transport: Transport, stored: StoredText, where: str) -> bytes:
    """Return the text out of its packs; raises what ``packs.fetch`` does, which names them."""
    wanted: dict[str, list[packs.Wanted]] = {}
    for chunk in dict.fromkeys(stored.chunks):
        place = stored.locations[chunk.digest]
        wanted.setdefault(place.pack, []).append(packs.Wanted(chunk, place.offset))
    try:
        found = {
            chunk.digest: data
            for pack_id, those in wanted.items()
            for chunk, data in packs.fetch(transport, stored.packs[pack_id], those, zstd.best())
        }
    except MissingObjectError as error:
        raise StoreError(
            f"{where} relies on an earlier list of files, which is gone: {error}\n\n"
            "Was it removed by hand, or by a lifecycle rule that deletes too early?"
            " `nextstrain check-setup aws-batch` looks at the rules.\n\nRun the build again."
        ) from error
    return b"".join(found[chunk.digest] for chunk in stored.chunks)


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of *manifest*; the same for the same manifest, base and version of zstd.

    One that was decoded has the bytes that it was decoded from.
    """
    if manifest.encoded is None:
        _remembering(manifest, seekable.compress(zstd.best(), _text(manifest), _LEVEL))
    assert manifest.encoded is not None
    return manifest.encoded


def _remembering(manifest: Manifest, data: bytes) -> Manifest:
    # Frozen as it is for everybody else: what it says does not change by this.
    object.__setattr__(manifest, "encoded", data)
    return manifest


def _text(manifest: Manifest) -> bytes:
    if manifest.base is None:
        return whole_text(manifest)[0]
    return _json(DIFFERENCE, difference.between(manifest, manifest.base))


def whole_text(manifest: Manifest) -> tuple[bytes, tuple[Chunk, ...]]:
    """Return all that *manifest* says as JSON, and its chunks in the order of their numbers."""
    pack_numbers = {pack_id: number for number, pack_id in enumerate(manifest.packs)}
    chunk_numbers: dict[str, int] = {}
    table: list[Chunk] = []
    for entry in manifest.entries:
        for chunk in entry.chunks:
            if chunk.digest not in chunk_numbers:
                chunk_numbers[chunk.digest] = len(table)
                table.append(chunk)
    places = [manifest.locations[chunk.digest] for chunk in table]
    document = {
        "packs": [rows.pack_row(pack) for pack in manifest.packs.values()],
        "chunks": [
            rows.chunk_row(chunk, pack_numbers[place.pack], place.offset)
            for chunk, place in zip(table, places, strict=True)
        ],
        "entries": [rows.entry_row(entry, chunk_numbers) for entry in manifest.entries],
    }
    return _json(WHOLE, document), tuple(table)


def _json(version: int, tables: dict[str, Any]) -> bytes:
    document = {"format": FORMAT, "version": version, **tables}
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    if len(text) > LIMIT:
        raise StoreError(
            f"The list of files takes {len(text)} bytes, and {LIMIT} are allowed.\n\n"
            "Some five million files fit.\n\nLeave some out with --exclude-from-upload."
        )
    return text


def decode(data: bytes, find: Callable[[StoredText], Base] | None = None) -> Manifest:
    """Return the manifest that *data* are, or raise ``CorruptError`` saying what is wrong.

    ``find(stored)`` returns the base that it needs, if it does. Without it, such a manifest is a
    ``StoreError``.
    """
    said = _read(data)
    if not isinstance(said, Difference):
        return said
    if find is None:
        raise StoreError("The manifest needs another one, which is not here.")
    return _remembering(difference.apply(said, find(said.base)), data)


def base_of(stored: StoredText, text: bytes) -> Base:
    """Return the base that *text* is, which is said to be *stored*.

    Raises ``CorruptError`` when it is not that text, or says something that cannot be.
    """
    offset = 0
    for chunk in stored.chunks:
        piece = text[offset : offset + chunk.size]
        if hashlib.sha256(piece).hexdigest() != chunk.digest:
            raise CorruptError("What it is based on is not what it was.")
        offset += chunk.size
    if offset != len(text):
        raise CorruptError("What it is based on is longer than it was.")
    document = _document(text)
    if document["version"] != WHOLE:
        raise CorruptError("What it is based on does not say everything itself.")
    return Base(stored, text, *_whole(document))


def packs_of(data: bytes) -> tuple[Pack, ...]:
    """Return all packs that a manifest's bytes rely on; raises what ``decode`` does.

    Looks at nothing else in it, and so takes a fraction of the time.
    """
    return tuple(rows.packs_by_id(_document(_decompressed(data))).values())


def needs(data: bytes) -> StoredText | None:
    """Return where the base lies that a manifest's bytes rely on; raises what ``decode`` does."""
    document = _document(_decompressed(data))
    return difference.read(document).base if document["version"] == DIFFERENCE else None


def _decompressed(data: bytes) -> bytes:
    return seekable.decompress(zstd.best(), data, LIMIT)


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"It is not JSON: {error}.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CorruptError("It does not say that it is a manifest.")
    version = document.get("version")
    if type(version) is not int or version not in (WHOLE, DIFFERENCE):
        raise StoreError(
            f"A manifest of version {version!r} cannot be read; this program reads "
            f"versions {WHOLE} and {DIFFERENCE}.\n\nIt was written by a newer release.\n\n"
            "Upgrade: pip install --upgrade nextstrain-batch"
        )
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _read(data: bytes) -> Manifest | Difference:
    """Return what a manifest's bytes say, as far as they say it themselves."""
    document = _document(_decompressed(data))
    if document["version"] == WHOLE:
        return _remembering(_whole(document)[0], data)
    said = difference.read(document)
    size = sum(chunk.size for chunk in said.base.chunks)
    if not 0 < size <= LIMIT:
        raise CorruptError(f"Its base has {size} bytes, and 1 to {LIMIT} are allowed.")
    return said


def _whole(document: dict[str, Any]) -> tuple[Manifest, tuple[Chunk, ...]]:
    """Return what a document of version 1 says, and its chunks in the order of their numbers."""
    named = rows.packs_by_id(document)
    listed = rows.chunks_by_digest(document, named)
    table = tuple([chunk for chunk, _ in listed.values()])
    manifest = Manifest(
        entries=rows.tree(rows.entries(document, table)),
        packs=named,
        locations={digest: place for digest, (_, place) in listed.items()},
    )
    return manifest, table
