"""Putting files together out of chunks, from packs and from what lies here already."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nextstrain_batch.allocator import keeping_freed
from nextstrain_batch.reading import open_file
from nextstrain_batch.store import packs, parallel, zstd
from nextstrain_batch.store.chunks import MAXIMUM, chunk_of
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
    """Where a chunk may be found on this computer."""

    file: Path
    offset: int
    status: os.stat_result | None = None
    """With this status, the file is known to hold the chunk. Without, it is read and hashed."""


@dataclass(slots=True)
class _Whole:
    """A file in the making."""

    entry: Entry
    missing: int = 0
    """How many of its chunks are not written yet."""
    temporary: str = ""
    copied: set[int] = field(default_factory=set)
    """Offsets of the chunks that were copied from here, unread."""
    has_holes: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class _Run:
    """Chunks that follow each other in a file in the making, as in one that lies here."""

    start: int
    piece: LocalPiece
    """The first one."""
    status: os.stat_result
    """The piece's."""
    size: int = 0
    offsets: list[int] = field(default_factory=list)
    """Of the chunks, in the file in the making."""

    def is_followed_by(self, piece: LocalPiece) -> bool:
        """Tell whether a piece comes next."""
        return (self.piece.file, self.piece.offset + self.size) == (piece.file, piece.offset)


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
    *local* knows by their digests are copied from here, and verified unless their file is known to
    hold them; the others are fetched from the packs where *manifest* says they are. A chunk of
    ``MAXIMUM`` zeros is neither: it becomes a hole in the file, which takes no room where the file
    system can do that. Raises ``LocalFilesError``, ``CorruptError`` and the transport's errors.
    """
    places: dict[str, list[Place]] = {}
    chunks: dict[str, Chunk] = {}
    wholes = [_Whole(entry) for entry in entries]
    _copy_runs(wholes, local or {}, staging)
    for whole in wholes:
        for offset, chunk in _offsets(whole.entry):
            if offset in whole.copied:
                continue
            if _is_hole(chunk):
                whole.has_holes = True
                continue
            whole.missing += 1
            places.setdefault(chunk.digest, []).append((whole, offset))
            chunks[chunk.digest] = chunk
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

    def write(self, chunk: Chunk, data: bytes | memoryview) -> None:
        """Write *data* to all files that hold *chunk*; complete those that this makes whole.

        All of it or, once *staging* is no more, nothing.
        """
        with self._staging.working():
            self._write(chunk, data)

    def _write(self, chunk: Chunk, data: bytes | memoryview) -> None:
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
        if whole.has_holes:
            self._staging.lengthen(whole.entry.path, whole.temporary, whole.entry.size)
        self._done(whole.entry, whole.temporary)


def _copy_runs(wholes: Iterable[_Whole], local: Mapping[str, LocalPiece], staging: Staging) -> None:
    """Copy what files here are known to hold, without reading it."""

    def copy(whole: _Whole) -> None:
        # One after the other: the system lets only one thread at a time write to a file.
        for run in _runs(whole.entry, local):
            if not whole.temporary:
                with staging.working():
                    whole.temporary = staging.create(whole.entry.path)
            if _copy_run(run, whole, staging):
                whole.copied.update(run.offsets)

    if local:
        parallel.run(copy, wholes, parallel.processors())


def _copy_run(run: _Run, whole: _Whole, staging: Staging) -> bool:
    """Copy a run; return whether it was what it was known to be from beginning to end.

    Where it was not, it is read again, or what it should hold is fetched.
    """
    try:
        with open_file(run.piece.file) as file:
            source = file.fileno()
            return (
                is_same(os.fstat(source), run.status)
                and staging.copy(
                    whole.entry.path,
                    whole.temporary,
                    run.start,
                    run.size,
                    source,
                    run.piece.offset,
                )
                and is_same(os.fstat(source), run.status)
            )
    except OSError:
        return False


def _runs(entry: Entry, local: Mapping[str, LocalPiece]) -> Iterator[_Run]:
    run: _Run | None = None
    for offset, chunk in _offsets(entry):
        # To copy a hole would fill it, on most file systems.
        piece = None if _is_hole(chunk) else local.get(chunk.digest)
        if run is not None and (piece is None or not run.is_followed_by(piece)):
            yield run
            run = None
        if piece is None or piece.status is None:
            continue
        run = run or _Run(offset, piece, piece.status)
        run.size += chunk.size
        run.offsets.append(offset)
    if run is not None:
        yield run


def _is_hole(chunk: Chunk) -> bool:
    return chunk.size == MAXIMUM and chunk.digest == _zeros()


@functools.cache
def _zeros() -> str:
    return chunk_of(bytes(MAXIMUM)).digest


def _offsets(entry: Entry) -> Iterator[tuple[int, Chunk]]:
    offset = 0
    for chunk in entry.chunks:
        yield offset, chunk
        offset += chunk.size


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell by two looks at a file whether it has not been changed in between."""
    return (one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino, one.st_dev) == (
        other.st_size,
        other.st_mtime_ns,
        other.st_ctime_ns,
        other.st_ino,
        other.st_dev,
    )


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
    size = sum(chunk.size for chunk in chunks.values())
    meter = Meter(progress, FETCHING, size)
    codec = zstd.best()
    # More threads than processors make small files slower: they wait for Python's lock in turn.
    turn = threading.Semaphore(parallel.processors())

    def fetch(pack_id: str) -> None:
        pack = manifest.packs[pack_id]
        for chunk, data in packs.fetch(transport, pack, wanted[pack_id], codec, turn):
            pieces.write(chunk, data)
            meter.add(len(data))

    with keeping_freed(size):
        parallel.run(fetch, wanted, _WORKERS)


def holds(file: str, chunks: Iterable[Chunk]) -> bool:
    """Tell by reading whether a regular file holds exactly *chunks*.

    False if it cannot be read, or somebody writes to it meanwhile.
    """
    try:
        with open_file(file) as opened:
            before = os.fstat(opened.fileno())
            same = all(_next_is(chunk, opened.read) for chunk in chunks) and not opened.read(1)
            return same and is_same(before, os.fstat(opened.fileno()))
    except OSError:
        return False


def _next_is(chunk: Chunk, read: Callable[[int], bytes]) -> bool:
    data = read(chunk.size)
    return len(data) == chunk.size and hashlib.sha256(data).hexdigest() == chunk.digest


def pieces_of(
    root: Path, entry: Entry, status: os.stat_result | None
) -> Iterator[tuple[str, LocalPiece]]:
    """Yield the chunks of a file that lies here, by digest; *status* if it tells so."""
    file = root / entry.path
    for offset, chunk in _offsets(entry):
        yield chunk.digest, LocalPiece(file, offset, status)
