"""What a manifest says that its base does not: documents of version 2.

Where few of many files have changed, that is a small part of the whole. The format is described in
``docs/internals/storage.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nextstrain_batch.errors import CorruptError
from nextstrain_batch.store import paths, rows
from nextstrain_batch.store.manifest import Manifest, StoredText

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nextstrain_batch.store.manifest import Base, Chunk, Entry, Location, Pack


def between(manifest: Manifest, base: Base) -> dict[str, Any]:
    """Return the tables of a document that says what *manifest* does, relying on *base*."""
    gone = {entry.path: entry for entry in base.manifest.entries}
    changed = [entry for entry in manifest.entries if gone.pop(entry.path, None) != entry]
    packs = manifest.packs | base.stored.packs
    pack_numbers = {pack_id: number for number, pack_id in enumerate(packs)}
    text = base.stored
    listed = {chunk.digest: (chunk, text.locations[chunk.digest]) for chunk in text.chunks}
    # What lies where the base says needs no row; nor what the base's text holds as well.
    there = base.manifest.locations
    for entry in manifest.entries:
        for chunk in entry.chunks:
            place = manifest.locations[chunk.digest]
            if there.get(chunk.digest) != place:
                listed.setdefault(chunk.digest, (chunk, place))
    numbers = {chunk.digest: number for number, chunk in enumerate(base.table, len(listed))}
    numbers |= {digest: number for number, digest in enumerate(listed)}
    return {
        "packs": [rows.pack_row(pack) for pack in packs.values()],
        "chunks": [
            rows.chunk_row(chunk, pack_numbers[place.pack], place.offset)
            for chunk, place in listed.values()
        ],
        "base": [numbers[chunk.digest] for chunk in text.chunks],
        "gone": list(gone),
        "entries": [rows.entry_row(entry, numbers) for entry in changed],
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """A document of version 2, read as far as it can be without its base."""

    document: dict[str, Any]
    packs: dict[str, Pack]
    """All that it relies on, by id."""
    listed: dict[str, tuple[Chunk, Location]]
    """The chunks that it lists itself, by digest."""
    base: StoredText
    """Where its base's text lies."""


def read(document: dict[str, Any]) -> Difference:
    """Return what *document* says by itself; raises ``CorruptError`` for what cannot be."""
    packs = rows.packs_by_id(document)
    listed = rows.chunks_by_digest(document, packs)
    text = rows.numbered(
        "Its base", document.get("base"), tuple(chunk for chunk, _ in listed.values())
    )
    locations = {chunk.digest: listed[chunk.digest][1] for chunk in text}
    used = dict.fromkeys(place.pack for place in locations.values())
    stored = StoredText(text, {pack_id: packs[pack_id] for pack_id in used}, locations)
    return Difference(document, packs, listed, stored)


def apply(difference: Difference, base: Base) -> Manifest:
    """Return the manifest that differs so from *base*; raises ``CorruptError`` as ``read``."""
    document = difference.document
    table = (*(chunk for chunk, _ in difference.listed.values()), *base.table)
    entries = _merged(
        base.manifest.entries, rows.values(document, "gone"), rows.entries(document, table)
    )
    locations = _locations(entries, difference, base.manifest)
    return Manifest(entries, difference.packs, locations, base)


def _merged(before: tuple[Entry, ...], gone: list[Any], changed: list[Entry]) -> tuple[Entry, ...]:
    if not gone and not changed:
        return before
    entries = {entry.path: entry for entry in before}
    for path in gone:
        if not isinstance(path, str) or entries.pop(path, None) is None:
            raise CorruptError(f"The path {path!r:.300} is said to be gone, and never was there.")
    new = {entry.path: entry for entry in changed}
    if len(new) != len(changed):
        raise CorruptError("It names a path twice.")
    for path in new:
        paths.check(path)
    entries |= new
    return rows.tree(sorted(entries.values(), key=lambda entry: paths.encoded(entry.path)))


def _locations(
    entries: Iterable[Entry], difference: Difference, before: Manifest
) -> dict[str, Location]:
    """Return where the chunks of *entries* lie: where the document says, else as *before*."""
    listed, packs = difference.listed, difference.packs
    for pack_id, pack in before.packs.items():
        if pack_id in packs and packs[pack_id].size != pack.size:
            raise CorruptError(f"The pack {pack_id} has two sizes.")
    locations: dict[str, Location] = {}
    for entry in entries:
        for chunk in entry.chunks:
            if chunk.digest in listed:
                same, locations[chunk.digest] = listed[chunk.digest]
                if same != chunk:
                    raise CorruptError(f"The chunk {chunk.digest} has two sizes.")
            elif chunk.digest not in locations:
                place = before.locations[chunk.digest]
                if place.pack not in packs:
                    raise CorruptError(f"It does not name the pack of the chunk {chunk.digest}.")
                locations[chunk.digest] = place
    return locations
