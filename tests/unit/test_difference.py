"""Manifests that say what differs from a base, and hostile ones."""

import json
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

import documents
from documents import packed
from memory_transport import MemoryTransport
from nextstrain_batch.errors import CorruptError, MissingObjectError, StoreError
from nextstrain_batch.rebase import settle
from nextstrain_batch.store import codec, keys, packs, seekable, zstd
from nextstrain_batch.store.chunks import chunk_of
from nextstrain_batch.store.manifest import Chunk, Entry, Location, Manifest, Pack, StoredText

A, B, C, P, Q, R = (letter * 64 for letter in "abc123")
BEFORE = Manifest(
    entries=(
        Entry("d", "directory", 0o755, 0),
        Entry("d/gone", "file", 0o644, 1, (Chunk(A, 5),)),
        Entry("d/stays", "file", 0o644, 2, (Chunk(A, 5), Chunk(B, 7))),
    ),
    packs={P: Pack(P, 12, 99)},
    locations={A: Location(P, 0), B: Location(P, 5)},
)
TEXT, TABLE = codec.whole_text(BEFORE)
STORED = StoredText((chunk_of(TEXT),), {R: Pack(R, len(TEXT), 88)}, {})
STORED = replace(STORED, locations={STORED.chunks[0].digest: Location(R, 0)})
BASE = codec.base_of(STORED, TEXT)
AFTER = Manifest(
    entries=(
        Entry("a", "file", 0o600, 3, (Chunk(B, 7), Chunk(C, 9))),
        Entry("d", "directory", 0o755, 0),
        Entry("d/stays", "file", 0o644, 2, (Chunk(A, 5), Chunk(B, 7))),
    ),
    packs={P: Pack(P, 12, 99), Q: Pack(Q, 10, 77), R: Pack(R, len(TEXT), 88)},
    locations={A: Location(P, 0), B: Location(P, 5), C: Location(Q, 1)},
    base=BASE,
)
DOCUMENT = {
    "format": "nextstrain-batch manifest",
    "version": 2,
    "packs": [[P, 12, 99], [Q, 10, 77], [R, len(TEXT), 88]],
    "chunks": [[STORED.chunks[0].digest, len(TEXT), 2, 0], [C, 9, 1, 1]],
    "base": [0],
    "gone": ["d/gone"],
    "entries": [["f", "a", 0o600, 3, [3, 1]]],
}


changed = partial(documents.changed, DOCUMENT)


def decode(document, base=BASE):
    return codec.decode(packed(document), lambda _stored: base)


def test_the_bytes_are_as_documented():
    """A difference is the documented JSON in the seekable format, and comes back as it was."""
    data = codec.encode(AFTER)
    assert json.loads(seekable.decompress(zstd.best(), data, 10_000)) == DOCUMENT
    asked = []
    decoded = codec.decode(data, lambda stored: asked.append(stored) or BASE)
    assert decoded == AFTER
    assert decoded.base is BASE
    assert asked == [STORED] == [codec.needs(data)]
    assert codec.needs(codec.encode(BEFORE)) is None
    assert set(codec.packs_of(data)) == set(AFTER.packs.values())


def test_nothing_differs():
    """Where nothing differs the entries are the base's own."""
    same = replace(BEFORE, packs=BEFORE.packs | STORED.packs, base=BASE)
    decoded = codec.decode(codec.encode(same), lambda _stored: BASE)
    assert decoded == same
    assert decoded.entries is BASE.manifest.entries


def test_chunks_that_have_moved():
    """A chunk that lies elsewhere than in the base is found where the difference says."""
    moved = replace(AFTER, locations=AFTER.locations | {A: Location(Q, 0)})
    assert codec.decode(codec.encode(moved), lambda _stored: BASE) == moved


def test_a_pack_that_was_stored_anew():
    """A pack that another version of zstd has made smaller meanwhile is still the same pack."""
    smaller = replace(AFTER, packs=AFTER.packs | {P: Pack(P, 12, 70)})
    assert codec.decode(codec.encode(smaller), lambda _stored: BASE) == smaller


def test_without_its_base():
    """A manifest whose base is not at hand is no damaged one."""
    with pytest.raises(StoreError) as caught:
        codec.decode(codec.encode(AFTER))
    assert not isinstance(caught.value, CorruptError)


INTEGERS = [-1, 1.0, "1", True, None, 2**64, [], {}]


@pytest.mark.parametrize(
    "document",
    [
        *[changed(name, value)
          for name in ("packs", "chunks", "entries", "base", "gone") for value in (None, {}, 3)],
        *[changed(name, ...) for name in ("packs", "chunks", "entries", "base", "gone")],
        changed("base", []),
        changed("base", [5]),
        *[changed("base", 0, value) for value in (*INTEGERS, 5)],
        *[changed("gone", 0, value)
          for value in ("", "d/other", "a", "../x", None, 3, [], "\ud800")],
        changed("gone", ["d/gone", "d/gone"]),
        changed("gone", ["d/gone", "d"]),
        changed("packs", [[P, 12, 99], [Q, 10, 77]]),
        changed("packs", [[P, 12, 99], [Q, 10, 77], [R, len(TEXT), 88], [R, len(TEXT), 88]]),
        # A pack that the base relies on, missing or of another size.
        changed("packs", 0, 0, "4" * 64),
        changed("packs", 0, 1, 13),
        # A chunk that is listed twice, or with another size than in the base.
        changed("chunks", 1, DOCUMENT["chunks"][0]),
        changed("chunks", 1, [A, 6, 1, 1]),
        *[changed("entries", 0, 4, value) for value in ([4], [-1], [True], ["0"], None)],
        changed("entries", DOCUMENT["entries"] * 2),
        *[changed("entries", 0, 1, value)
          for value in ("", "/a", "../a", "e/a", "d/stays/a", "\ud800")],
        changed("entries", 0, ["f", "d", 0, 0, []]),
    ],
)  # fmt: skip
def test_hostile_differences_are_refused(document):
    """Whatever cannot be, by itself or with the base, makes a manifest corrupt."""
    with pytest.raises(CorruptError):
        decode(document)


def test_entries_may_come_in_any_order():
    """What differs is put in its place among the rest."""
    rows = [["f", "z", 0, 0, []], ["f", "a", 0, 0, []], ["f", "d/new", 0, 0, []]]
    manifest = decode(changed("entries", rows))
    assert [entry.path for entry in manifest.entries] == ["a", "d", "d/new", "d/stays", "z"]


@pytest.mark.parametrize(
    "text",
    [
        TEXT[:-1] + b"]", TEXT + b" ", TEXT[:-1], b"",
    ],
)  # fmt: skip
def test_another_text_is_no_base(text):
    """A base is believed only if its chunks are what they are said to be."""
    with pytest.raises(CorruptError, match=r"not what it was|longer"):
        codec.base_of(STORED, text)


def test_a_base_says_everything_itself():
    """No base has a base: nobody is sent along a chain, or in a circle."""
    text = json.dumps(DOCUMENT).encode()
    with pytest.raises(CorruptError, match="everything itself"):
        codec.base_of(replace(STORED, chunks=(chunk_of(text),)), text)


def test_a_base_that_claims_to_be_huge():
    """Nobody fetches a base of more than is allowed."""
    row = DOCUMENT["chunks"][0]
    document = changed("base", [0] * (codec.LIMIT // row[1] + 1))
    with pytest.raises(CorruptError, match="are allowed"):
        decode(document)


def published(transport):
    """Publish ``AFTER`` with a base that really lies in the bucket, and return it."""
    based = settle(BEFORE, transport, 3, long=1)
    after = replace(AFTER, packs={P: AFTER.packs[P], Q: AFTER.packs[Q]}, base=based.base)
    after = replace(after, packs=after.packs | based.base.stored.packs)
    return after, codec.publish(after, transport, "runs/x/input.manifest")


def test_the_base_is_fetched_unless_it_is_known():
    """A manifest is retrieved with its base, once: it is not asked for when it is here."""
    transport = MemoryTransport()
    after, digest = published(transport)
    transport.counted()
    retrieved = codec.retrieve(transport, "runs/x/input.manifest", digest)
    assert retrieved == after
    assert transport.counted() == {"get": 2}
    for like, requests in ((retrieved, 1), (BEFORE, 2), (AFTER, 1)):
        assert codec.retrieve(transport, "runs/x/input.manifest", digest, like=like) == after
        assert transport.counted() == {"get": requests}


def test_a_base_that_is_damaged():
    """It is the pack that is named, and what to do about it, not the manifest."""
    transport = MemoryTransport()
    after, _ = published(transport)
    key = keys.pack(*after.base.stored.packs)
    data = transport.objects[key]
    transport.put(key, data[:30] + b"?" + data[31:])
    with pytest.raises(
        CorruptError, match=f"^The pack s3://memory/prefix/{key} is damaged"
    ) as told:
        codec.retrieve(transport, "runs/x/input.manifest")
    assert str(told.value).endswith(f"aws s3 rm s3://memory/prefix/{key}")


def test_a_base_that_is_gone():
    """A manifest without its base is not one that was never there; likely causes are told."""
    transport = MemoryTransport()
    after, _ = published(transport)
    transport.delete(keys.pack(*after.base.stored.packs))
    with pytest.raises(StoreError, match=r"(?s)runs/x/input\.manifest relies on .*Run the") as told:
        codec.retrieve(transport, "runs/x/input.manifest")
    assert not isinstance(told.value, MissingObjectError)


def test_a_base_that_says_what_cannot_be():
    """A hostile base makes the manifest that relies on it a damaged one."""
    transport = MemoryTransport()
    text = json.dumps({"format": codec.FORMAT, "version": 1}).encode()
    (pack,) = packs.plan([chunk_of(text)])
    data = packs.build(pack, lambda _chunk: text, zstd.best(), 1)
    transport.put(keys.pack(pack.id), data)
    document = {
        **DOCUMENT,
        "packs": [[pack.id, len(text), len(data)]],
        "chunks": [[chunk_of(text).digest, len(text), 0, 0]],
        "entries": [],
    }
    transport.put("runs/x/input.manifest", packed(document))
    with pytest.raises(CorruptError, match=r"The manifest .*runs/x/input\.manifest is damaged"):
        codec.retrieve(transport, "runs/x/input.manifest")


LETTERS = st.text("abc", min_size=1, max_size=2)
FILES = st.dictionaries(
    LETTERS,
    st.tuples(st.integers(0, 2), st.lists(st.binary(min_size=1, max_size=2), max_size=3)),
    max_size=8,
)


def manifest_of(files, salt):
    """Return a manifest of files, whose chunks lie in packs that depend on *salt*."""
    entries = tuple(
        Entry(path, "file", mode, 0, tuple(map(chunk_of, contents)))
        for path, (mode, contents) in sorted(files.items())
    )
    wanted = {chunk: None for entry in entries for chunk in entry.chunks}
    made = list(packs.plan([chunk_of(salt), *wanted])) if salt else list(packs.plan(wanted))
    used = {chunk.digest for chunk in wanted}
    return Manifest(
        entries,
        {each.id: Pack(each.id, each.size, 100) for each in made if wanted},
        {digest: place for each in made for digest, place in each.locations() if digest in used},
    )


@given(FILES, FILES, st.sampled_from([b"", b"salt"]), st.sampled_from([1, 10**6]))
def test_any_manifest_comes_back_over_any_base(before, after, salt, long):
    """Whatever differs, and wherever chunks lie now: what was published is retrieved."""
    transport = MemoryTransport()
    base = settle(manifest_of(before, b""), transport, 3, 1).base
    later = manifest_of(after, salt)
    based = replace(later, packs=later.packs | base.stored.packs, base=base)
    assert codec.decode(codec.encode(based), lambda _stored: base) == based
    settled = settle(based, transport, 3, long)
    codec.publish(settled, transport, "runs/x/input.manifest")
    assert codec.retrieve(transport, "runs/x/input.manifest") == settled
    assert (settled.entries, settled.locations) == (later.entries, later.locations)
