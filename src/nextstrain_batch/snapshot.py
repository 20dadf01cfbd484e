"""The build directory as it is now: its entries, and the chunks of its files.

A file whose status is as it was when last read is not read again.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from nextstrain_batch.allocator import keeping_freed
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.reading import ChangedError, link_target, not_read, open_file
from nextstrain_batch.store import parallel
from nextstrain_batch.store.chunks import MAXIMUM, chunk_of, pieces
from nextstrain_batch.store.manifest import EARLIEST_NS, LATEST_NS, Chunk, Entry
from nextstrain_batch.store.progress import Meter, Progress, silent
from nextstrain_batch.walk import Found, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO
    from pathlib import Path

    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store.manifest import Kind

READING = "read"
"""The phase that progress is told about."""


class Sink(Protocol):
    """Takes what is read, and tells how far that is: it may be slower than the reading."""

    def begin(self, total: int) -> None:
        """Take note that some *total* bytes will come; called once, before the first of them."""

    def add(self, chunk: Chunk, content: bytes) -> None:
        """Take a chunk; they come in the order of the files' paths.

        Those of a file that turns out to have changed meanwhile, too; it is then read again.
        """


_BATCH_FILES = 64
_BATCH_BYTES = 8 * MAXIMUM
# A bigger file is read while its pieces are handed on, instead of being held whole.
_WHOLE = 8 * MAXIMUM
_TRIES = 3
# Each one holds a group or two of files; more of them do not read faster than one can send.
_MOST_READERS = 8


@dataclass(frozen=True)
class Snapshot:
    """The entries below *root*, in the order of their paths' bytes."""

    root: Path
    entries: tuple[Entry, ...]


def take(
    root: Path,
    found: Iterable[Found],
    cache: StatCache,
    *,
    progress: Progress = silent,
    problem: Callable[[PathogenError], None] = refuse,
    sink: Sink | None = None,
    ready: Callable[[], None] = lambda: None,
    clock: Callable[[], int] = time.time_ns,
) -> Snapshot:
    """Return the snapshot of what ``walk`` *found* below *root*, reading what *cache* cannot tell.

    A time that a manifest cannot tell becomes the nearest one that it can.

    The cache is brought up to date and forgets what was not found. A file that vanishes, keeps
    changing while it is read or cannot be read, and a symlink that loops or leaves the root, is
    handed to *problem* as a ``PathogenError`` and left out if that returns. *ready* is called when
    all links have been looked at, and no file has been read yet. What is read is given
    to *sink*, which then tells of its progress. *clock* returns nanoseconds since 1970.
    """
    entries: dict[str, Entry] = {}
    unread: list[Found] = []
    paths: list[str] = []
    real_root = os.path.realpath(root)
    for each in found:
        paths.append(each.path)
        if not stat.S_ISREG(each.status.st_mode):
            entries |= _link_or_directory(real_root, each, problem)
        elif (chunks := cache.chunks(each.path, each.status)) is None:
            unread.append(each)
        else:
            entries[each.path] = _entry(each, "file", chunks)
    ready()
    cache.keep_only(set(paths))
    total = sum(each.status.st_size for each in unread)
    meter = Meter(progress if sink is None else silent, READING, total)
    if sink is not None:
        sink.begin(total)
    with keeping_freed(total):
        for outcome in _Reading(root, clock, meter, sink).all(unread):
            if isinstance(outcome, PathogenError):
                problem(outcome)
                continue
            file = outcome.found
            entries[file.path] = _entry(file, "file", outcome.chunks)
            cache.record(file.path, file.status, outcome.chunks, outcome.began_ns)
    return Snapshot(root, tuple([entries[path] for path in paths if path in entries]))


def _entry(found: Found, kind: Kind, chunks: tuple[Chunk, ...] = (), target: str = "") -> Entry:
    # Linux knows no other permissions of a symlink; macOS does, and nobody looks at them.
    mode = 0o777 if kind == "symlink" else found.status.st_mode & 0o777
    # Who takes milliseconds for seconds makes files of the distant future, which ext4 lets be.
    mtime_ns = min(max(found.status.st_mtime_ns, EARLIEST_NS), LATEST_NS)
    return Entry(found.path, kind, mode, mtime_ns, chunks, target)


def _link_or_directory(
    root: str, found: Found, problem: Callable[[PathogenError], None]
) -> dict[str, Entry]:
    if stat.S_ISDIR(found.status.st_mode):
        return {found.path: _entry(found, "directory")}
    try:
        target = link_target(root, found.path)
    except PathogenError as error:
        problem(error)
        return {}
    return {found.path: _entry(found, "symlink", target=target)}


# --- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Read:
    found: Found
    chunks: tuple[Chunk, ...]
    began_ns: int
    contents: tuple[bytes, ...]
    """The chunks', unless nobody asks for them or has had them already."""


_Content = tuple[tuple[Chunk, ...], tuple[bytes, ...]]
"""What ``_Read`` has of it."""


class _Reading:
    """Reads files: small ones in groups, several at once; a big one alone, piece by piece."""

    def __init__(
        self, root: Path, clock: Callable[[], int], meter: Meter, sink: Sink | None
    ) -> None:
        self._root = os.fspath(root)
        self._clock = clock
        self._meter = meter
        self._sink = sink

    def all(self, unread: list[Found]) -> Iterator[_Read | PathogenError]:
        """Yield what came of reading each file, in order; gives the sink what they hold."""
        groups = parallel.each(self._group, _batches(unread), _readers())
        for outcome in chain.from_iterable(groups):
            if isinstance(outcome, Found):
                yield self._big(outcome)
                continue
            if isinstance(outcome, _Read) and self._sink is not None:
                for chunk, content in zip(outcome.chunks, outcome.contents, strict=False):
                    self._sink.add(chunk, content)
            yield outcome

    def _group(self, group: list[Found]) -> list[_Read | PathogenError | Found]:
        """Read small files. A big one is returned as it is; it is read when its turn comes."""
        return [found if found.status.st_size > _WHOLE else self._small(found) for found in group]

    def _small(self, found: Found) -> _Read | PathogenError:
        def take(file: FileIO, size: int) -> _Content:
            keep = self._sink is not None and size <= _WHOLE  # it may have grown since
            chunks: list[Chunk] = []
            contents: list[bytes] = []
            for content in _pieces(file, size):
                chunks.append(chunk_of(content))
                if keep:
                    contents.append(content)
            return tuple(chunks), tuple(contents)

        try:
            return _read(self._root, found.path, self._clock, take)
        except PathogenError as error:
            return error
        finally:
            self._meter.add(found.status.st_size)

    def _big(self, found: Found) -> _Read | PathogenError:
        def take(file: FileIO, size: int) -> _Content:
            chunks: list[Chunk] = []
            # Cutting holds Python's lock most of the time and hashing does not.
            for chunk, content in parallel.each(_named, _pieces(file, size), _readers()):
                chunks.append(chunk)
                if self._sink is not None:
                    self._sink.add(chunk, content)
                self._meter.add(chunk.size)
            return tuple(chunks), ()

        try:
            return _read(self._root, found.path, self._clock, take)
        except PathogenError as error:
            return error


def _pieces(file: FileIO, size: int) -> Iterator[bytes]:
    if size > MAXIMUM:
        yield from pieces(file.readinto, size)
    # One byte more than is expected shows that a file of one chunk has grown.
    elif content := file.read(size + 1):
        yield content


def _readers() -> int:
    return min(parallel.processors(), _MOST_READERS)


def _named(content: bytes) -> tuple[Chunk, bytes]:
    return chunk_of(content), content


def _batches(unread: list[Found]) -> Iterator[list[Found]]:
    """Yield the files in groups worth the cost of handing them to another thread."""
    batch: list[Found] = []
    size = 0
    for found in unread:
        batch.append(found)
        size += found.status.st_size
        if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(
    root: str,
    path: str,
    clock: Callable[[], int],
    take: Callable[[FileIO, int], _Content],
) -> _Read:
    """Read a file until it keeps still meanwhile; ``take(file, size)`` returns what it holds."""
    for _ in range(_TRIES):
        began = clock()
        try:
            with open_file(f"{root}/{path}") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    break
                chunks, contents = take(file, before.st_size)
                after = os.fstat(file.fileno())
        except BrokenPipeError:
            raise  # No file does that: the output to which progress is told was closed.
        except OSError as error:
            raise not_read(path, error) from None
        size = sum(chunk.size for chunk in chunks)
        # The times together: the modification time alone can be put back by whoever wrote.
        if (before.st_mtime_ns, before.st_ctime_ns, before.st_size, size) == (
            after.st_mtime_ns,
            after.st_ctime_ns,
            after.st_size,
            after.st_size,
        ):
            return _Read(Found(path, after), chunks, began, contents)
    raise ChangedError.of(path)
