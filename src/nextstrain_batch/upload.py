"""Sending a snapshot: the packs that are not in the bucket yet. The manifest is published after.

1. One listing says which packs there are, and how old.
2. Chunks that a known manifest places in one of those stay there; the others go into new packs.
   That is the plan; making it writes nothing.
3. Packs that will be relied on are held, if they are so old that they might be removed before the
   manifest is there: against pruning by a pin (``store/pins.py``), against expiry by renewing them.
4. The new packs are made and sent.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

from nextstrain_batch.errors import MissingObjectError
from nextstrain_batch.snapshot import changed, open_file
from nextstrain_batch.store import keys, packs, parallel, pins, zstd
from nextstrain_batch.store.manifest import Location, Manifest, Pack
from nextstrain_batch.store.progress import Meter, Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from io import FileIO
    from pathlib import Path

    from nextstrain_batch.snapshot import Snapshot
    from nextstrain_batch.store.manifest import Chunk, Entry
    from nextstrain_batch.store.transport import StoredObject, Transport

SENDING = "send"
"""The phase that progress is told about; its bytes are those before compression."""

EXPIRY = timedelta(days=30)
"""How long the bucket keeps an object, counted from when it was written."""

LEVEL = 3
"""Of zstd: on a slow link, bytes matter more than the time to make them fewer."""

_WORKERS = 4
_TINY = 1024 * 1024
_MANY_TINY = 24


@dataclass(frozen=True)
class Plan:
    """What an upload will do, by one listing of the bucket: where every chunk is to lie."""

    snapshot: Snapshot
    locations: dict[str, Location]
    """Of the snapshot's chunks, by their digests."""
    reused: dict[str, Pack]
    """The packs that are there already, by id."""
    new: tuple[packs.Plan, ...]
    """The packs that are to be made and sent."""
    written: dict[str, datetime]
    """When the packs of ``reused`` were written, by id."""
    listed: datetime
    """When the listing was asked for."""
    known: tuple[Manifest, ...]
    """Those that told where chunks may lie."""


@dataclass(frozen=True)
class Uploaded:
    """What an upload did."""

    manifest: Manifest
    packs_sent: int
    bytes_sent: int
    """Compressed."""
    packs_reused: int


def upload(
    snapshot: Snapshot,
    transport: Transport,
    *,
    known: Sequence[Manifest] = (),
    kept: Collection[str] = (),
    now: Callable[[], datetime],
    progress: Progress = silent,
    level: int = LEVEL,
) -> Uploaded:
    """Plan and execute at once."""
    planned = plan(snapshot, transport, known=known, now=now)
    return execute(planned, transport, kept=kept, now=now, progress=progress, level=level)


def plan(
    snapshot: Snapshot,
    transport: Transport,
    *,
    known: Sequence[Manifest] = (),
    now: Callable[[], datetime],
) -> Plan:
    """Return what has to be sent of *snapshot*, and what of it is there. Writes nothing.

    *known* manifests tell where chunks may lie already, the preferred ones first. Raises the
    transport's errors.
    """
    listed = now()
    stored = {each.key: each for each in transport.list(keys.PACKS)}
    wanted = {chunk.digest: chunk for entry in snapshot.entries for chunk in entry.chunks}
    locations, reused = _reuse(wanted, known, stored)
    new: list[packs.Plan] = []
    for pack in packs.plan(chunk for digest, chunk in wanted.items() if digest not in locations):
        locations |= pack.locations()
        if there := stored.get(keys.pack(pack.id)):
            reused[pack.id] = Pack(pack.id, pack.size, there.size)
        else:
            new.append(pack)
    written = {pack_id: stored[keys.pack(pack_id)].modified for pack_id in reused}
    return Plan(snapshot, locations, reused, tuple(new), written, listed, tuple(known))


def execute(
    planned: Plan,
    transport: Transport,
    *,
    kept: Collection[str] = (),
    now: Callable[[], datetime],
    pause: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
    level: int = LEVEL,
) -> Uploaded:
    """Send the packs that are planned, or what has become necessary since; return the manifest.

    It must be published soon: within hours, not days. *kept* are the ids of packs that a published
    manifest holds, of a run that goes on meanwhile: pruning does not remove them. *pause* sleeps
    for some seconds, where a pruning has to be waited for. Raises ``PathogenError`` when a file is
    not any more what the snapshot says, and the transport's errors. Nothing is written but whole
    packs and pins.
    """
    again = partial(plan, planned.snapshot, transport, known=planned.known, now=now)
    sent: list[Pack] = []
    while True:
        planned = _hold(planned, again, transport, kept, now, pause)
        made = _send(planned.new, planned.snapshot, transport, level, progress)
        sent += [pack for pack, was_sent in made if was_sent]
        if now() - planned.listed < pins.LONGEST:
            break
        # What was planned so long ago may have gone since, even what was sent first.
        planned = again()
    manifest = Manifest(
        entries=planned.snapshot.entries,
        packs=planned.reused | {pack.id: pack for pack, _ in made},
        locations=planned.locations,
    )
    return Uploaded(
        manifest,
        packs_sent=len(sent),
        bytes_sent=sum(pack.stored_size for pack in sent),
        packs_reused=len(manifest.packs.keys() - {pack.id for pack in sent}),
    )


def _reuse(
    wanted: dict[str, Chunk], known: Sequence[Manifest], stored: dict[str, StoredObject]
) -> tuple[dict[str, Location], dict[str, Pack]]:
    """Return where wanted chunks may stay, and the packs that they lie in."""
    locations: dict[str, Location] = {}
    candidates: dict[str, Pack] = {}
    for manifest in known:
        there = {
            pack.id: pack
            for pack in manifest.packs.values()
            if (found := stored.get(keys.pack(pack.id))) and found.size == pack.stored_size
        }
        candidates |= there
        for digest, place in manifest.locations.items():
            if place.pack in there and digest in wanted:
                locations.setdefault(digest, place)
    if len(locations) == len(wanted):
        # All of it is there: sending it again, packed better, would cost more than it saves.
        worth = {place.pack for place in locations.values()}
    else:
        worth = _worth_keeping(wanted, locations, candidates)
    return (
        {digest: place for digest, place in locations.items() if place.pack in worth},
        {pack_id: candidates[pack_id] for pack_id in worth},
    )


def _worth_keeping(
    wanted: dict[str, Chunk], locations: dict[str, Location], candidates: dict[str, Pack]
) -> set[str]:
    """Return the packs that are at least half alive, and not of too many tiny ones.

    What lies in the others is sent again, packed better: a job would pay for the difference in
    time with each request.
    """
    live = dict.fromkeys(candidates, 0)
    for digest, place in locations.items():
        live[place.pack] += wanted[digest].size
    worth = {
        pack_id for pack_id, size in live.items() if size and 2 * size >= candidates[pack_id].size
    }
    tiny = {pack_id for pack_id in worth if candidates[pack_id].stored_size < _TINY}
    return worth - tiny if len(tiny) > _MANY_TINY else worth


def _hold(
    planned: Plan,
    again: Callable[[], Plan],
    transport: Transport,
    kept: Collection[str],
    now: Callable[[], datetime],
    pause: Callable[[float], None],
) -> Plan:
    """See to it that what is relied on stays; return a plan of which all is there."""
    held = set(kept)
    while True:
        old = {
            pack_id
            for pack_id, written in planned.written.items()
            if now() - written > pins.SAFE and pack_id not in held
        }
        if old:
            # In this order: a pruning that does not see the pin is one that is waited for, and
            # what it removed is missing from the next listing.
            pins.pin(old, transport)
            pins.await_prunings(transport, now, pause)
            held |= old
        elif _renew(planned, transport, now()):
            return planned
        planned = again()


def _renew(planned: Plan, transport: Transport, now: datetime) -> bool:
    """Renew the packs that would expire; return false when one has already."""
    old = [pack_id for pack_id, written in planned.written.items() if now - written > EXPIRY / 2]

    def renew(pack_id: str) -> bool:
        try:
            transport.renew(keys.pack(pack_id))
        except MissingObjectError:
            return False
        return True

    return all(list(parallel.each(renew, old, _WORKERS)))


# --- sending -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    path: str
    offset: int


def _send(
    plans: Sequence[packs.Plan],
    snapshot: Snapshot,
    transport: Transport,
    level: int,
    progress: Progress,
) -> list[tuple[Pack, bool]]:
    """Make and send packs; return each one, and whether nobody else had sent it meanwhile."""
    places = _places(snapshot.entries, {chunk for plan in plans for chunk in plan.chunks})
    meter = Meter(progress, SENDING, sum(plan.size for plan in plans))
    codec = zstd.best()

    def send(plan: packs.Plan) -> tuple[Pack, bool]:
        with _Reader(snapshot.root, places) as reader:
            data = packs.build(plan, reader.read, codec, level)
        key = keys.pack(plan.id)
        was_sent = transport.put(key, data, if_absent=True)
        size = len(data) if was_sent else next(transport.list(key)).size
        meter.add(plan.size)
        return Pack(plan.id, plan.size, size), was_sent

    return list(parallel.each(send, plans, _WORKERS))


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
    """Reads chunks out of files, and believes only their digests."""

    def __init__(self, root: Path, places: dict[str, _Place]) -> None:
        self._root = root
        self._places = places
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
        place = self._places[chunk.digest]
        try:
            file = self._open(place.path)
            file.seek(place.offset)
            data = file.read(chunk.size)
        except OSError:
            raise changed(place.path) from None
        if hashlib.sha256(data).hexdigest() != chunk.digest:
            raise changed(place.path)
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
