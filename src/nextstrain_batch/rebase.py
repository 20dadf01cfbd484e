"""Long lists of files: stored in packs once, so that later manifests say only what differs.

A manifest of 50,000 files takes two megabytes, most of them digests, and every run has two. So a
long one becomes a *base*: its text goes into packs, like a file, and what is published is the
difference, which is nothing at first. Later manifests rely on the same base while that pays.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nextstrain_batch.sending import WORKERS, make
from nextstrain_batch.store import chunks, codec, packs, parallel, zstd
from nextstrain_batch.store.manifest import Base, Manifest, StoredText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nextstrain_batch.sending import Made
    from nextstrain_batch.store.manifest import Chunk, Entry
    from nextstrain_batch.store.transport import Transport

LONG = 128 * 1024
"""Bytes of JSON that are worth a base: about a thousand files."""

_SHARE = 4
"""A difference takes at most this part of what its base takes, or a new base is made."""

_SALT = 16
"""Bytes."""

_TOGETHER = packs.MAXIMUM // chunks.MAXIMUM - 1
"""Chunks of a base's text in a pack."""

_MANY = 2
"""A base that lists more than so many times the files is none: who wants these few reads it all."""


def nearest(entries: Sequence[Entry], bases: Iterable[Base]) -> Base | None:
    """Return the base that *entries* differ least from; None when none would do."""
    distinct = {
        base.stored.chunks: base
        for base in bases
        if len(base.manifest.entries) <= _MANY * len(entries)
    }
    if len(distinct) < 2:
        return next(iter(distinct.values()), None)
    here = set(entries)

    def differing(base: Base) -> int:
        return len(here.symmetric_difference(base.manifest.entries))

    return min(distinct.values(), key=differing)


def settle(manifest: Manifest, transport: Transport, level: int, long: int = LONG) -> Manifest:
    """Return *manifest* as it is to be published: with the base it has, a new one or none.

    A new base is in the bucket then. As JSON, *long* bytes are worth one. Raises the transport's
    errors.
    """
    base = manifest.base
    if base is not None:
        stored = sum(pack.stored_size for pack in base.stored.packs.values())
        if len(codec.encode(manifest)) * _SHARE <= max(stored, long):
            return manifest
        used = {place.pack for place in manifest.locations.values()}
        own = {pack_id: pack for pack_id, pack in manifest.packs.items() if pack_id in used}
        manifest = Manifest(manifest.entries, own, manifest.locations)
    text, table = codec.whole_text(manifest)
    if len(text) < long:
        return manifest
    base = Base(_store(text, transport, level), text, manifest, table)
    return Manifest(manifest.entries, manifest.packs | base.stored.packs, manifest.locations, base)


def _store(text: bytes, transport: Transport, level: int) -> StoredText:
    """Put *text* into new packs, and these into the bucket."""
    pieces = [text[at : at + chunks.MAXIMUM] for at in range(0, len(text), chunks.MAXIMUM)]
    listed = tuple(map(chunks.chunk_of, pieces))
    contents = dict(zip(listed, pieces, strict=True))
    plans = tuple(_salted(tuple(contents), contents))
    zstandard = zstd.best()

    def store(plan: packs.Plan) -> Made:
        return make(plan, contents.__getitem__, transport, zstandard, level)

    made = list(parallel.each(store, plans, WORKERS))
    places = {digest: place for plan in plans for digest, place in plan.locations()}
    return StoredText(
        chunks=listed,
        packs={each.pack.id: each.pack for each in made},
        locations={chunk.digest: places[chunk.digest] for chunk in listed},
    )


def _salted(listed: Sequence[Chunk], contents: dict[Chunk, bytes]) -> Iterator[packs.Plan]:
    """Yield packs of the *listed* chunks, each with a salt, which is added to *contents*.

    By the salt nobody has stored the same pack before, who knows when: it is young, so that it is
    safe from pruning and expiry until something names it.
    """
    for at in range(0, len(listed), _TOGETHER):
        data = os.urandom(_SALT)
        salt = chunks.chunk_of(data)
        contents[salt] = data
        held = (salt, *listed[at : at + _TOGETHER])
        yield packs.Plan(packs.pack_id(held), held)
