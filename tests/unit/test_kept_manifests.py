"""The manifests that this computer keeps, with the bases that they need."""

import os
from dataclasses import replace

from memory_transport import MemoryTransport
from nextstrain_batch.kept_manifests import KeptManifests
from nextstrain_batch.rebase import settle
from nextstrain_batch.store.manifest import Entry, Manifest


def based(*names):
    """Return a manifest of empty files with a base of its own."""
    entries = tuple(Entry(name, "file", 0o644, 0) for name in names)
    return settle(Manifest(entries, {}, {}), MemoryTransport(), 3, long=1)


def bases(directory):
    return {path.name for path in directory.iterdir()} - {"input", "output"}


def keep(directory, name, manifest, *, hours=0):
    """Keep a manifest after some time has passed."""
    for path in directory.iterdir():
        os.utime(path, (path.stat().st_mtime - hours * 3600,) * 2)
    KeptManifests(directory).keep(name, manifest)


def test_a_base_is_kept_once(tmp_path):
    """Two manifests of one base come back with it, and it lies here once."""
    sent = based("a", "b")
    keep(tmp_path, "input", sent)
    left = replace(sent, entries=sent.entries[:1])
    keep(tmp_path, "output", left)
    found = KeptManifests(tmp_path).all()
    assert found == [left, sent]
    assert [each.base for each in found] == [sent.base] * 2
    assert len(bases(tmp_path)) == 1


def test_a_base_is_where_each_manifest_says(tmp_path):
    """Where its pack was stored anew meanwhile, each manifest is believed for itself."""
    sent = based("a", "b")
    stored = sent.base.stored
    packs = {key: replace(pack, stored_size=77) for key, pack in stored.packs.items()}
    base = replace(sent.base, stored=replace(stored, packs=packs))
    left = replace(sent, packs=packs, base=base)
    keep(tmp_path, "input", sent)
    keep(tmp_path, "output", left)
    assert [each.base for each in KeptManifests(tmp_path).all()] == [base, sent.base]


def test_a_base_stays_while_one_needs_it(tmp_path):
    """A new manifest with a new base leaves the other one its own."""
    one, two, three = based("a"), based("b"), based("c")
    keep(tmp_path, "input", one)
    keep(tmp_path, "output", two, hours=2)
    assert KeptManifests(tmp_path).all() == [two, one]
    assert len(bases(tmp_path)) == 2
    keep(tmp_path, "input", three, hours=2)
    assert KeptManifests(tmp_path).all() == [two, three]
    assert len(bases(tmp_path)) == 2
    keep(tmp_path, "output", Manifest((), {}, {}), hours=2)
    assert KeptManifests(tmp_path).all() == [Manifest((), {}, {}), three]
    assert len(bases(tmp_path)) == 1


def test_what_another_build_has_just_written_stays(tmp_path):
    """Somebody who builds the same directory may be about to need a base that nothing names yet."""
    keep(tmp_path, "input", based("a"))
    KeptManifests(tmp_path).keep("input", based("b"))
    assert len(bases(tmp_path)) == 2


def test_what_a_killed_build_left_is_removed(tmp_path):
    """A file that was never finished goes with the next one that is kept, an hour later."""
    tmp_path.joinpath(".input.1a2b").write_bytes(b"half")
    keep(tmp_path, "input", Manifest((), {}, {}))
    assert bases(tmp_path) == {".input.1a2b"}
    keep(tmp_path, "input", Manifest((), {}, {}), hours=2)
    assert bases(tmp_path) == set()


def test_a_damaged_base_counts_as_none(tmp_path):
    """Without its base a manifest is not known; it can be kept again."""
    sent = based("a")
    kept = KeptManifests(tmp_path)
    kept.keep("input", sent)
    for name in bases(tmp_path):
        (tmp_path / name).write_bytes(b"damaged")
    assert KeptManifests(tmp_path).all() == []
    kept.keep("input", sent)
    assert KeptManifests(tmp_path).get("input") == sent
