"""Making packs and sending them: while a snapshot reads the files, and out of the files again.

What a snapshot has in its hands is read, hashed and compressed once: as soon as it fills a pack,
that pack is sent (``Ahead``). Whatever else turns out to be missing is read again (``send``).
Either way a pack holds what its id says, because a wrong one would be believed by everybody who
shares the bucket.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from nextstrain_batch.allocator import keeping_freed
from nextstrain_batch.reading import ChangedError, not_read, open_file
from nextstrain_batch.store import keys, packs, parallel, zstd
from nextstrain_batch.store.manifest import Pack
from nextstrain_batch.store.progress import Meter, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from concurrent.futures import Future, ThreadPoolExecutor
    from io import FileIO
    from pathlib import Path
    from types import TracebackType

    from nextstrain_batch.snapshot import Snapshot
    from nextstrain_batch.store.manifest import Chunk, Entry
    from nextstrain_batch.store.transport import Transport
    from nextstrain_batch.store.zstd import Codec

READING_AND_SENDING = "stream"
"""The phase that progress is told about while files are read. Bytes count as done once they are in
the bucket, or need not be; those that fill no pack, at the end."""

SENDING = "send"
"""The phase of what is sent after that; its bytes are those before compression."""

LEVEL = 3
"""Of zstd: on a slow link, bytes matter more than the time to make them fewer."""

WORKERS = 4
"""Packs that are made or sent at the same time, out of the files."""

AHEAD = 3
"""The same while files are read; each may hold 32 MiB until it is compressed."""


@dataclass(frozen=True, slots=True)
class Made:
    """A pack that was made and is in the bucket now."""

    plan: packs.Plan
    pack: Pack
    was_sent: bool
    """Whether nobody else had sent the same one meanwhile."""


def make(
    plan: packs.Plan,
    read: Callable[[Chunk], bytes],
    transport: Transport,
    codec: Codec,
    level: int,
) -> Made:
    """Make a pack and send it; ``read(chunk)`` returns a chunk's content, verified."""
    data = packs.build(plan, read, codec, level)
    key = keys.pack(plan.id)
    while not transport.put(key, data, if_absent=True):
        # Somebody else's, of which another version of zstd may have made fewer or more bytes. It
        # may have expired in between.
        if (there := next(transport.list(key), None)) is not None:
            return Made(plan, packs.stored(plan, there.size, transport), was_sent=False)
    return Made(plan, Pack(plan.id, plan.size, len(data)), was_sent=True)


# --- while the files are read ------------------------------------------------------------------


class Ahead:
    """Sends packs of new chunks while they are read, as far as they fill packs.

    It is a snapshot's sink; leaving the ``with`` waits for what is on its way. *there* are the
    digests of chunks that need no sending, *stored* the keys of what the bucket holds. *expecting*
    is called with how many bytes are to be read, before they are. ``add`` and the end of the
    ``with`` raise the transport's errors.
    """

    def __init__(
        self,
        transport: Transport,
        there: Collection[str],
        stored: Collection[str],
        level: int,
        progress: Progress,
        expecting: Callable[[int], None],
    ) -> None:
        self._transport = transport
        self._stored = stored
        self._level = level
        self._progress = progress
        self._expecting = expecting
        self._meter = Meter(progress, READING_AND_SENDING, 0)
        self._met = set(there)
        self._filling = packs.Filling()
        self._contents: dict[str, bytes] = {}
        self._codec = zstd.best()
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[Made]] = deque()
        self._made: list[Made] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Wait for what has begun; what has not never does where something went wrong.

        After ``KeyboardInterrupt`` nothing is waited for: the process is about to end.
        """
        patient = not isinstance(error, KeyboardInterrupt)
        try:
            if error is None:
                self._settle(0)
                self._meter.add(sum(map(len, self._contents.values())))
        except KeyboardInterrupt:
            patient = False
            raise
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=patient, cancel_futures=True)

    def begin(self, total: int) -> None:
        """Tell of progress towards *total* bytes."""
        self._expecting(total)
        self._meter = Meter(self._progress, READING_AND_SENDING, total)

    def add(self, chunk: Chunk, content: bytes) -> None:
        """Take a chunk; may wait until an earlier pack is sent."""
        if chunk.digest in self._met:
            self._meter.add(chunk.size)
            return
        self._met.add(chunk.digest)
        full = self._filling.add(chunk)
        # A pack that is full may end before this chunk, which then begins the next one.
        self._contents[chunk.digest] = content
        if full is not None:
            self._begin(full)

    @property
    def made(self) -> tuple[Made, ...]:
        """The packs that were made; all of them, once the ``with`` is over."""
        return tuple(self._made)

    @property
    def contents(self) -> Mapping[str, bytes]:
        """What the chunks hold, by digest, that were taken but did not fill a pack."""
        return MappingProxyType(self._contents)

    def _begin(self, plan: packs.Plan) -> None:
        contents = {chunk.digest: self._contents.pop(chunk.digest) for chunk in plan.chunks}
        if keys.pack(plan.id) in self._stored:
            self._meter.add(plan.size)
            return
        self._settle(AHEAD - 1)
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="ahead")
        # Popped, so that what has been compressed is not held any longer.
        read = lambda chunk: contents.pop(chunk.digest)  # noqa: E731
        self._pending.append(self._pool.submit(self._send, plan, read))

    def _settle(self, most: int) -> None:
        """Wait until at most so many packs are on their way."""
        while len(self._pending) > most:
            self._made.append(self._pending.popleft().result())

    def _send(self, plan: packs.Plan, read: Callable[[Chunk], bytes]) -> Made:
        made = make(plan, read, self._transport, self._codec, self._level)
        self._meter.add(plan.size)
        return made


# --- out of the files --------------------------------------------------------------------------


def send(
    plans: Sequence[packs.Plan],
    snapshot: Snapshot,
    transport: Transport,
    *,
    contents: Mapping[str, bytes],
    level: int,
    progress: Progress,
) -> list[Made]:
    """Make and send packs of a snapshot's chunks, from *contents* by digest or from its files.

    Raises ``PathogenError`` when a file is not any more what the snapshot says, and the
    transport's errors.
    """
    places = _places(snapshot.entries, {chunk for plan in plans for chunk in plan.chunks})
    size = sum(plan.size for plan in plans)
    meter = Meter(progress, SENDING, size)
    codec = zstd.best()

    def send_one(plan: packs.Plan) -> Made:
        with _Reader(snapshot.root, places, contents) as reader:
            made = make(plan, reader.read, transport, codec, level)
        meter.add(plan.size)
        return made

    with keeping_freed(size):
        return list(parallel.each(send_one, plans, WORKERS))


@dataclass(frozen=True, slots=True)
class _Place:
    path: str
    offset: int


def _places(entries: Iterable[Entry], chunks: set[Chunk]) -> dict[str, _Place]:
    """Return, for each chunk's digest, one place where its content can be read."""
    places: dict[str, _Place] = {}
    for entry in entries:
        offset = 0
        for chunk in entry.chunks:
            if chunk in chunks:
                places.setdefault(chunk.digest, _Place(entry.path, offset))
            offset += chunk.size
    return places


class _Reader:
    """Reads chunks out of memory or files, and believes only the files' digests."""

    def __init__(
        self, root: Path, places: dict[str, _Place], contents: Mapping[str, bytes]
    ) -> None:
        self._root = root
        self._places = places
        self._contents = contents
        self._path = ""
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, chunk: Chunk) -> bytes:
        """Return the content of *chunk*, or raise ``PathogenError`` if it is not there any more.

        A wrong pack would be believed by everybody who shares the bucket, hence the check.
        """
        if (content := self._contents.get(chunk.digest)) is not None:
            return content
        place = self._places[chunk.digest]
        try:
            file = self._open(place.path)
            file.seek(place.offset)
            data = file.read(chunk.size)
        except OSError as error:
            raise not_read(place.path, error) from None
        if hashlib.sha256(data).hexdigest() != chunk.digest:
            raise ChangedError.of(place.path)
        return data

    def _open(self, path: str) -> FileIO:
        if self._file is None or self._path != path:
            self._close()
            self._file = open_file(self._root / path)
            self._path = path
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
