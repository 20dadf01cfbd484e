"""Writing a whole manifest into an almost empty directory."""

import os
from dataclasses import replace

import pytest

from nextstrain_batch.download import materialise
from nextstrain_batch.snapshot import StatCache
from trees import Run, seen, snap, write

BIG = b"".join(b"%d\t%x\n" % (line, line * line) for line in range(300_000))


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, {"Snakefile": "rule", "data/in": "in", "data/big": BIG})


def test_materialise_replaces_what_is_in_the_way(run, tmp_path):
    """Files and symlinks in the way of a manifest are replaced, and others stay."""
    root = write(tmp_path / "root", {"Snakefile": "old", "mine": "mine"})
    (root / "data").symlink_to("/etc")
    materialise(run.base, run.transport, root, None)
    expected = seen(run.user) | {"mine": seen(root)["mine"]}
    assert seen(root) == expected


def test_materialise_fills_the_cache(run, tmp_path):
    """After materialising, a snapshot reads nothing and is the manifest."""
    root, cache, told = tmp_path / "root", StatCache(), []
    root.mkdir()
    for each in ("Snakefile", "data/in", "data/big"):
        os.utime(run.user / each, ns=(1001, 1001))
    run.begin()
    materialise(run.base, run.transport, root, cache, progress=lambda *step: told.append(step))
    assert told[-1][1] == told[-1][2] > len(BIG)
    assert all(
        cache.chunks(entry.path, (root / entry.path).lstat()) == entry.chunks
        for entry in run.base.entries
        if entry.kind == "file"
    )
    assert snap(root, cache).entries == run.base.entries


def test_materialise_read_only_directories(tmp_path):
    """A directory that may not be written to arrives with what it holds, and so."""
    run = Run(tmp_path, {"d/e/f": "content"})
    (run.user / "d").chmod(0o555)
    (run.user / "d/e").chmod(0o500)
    run.begin()
    assert seen(run.job) == seen(run.user)
    for each in (run.user, run.job):
        (each / "d").chmod(0o755)


def test_times_that_cannot_be_stored(run, tmp_path):
    """A time beyond what the system can express is no reason to fail."""
    entries = tuple(replace(entry, mtime_ns=-(2**63)) for entry in run.base.entries)
    root = tmp_path / "root"
    root.mkdir()
    materialise(replace(run.base, entries=entries), run.transport, root, None)
    assert (root / "data/in").read_text() == "in"
