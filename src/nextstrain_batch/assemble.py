"""Putting files together out of chunks, from packs and from what lies here already."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nextstrain_batch.snapshot import open_file
from nextstrain_batch.store import packs, parallel, zstd
from nextstrain_batch.store.progress import Meter, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from nextstrain_batch.placing import Staging
    from nextstrain_batch.store.manifest import Chunk, Entry, Manifest
    from nextstrain_batch.store.transport import Transport

FETCHING = "fetch"
"""The phase that progress is told about; its bytes are uncompressed."""

_WORKERS = 6


@dataclass(frozen=True, slots=True)
class LocalPiece:
    """Where a chunk may be found on this computer; it is believed only by its digest."""

    file: Path
    offset: int


@dataclass(slots=True)
class _Whole:
    """A file in the making."""

    entry: Entry
    missing: int
    """How many of its chunks are not written yet."""
    temporary: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


Place = tuple[_Whole, int]


def assemble(
    entries: Iterable[Entry],
    manifest: Manifest,
    transport: Transport,
    staging: Staging,
    done: Callable[[Entry, str], None],
    *,
    local: Mapping[str, LocalPiece] | None = None,
    progress: Progress = silent,
) -> None:
    """Write the content of file *entries* to temporary files, and call *done* with each.

    ``done(entry, temporary)`` is called once a file is complete, from several threads. Chunks that
    *local* knows by their digests are copied from here; the others are fetched from the packs
    where *manifest* says they are. Raises ``LocalFilesError``, ``CorruptError`` and the transport's
    errors.
    """
    places: dict[str, list[Place]] = {}
    chunks: dict[str, Chunk] = {}
    wholes = [_Whole(entry, len(entry.chunks)) for entry in entries]
    for whole in wholes:
        offset = 0
        for chunk in whole.entry.chunks:
            places.setdefault(chunk.digest, []).append((whole, offset))
            chunks[chunk.digest] = chunk
            offset += chunk.size
    pieces = _Pieces(places, staging, done)
    # Local pieces come first and no file is placed before they are all copied: placing one
    # may replace what another is copied from.
    _copy_local(chunks, local or {}, pieces)
    for whole in wholes:
        if not whole.missing:
            pieces.complete(whole)
    pieces.completing = True
    _fetch(chunks, manifest, transport, pieces, progress)


class _Pieces:
    """Writes each chunk wherever it belongs."""

    def __init__(
        self,
        places: dict[str, list[Place]],
        staging: Staging,
        done: Callable[[Entry, str], None],
    ) -> None:
        self._places = places
        self._staging = staging
        self._done = done
        self.completing = False

    def write(self, chunk: Chunk, data: bytes) -> None:
        """Write *data* to all files that hold *chunk*; complete those that this makes whole."""
        for whole, offset in self._places[chunk.digest]:
            path = whole.entry.path
            with whole.lock:
                if not whole.temporary:
                    whole.temporary = self._staging.create(path, b"" if offset else data)
                    if offset:
                        self._staging.write(path, whole.temporary, offset, data)
                else:
                    self._staging.write(path, whole.temporary, offset, data)
                whole.missing -= 1
                complete = not whole.missing
            if complete and self.completing:
                self.complete(whole)

    def complete(self, whole: _Whole) -> None:
        """Hand over a file whose chunks are all written."""
        if not whole.temporary:
            whole.temporary = self._staging.create(whole.entry.path)
        self._done(whole.entry, whole.temporary)


def _copy_local(chunks: dict[str, Chunk], local: Mapping[str, LocalPiece], pieces: _Pieces) -> None:
    """Write the chunks that can be read here, and take them out of *chunks*."""

    def copy(chunk: Chunk) -> str:
        piece = local[chunk.digest]
        try:
            with open_file(piece.file) as file:
                file.seek(piece.offset)
                data = file.read(chunk.size)
        except OSError:
            return ""
        if hashlib.sha256(data).hexdigest() != chunk.digest:
            return ""
        pieces.write(chunk, data)
        return chunk.digest

    here = [chunk for digest, chunk in chunks.items() if digest in local]
    for digest in parallel.each(copy, here, parallel.processors()):
        chunks.pop(digest, None)


def _fetch(
    chunks: dict[str, Chunk],
    manifest: Manifest,
    transport: Transport,
    pieces: _Pieces,
    progress: Progress,
) -> None:
    wanted: dict[str, list[packs.Wanted]] = {}
    for digest, chunk in chunks.items():
        place = manifest.locations[digest]
        wanted.setdefault(place.pack, []).append(packs.Wanted(chunk, place.offset))
    meter = Meter(progress, FETCHING, sum(chunk.size for chunk in chunks.values()))
    codec = zstd.best()

    def fetch(pack_id: str) -> None:
        pack = manifest.packs[pack_id]
        for chunk, data in packs.fetch(transport, pack, wanted[pack_id], codec):
            pieces.write(chunk, data)
            meter.add(len(data))

    parallel.run(fetch, wanted, _WORKERS)


def holds(file: Path, chunks: Iterable[Chunk]) -> bool:
    """Tell by reading whether a regular file holds exactly *chunks*; false if it cannot be read."""
    try:
        with open_file(file) as opened:
            same = all(_next_is(chunk, opened.read) for chunk in chunks)
            return same and not opened.read(1)
    except OSError:
        return False


def _next_is(chunk: Chunk, read: Callable[[int], bytes]) -> bool:
    data = read(chunk.size)
    return len(data) == chunk.size and hashlib.sha256(data).hexdigest() == chunk.digest


def pieces_of(root: Path, entry: Entry) -> Iterator[tuple[str, LocalPiece]]:
    """Yield the chunks of a file that lies here, by digest."""
    offset = 0
    for chunk in entry.chunks:
        yield chunk.digest, LocalPiece(root / entry.path, offset)
        offset += chunk.size
