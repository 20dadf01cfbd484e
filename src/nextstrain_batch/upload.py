"""Sending a snapshot: the packs that are not in the bucket yet. The manifest is published after.

1. One listing says which packs there are, and how old.
2. Chunks that a known manifest places in one of those stay there; the others go into new packs.
   That is the plan; making it writes nothing. Where the files have to be read for it anyway
   (``read_and_plan``), packs that are full meanwhile are sent at once.
3. Packs that will be relied on are held, if they are so old that they might be removed before the
   manifest is there: against pruning by a pin (``store/pins.py``), against expiry by renewing them.
4. The new packs are made and sent; last of all, if it is to be stored anew, the list of files
   (``rebase.py``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from nextstrain_batch import rebase
from nextstrain_batch.errors import MissingObjectError
from nextstrain_batch.sending import LEVEL, WORKERS, Ahead, Made, send
from nextstrain_batch.store import keys, packs, parallel, pins
from nextstrain_batch.store.manifest import Location, Manifest, Pack
from nextstrain_batch.store.progress import Progress, silent
from nextstrain_batch.store.transport import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from nextstrain_batch.snapshot import Sink, Snapshot
    from nextstrain_batch.store.manifest import Base, Chunk
    from nextstrain_batch.store.transport import Transport

# Packs of less content than this are small; of so many, a job would pay for each request.
_SMALL = packs.MINIMUM // 2
_MANY = 24


@dataclass(frozen=True)
class Listing:
    """The packs that the bucket holds."""

    asked: datetime
    """When it was asked for."""
    stored: dict[str, StoredObject]
    """By key."""

    def holds(self, pack: Pack) -> bool:
        """Tell whether *pack* is there, whole."""
        found = self.stored.get(keys.pack(pack.id))
        return found is not None and found.size == pack.stored_size

    def with_packs(self, sent: Iterable[Pack]) -> Listing:
        """Return the listing as it is after packs were sent."""
        new = {keys.pack(pack.id): pack.stored_size for pack in sent}
        objects = {key: StoredObject(key, size, self.asked) for key, size in new.items()}
        return Listing(self.asked, self.stored | objects)


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
    """When the packs were written that are relied on, of ``reused`` and ``base``, by id."""
    listed: datetime
    """When the listing was asked for."""
    known: tuple[Manifest, ...]
    """Those that told where chunks may lie."""
    base: Base | None = None
    """What the manifest may say the difference from; it is there."""
    ahead: tuple[Made, ...] = ()
    """The packs that were made and sent already."""
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Of some chunks of ``new``, by digest: what need not be read again."""


@dataclass(frozen=True)
class Uploaded:
    """What an upload did."""

    manifest: Manifest
    packs_sent: int
    bytes_sent: int
    """Compressed."""
    packs_reused: int


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
    return _plan(snapshot, transport, look(transport, now), known)


def read_and_plan(
    read: Callable[[Sink | None], Snapshot],
    transport: Transport,
    *,
    known: Sequence[Manifest] = (),
    now: Callable[[], datetime],
    level: int = LEVEL,
    ahead: bool = True,
    progress: Progress = silent,
    expecting: Callable[[int], None] = lambda _size: None,
) -> Plan:
    """Return the plan for the snapshot that *read* takes, after a first look at the bucket.

    If *ahead*, what *read* gives to the sink that it is called with is sent meanwhile, as far as
    it is new and fills packs, and *progress* told of it; *expecting* is called before that with
    how many bytes are to be read. Else *read* is called with None, and nothing is written. Raises
    the transport's errors, the bucket's before anything is read, and what *read* and *expecting*
    raise.
    """
    listing = look(transport, now)
    if not ahead:
        return _plan(read(None), transport, listing, known)
    there = {digest for manifest in known for digest, _ in _stored_chunks(manifest, listing)}
    with Ahead(transport, there, listing.stored, level, progress, expecting) as early:
        snapshot = read(early)
    made = early.made
    sent = Manifest(
        entries=(),
        packs={each.pack.id: each.pack for each in made},
        locations={digest: place for each in made for digest, place in each.plan.locations()},
    )
    listing = listing.with_packs(sent.packs.values())
    planned = _plan(snapshot, transport, listing, (sent, *known))
    return replace(planned, ahead=made, contents=early.contents)


def look(transport: Transport, now: Callable[[], datetime]) -> Listing:
    """Return which packs the bucket holds; raises the transport's errors."""
    return Listing(now(), {each.key: each for each in transport.list(keys.PACKS)})


def _plan(
    snapshot: Snapshot, transport: Transport, listing: Listing, known: Sequence[Manifest]
) -> Plan:
    wanted = {chunk.digest: chunk for entry in snapshot.entries for chunk in entry.chunks}
    locations, reused = _reuse(wanted, known, listing)
    new: list[packs.Plan] = []
    for pack in packs.plan(chunk for digest, chunk in wanted.items() if digest not in locations):
        locations |= pack.locations()
        if there := listing.stored.get(keys.pack(pack.id)):
            reused[pack.id] = packs.stored(pack, there.size, transport)
        else:
            new.append(pack)
    base = rebase.nearest(snapshot.entries, _bases(known, listing))
    relied_on = reused | (base.stored.packs if base else {})
    written = {pack_id: listing.stored[keys.pack(pack_id)].modified for pack_id in relied_on}
    return Plan(snapshot, locations, reused, tuple(new), written, listing.asked, tuple(known), base)


def execute(
    planned: Plan,
    transport: Transport,
    *,
    kept: Collection[str] = (),
    now: Callable[[], datetime],
    pause: Callable[[float], None] = time.sleep,
    progress: Progress = silent,
    level: int = LEVEL,
    long: int = rebase.LONG,
) -> Uploaded:
    """Send the packs that are planned, or what has become necessary since; return the manifest.

    It must be published soon: within hours, not days. *kept* are the ids of packs that a published
    manifest holds, of a run that goes on meanwhile: pruning does not remove them. *pause* sleeps
    for some seconds, where a pruning has to be waited for. *long* is what ``rebase.settle`` takes.
    Raises ``PathogenError`` when a file is not any more what the snapshot says, and the transport's
    errors. Nothing is written but whole packs and pins.
    """
    again = partial(plan, planned.snapshot, transport, known=planned.known, now=now)
    contents = planned.contents
    sent = [each.pack for each in planned.ahead if each.was_sent]
    while True:
        planned = _hold(planned, again, transport, kept, now, pause)
        made = send(
            planned.new,
            planned.snapshot,
            transport,
            contents=contents,
            level=level,
            progress=progress,
        )
        sent += [each.pack for each in made if each.was_sent]
        if now() - planned.listed < pins.LONGEST:
            break
        # What was planned so long ago may have gone since, even what was sent first.
        planned = again()
    base = planned.base
    manifest = Manifest(
        entries=planned.snapshot.entries,
        packs=planned.reused
        | {each.pack.id: each.pack for each in made}
        | (base.stored.packs if base else {}),
        locations=planned.locations,
        base=base,
    )
    # Of one that is known the bytes are, too.
    manifest = next((known for known in planned.known if known == manifest), manifest)
    relied_on = {place.pack for place in manifest.locations.values()}
    return Uploaded(
        rebase.settle(manifest, transport, level, long),
        packs_sent=len(sent),
        bytes_sent=sum(pack.stored_size for pack in sent),
        packs_reused=len(relied_on - {pack.id for pack in sent}),
    )


def _reuse(
    wanted: dict[str, Chunk], known: Sequence[Manifest], listing: Listing
) -> tuple[dict[str, Location], dict[str, Pack]]:
    """Return where wanted chunks may stay, and the packs that they lie in."""
    locations: dict[str, Location] = {}
    candidates: dict[str, Pack] = {}
    for manifest in known:
        for digest, place in _stored_chunks(manifest, listing):
            candidates.setdefault(place.pack, manifest.packs[place.pack])
            if digest in wanted:
                locations.setdefault(digest, place)
    if len(locations) == len(wanted):
        # All of it is there: sending it again, packed better, would cost more than it saves.
        worth = {place.pack for place in locations.values()}
    else:
        worth = _worth_keeping(wanted, locations, candidates)
    return (
        {digest: place for digest, place in locations.items() if place.pack in worth},
        {pack_id: pack for pack_id, pack in candidates.items() if pack_id in worth},
    )


def _bases(known: Sequence[Manifest], listing: Listing) -> Iterator[Base]:
    """Yield the bases of the *known* manifests that are there."""
    for manifest in known:
        base = manifest.base
        if base is not None and all(map(listing.holds, base.stored.packs.values())):
            yield base


def _stored_chunks(manifest: Manifest, listing: Listing) -> Iterator[tuple[str, Location]]:
    """Yield the chunks, by digest, that the bucket holds where *manifest* says."""
    there = {pack.id for pack in manifest.packs.values() if listing.holds(pack)}
    return ((digest, place) for digest, place in manifest.locations.items() if place.pack in there)


def _worth_keeping(
    wanted: dict[str, Chunk], locations: dict[str, Location], candidates: dict[str, Pack]
) -> set[str]:
    """Return the packs that are at least half alive, and not of too many small ones.

    What lies in the others is sent again, packed better: a job would pay for the difference in
    time with each request.
    """
    live = dict.fromkeys(candidates, 0)
    for digest, place in locations.items():
        live[place.pack] += wanted[digest].size
    worth = {
        pack_id for pack_id, size in live.items() if size and 2 * size >= candidates[pack_id].size
    }
    small = {pack_id for pack_id in worth if candidates[pack_id].size < _SMALL}
    return worth - small if len(small) > _MANY else worth


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
    old = [each for each, written in planned.written.items() if now - written > pins.RENEW_AFTER]

    def renew(pack_id: str) -> bool:
        try:
            transport.renew(keys.pack(pack_id))
        except MissingObjectError:
            return False
        return True

    return all(list(parallel.each(renew, old, WORKERS)))
