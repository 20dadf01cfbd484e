"""Writing a whole manifest into an almost empty directory."""

import os
from dataclasses import replace

import pytest

from nextstrain_batch.materialise import materialise
from nextstrain_batch.stat_cache import StatCache
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


MIB = 1024 * 1024


def sparse(path):
    """Make a file of holes with a few bytes in between and at one end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(b"head")
        file.seek(10 * MIB + 5)
        file.write(b"middle")
        file.truncate(40 * MIB + 7)
    return path


def room(path):
    """Return how many bytes of the disk a file takes."""
    return path.stat().st_blocks * 512


@pytest.fixture
def holes(tmp_path):
    """A run with a sparse file, where the file system has such."""
    sparse(tmp_path / "user" / "sparse")
    if room(tmp_path / "user" / "sparse") > MIB:
        pytest.skip("the file system fills holes")
    return Run(tmp_path, {"Snakefile": "rule"})


def test_holes_stay_holes(holes):
    """A sparse file takes little room in the job, and again here with an edit by the job."""
    arrived = holes.job / "sparse"
    assert arrived.read_bytes() == (holes.user / "sparse").read_bytes()
    assert room(arrived) <= 4 * MIB
    with arrived.open("r+b") as file:
        file.seek(20 * MIB)
        file.write(b"edit")
    holes.end()
    assert (holes.user / "sparse").read_bytes() == arrived.read_bytes()
    assert room(holes.user / "sparse") <= 6 * MIB


def test_holes_do_not_travel(holes):
    """What is known to be nothing but zeros is not fetched."""
    (holes.job / "nothing").touch()
    os.truncate(holes.job / "nothing", 64 * MIB)
    holes.end()
    assert (holes.user / "nothing").read_bytes() == bytes(64 * MIB)
    assert room(holes.user / "nothing") == 0
    assert holes.transport.counted() == {}
