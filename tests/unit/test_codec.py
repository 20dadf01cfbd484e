"""Manifests as bytes, and hostile ones."""

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
from nextstrain_batch.store import codec, seekable, zstd
from nextstrain_batch.store.manifest import Chunk, Entry, Location, Manifest, Pack
from nextstrain_batch.store.paths import stays_inside

A, B, P = "a" * 64, "b" * 64, "c" * 64
MANIFEST = Manifest(
    entries=(
        Entry("caf\udce9", "file", 0o644, -5, (Chunk(A, 5), Chunk(B, 7), Chunk(A, 5))),
        Entry("d", "directory", 0o755, 10**18),
        Entry("d/empty", "file", 0, 0),
        Entry("d/link", "symlink", 0o777, 3, (), "../caf\udce9"),
    ),
    packs={P: Pack(P, 12, 99)},
    locations={A: Location(P, 0), B: Location(P, 5)},
)
DOCUMENT = {
    "format": "nextstrain-batch manifest",
    "version": 1,
    "packs": [[P, 12, 99]],
    "chunks": [[A, 5, 0, 0], [B, 7, 0, 5]],
    "entries": [
        ["f", "caf\udce9", 0o644, -5, [0, 1, 0]],
        ["d", "d", 0o755, 10**18, ""],
        ["f", "d/empty", 0, 0, []],
        ["l", "d/link", 0o777, 3, "../caf\udce9"],
    ],
}


changed = partial(documents.changed, DOCUMENT)


def with_entries(*entries):
    return {**DOCUMENT, "entries": list(entries)}


def test_the_bytes_are_as_documented():
    """A manifest is the documented JSON in the seekable format, and comes back as it was."""
    data = codec.encode(MANIFEST)
    assert json.loads(seekable.decompress(zstd.best(), data, 10_000)) == DOCUMENT
    assert codec.decode(data) == MANIFEST
    assert codec.decode(packed(DOCUMENT)) == MANIFEST


def test_bytes_are_made_once():
    """A manifest keeps the bytes it has; one that says something else has others."""
    data = packed(DOCUMENT)
    manifest = codec.decode(data)
    assert codec.encode(manifest) is data
    other = replace(manifest, entries=manifest.entries[:1])
    assert codec.decode(codec.encode(other)) == other != manifest


def test_an_empty_manifest():
    """A manifest of nothing comes back."""
    empty = Manifest((), {}, {})
    assert codec.decode(codec.encode(empty)) == empty


def test_publishing_and_retrieving():
    """What is published is retrieved, and verified by its digest."""
    transport = MemoryTransport()
    digest = codec.publish(MANIFEST, transport, "runs/x/input.manifest")
    assert codec.retrieve(transport, "runs/x/input.manifest", digest) == MANIFEST
    assert codec.retrieve(transport, "runs/x/input.manifest") == MANIFEST
    codec.publish(Manifest((), {}, {}), transport, "runs/x/input.manifest")
    with pytest.raises(CorruptError, match=r"runs/x/input\.manifest is not the one"):
        codec.retrieve(transport, "runs/x/input.manifest", digest)


def test_retrieving_what_is_not_there():
    """A manifest that is missing is told from a damaged one, which is named."""
    transport = MemoryTransport()
    with pytest.raises(MissingObjectError):
        codec.retrieve(transport, "runs/x/input.manifest")
    transport.put("runs/x/input.manifest", b"nonsense")
    with pytest.raises(CorruptError, match=r"s3://memory/prefix/runs/x/input\.manifest is damaged"):
        codec.retrieve(transport, "runs/x/input.manifest")


def test_a_newer_version():
    """A manifest of a newer release asks for an upgrade."""
    with pytest.raises(StoreError, match="Upgrade"):
        codec.decode(packed(changed("version", 3)))


HOSTILE_PATHS = [
    "", "/", "/etc/passwd", "..", "../x", "d/../x", "d/..", ".", "./x", "d/.", "d//x", "d/", "d\0x",
    "\ud800", "d/\udc7f",
]  # fmt: skip
HOSTILE_TARGETS = [
    "", "/etc", "../..", "../../x", "x/..", "x/../../..", "./../..", "a\0b", "\ud800", 3, None,
]  # fmt: skip
INTEGERS = [-1, 1.0, "1", True, None, 2**64, [], {}]
DIGESTS = ["", "a" * 63, "A" * 64, "g" * 64, "a" * 65, "a" * 64 + "\n", 3, None]


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[" * 100_000, b"\xff", b"NaN", b"3", b"[]", b"null",
        changed("format", "other"), changed("format", ...),
        *[changed(name, value)
          for name in ("packs", "chunks", "entries") for value in (None, {}, 3)],
        *[changed(name, ...) for name in ("packs", "chunks", "entries")],
        *[changed(name, 0, value)
          for name in ("packs", "chunks", "entries") for value in (None, {}, 3, [], [1] * 9)],
        *[changed("packs", 0, 0, value) for value in DIGESTS],
        *[changed("packs", 0, 1, value) for value in (*INTEGERS, 0, 11, 2**30)],
        *[changed("packs", 0, 2, value) for value in (*INTEGERS, 0, 2**30)],
        changed("packs", [[P, 12, 99], [P, 12, 99]]),
        changed("packs", []),
        *[changed("chunks", 0, 0, value) for value in (*DIGESTS, B)],
        *[changed("chunks", 0, 1, value) for value in (*INTEGERS, 0, 13, 2**20 + 1)],
        *[changed("chunks", 0, 2, value) for value in (*INTEGERS, 1)],
        *[changed("chunks", 0, 3, value) for value in (*INTEGERS, 8)],
        *[changed("entries", 0, 0, value) for value in ("x", "", None, 3, [], {}, "d", "l")],
        *[changed("entries", 0, 1, value) for value in (*HOSTILE_PATHS, None, 3, [])],
        *[changed("entries", 0, 2, value) for value in (*INTEGERS, 0o1000)],
        *[changed("entries", 0, 3, value) for value in (1.0, "1", True, None, 2**63, -(2**63) - 1)],
        *[changed("entries", 0, 4, value)
          for value in ("", None, 3, [2], [-1], [True], [0.0], ["0"], [None], [[]])],
        *[changed("entries", 1, 4, value) for value in ("x", None, [], [0])],
        *[changed("entries", 3, 4, value) for value in HOSTILE_TARGETS],
        # the order, doubled names, and parents that are none
        with_entries(["f", "b", 0, 0, []], ["f", "a", 0, 0, []]),
        with_entries(["f", "a", 0, 0, []], ["f", "a", 0, 0, []]),
        with_entries(["f", "a", 0, 0, []], ["f", "a/b", 0, 0, []]),
        with_entries(["l", "a", 0, 0, "."], ["f", "a/b", 0, 0, []]),
        with_entries(["f", "a/b", 0, 0, []]),
        with_entries(["d", "a", 0, 0, ""], ["f", "a/b/c", 0, 0, []]),
    ],
)  # fmt: skip
def test_hostile_manifests_are_refused(document):
    """Whatever cannot be, or leads out of the root, makes a manifest corrupt."""
    with pytest.raises(CorruptError):
        codec.decode(packed(document))


def test_a_bomb_is_refused():
    """A manifest that claims to be huge is refused before it is decompressed."""
    frame = zstd.best().compress(bytes(seekable.FRAME), 19)
    count = codec.LIMIT // seekable.FRAME + 1
    row = len(frame).to_bytes(4, "little") + seekable.FRAME.to_bytes(4, "little")
    size = (8 * count + 9).to_bytes(4, "little")
    end = count.to_bytes(4, "little") + b"\0" + (0x8F92EAB1).to_bytes(4, "little")
    bomb = frame * count + (0x184D2A5E).to_bytes(4, "little") + size + row * count + end
    with pytest.raises(CorruptError, match="are allowed"):
        codec.decode(bomb)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    """Bytes that are no manifest are corrupt, whatever they are."""
    with pytest.raises(CorruptError):
        codec.decode(noise)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(st.sampled_from(["packs", "chunks", "entries"]), st.lists(JSON, max_size=5))
def test_noise_in_a_manifest_is_refused(name, noise):
    """Wherever something unexpected stands, the manifest is corrupt, not the program broken."""
    document = changed(name, [noise])
    try:
        codec.decode(packed(document))
    except StoreError:
        return
    pytest.fail(f"accepted {document!r}")


@given(
    st.lists(st.sampled_from(["a", "b", "l", "..", ".", ""]), min_size=1, max_size=6),
    st.integers(0, 2),
)
def test_targets_that_stay_inside(tmp_path_factory, parts, depth):
    """A target that passes resolves inside the root, whatever directories and links there are."""
    root = tmp_path_factory.mktemp("root") / "x"
    (root / "a/b/a/b").mkdir(parents=True)
    (root / "b/a").mkdir(parents=True)
    for place in ("", "a", "a/b"):
        (root / place / "l").symlink_to("../" * place.count("/") + "b")
    path = "/".join([*["a", "b"][:depth], "link"])
    target = "/".join(parts)
    if stays_inside(path, target):
        (root / path).symlink_to(target)
        resolved = (root / path).resolve()
        assert resolved == root.resolve() or root.resolve() in resolved.parents


def test_the_packs_alone():
    """What a manifest refers to can be read without the rest, and is believed no more easily."""
    assert set(codec.packs_of(codec.encode(MANIFEST))) == set(MANIFEST.packs.values())
    with pytest.raises(CorruptError):
        codec.packs_of(packed(changed("packs", 0, 0, "no digest")))
    with pytest.raises(StoreError, match="newer"):
        codec.packs_of(packed(changed("version", 3)))
