"""Taking a snapshot of a directory."""

import os
import stat
import time
from pathlib import Path

import pytest

from nextstrain_batch import snapshot
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.chunks import chunk_of
from nextstrain_batch.walk import Found, walk
from trees import everything, snap, write

BIG = b"".join(b"line %d\n" % number for number in range(400_000))


def by_path(taken):
    return {entry.path: entry for entry in taken.entries}


def test_entries(tmp_path):
    """Every file, directory and symlink is an entry with its mode, time and content."""
    write(tmp_path, {"d/file": "content", "d/empty": "", "big": BIG})
    (tmp_path / "nothing").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("d/file")
    (tmp_path / "d/file").chmod(0o4755)
    os.utime(tmp_path / "d/file", ns=(1, -5_000_000_001))
    entries = by_path(snap(tmp_path))
    assert list(entries) == ["big", "d", "d/empty", "d/file", "link", "nothing"]
    file = entries["d/file"]
    assert (file.kind, file.mode, file.mtime_ns) == ("file", 0o755, -5_000_000_001)
    assert file.chunks == (chunk_of(b"content"),)
    assert entries["d/empty"].chunks == ()
    assert entries["big"].size == len(BIG)
    assert len(entries["big"].chunks) > 4
    assert (entries["nothing"].kind, entries["nothing"].mode) == ("directory", 0o700)
    assert (entries["link"].kind, entries["link"].target) == ("symlink", "d/file")


@pytest.mark.parametrize(
    ("time_ns", "told"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, 2**63 - 1),
        (1_700_000_000_000 * 10**9, 2**63 - 1),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, -(2**63)),
    ],
)
@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK])
def test_times_that_no_manifest_can_tell(tmp_path, kind, time_ns, told):
    """A time out of the range of a manifest's becomes the nearest one in it, whatever has it."""
    (tmp_path / "each").symlink_to("nowhere")
    status = os.stat_result((kind | 0o755, *[0] * 9), {"st_mtime_ns": time_ns, "st_ctime_ns": 0})
    cache = StatCache()
    cache.record("each", status, (), 2**65 * 10**9)
    (entry,) = snapshot.take(tmp_path, [Found("each", status)], cache).entries
    assert entry.mtime_ns == told


def test_unchanged_files_are_not_read(tmp_path):
    """A file whose status is as it was is not read again; another one is."""
    write(tmp_path, {"a": "one", "b": "two"})
    for name in "ab":
        os.utime(tmp_path / name, ns=(1001, 1001))
    cache = StatCache()
    first = snap(tmp_path, cache)
    read = []
    (tmp_path / "b").write_text("new")
    found = list(walk(tmp_path, everything))
    second = snapshot.take(
        tmp_path, found, cache, progress=lambda _phase, done, total: read.append((done, total))
    )
    assert by_path(second)["a"] == by_path(first)["a"]
    assert by_path(second)["b"].chunks == (chunk_of(b"new"),)
    assert read == [(0, 3), (3, 3)]


def test_a_time_that_is_put_back_hides_no_change(tmp_path):
    """A big file that is written to while it is read is read again, whatever its time says."""
    file, met = tmp_path / "file", []
    content = b"".join(b"%d\n" % number for number in range(2_000_000))
    file.write_bytes(content)
    status = file.stat()

    class Writer:
        def begin(self, total):
            assert total == len(content)

        def add(self, chunk, _content):
            if not met:
                with file.open("r+b") as opened:
                    opened.write(b"9")
                    opened.seek(-2, os.SEEK_END)
                    opened.write(b"8")
                os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
            met.append(chunk)

    taken = snapshot.take(tmp_path, walk(tmp_path, everything), StatCache(), sink=Writer())
    assert by_path(taken)["file"].chunks == by_path(snap(tmp_path))["file"].chunks
    assert len(met) == 2 * len(by_path(taken)["file"].chunks)


def test_a_file_that_became_a_directory(tmp_path):
    """It is said to have changed, and no descriptor stays open."""
    before = len(list(Path("/dev/fd").iterdir()))
    (tmp_path / "file").write_text("content")
    found = list(walk(tmp_path, everything))
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    with pytest.raises(PathogenError, match="'file' changed"):
        snapshot.take(tmp_path, found, StatCache())
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_write_in_the_same_tick_is_not_missed(tmp_path):
    """A file that changes right after it was read, size and time as before, is read again."""
    file, cache = tmp_path / "file", StatCache()
    file.write_text("one")
    status = file.stat()
    snap(tmp_path, cache)
    file.write_text("two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert by_path(snap(tmp_path, cache))["file"].chunks == (chunk_of(b"two"),)


def test_a_file_that_vanishes(tmp_path):
    """A file that was found and is gone is an error that names it."""
    write(tmp_path, {"a": "", "b": ""})
    found = list(walk(tmp_path, everything))
    (tmp_path / "a").unlink()
    with pytest.raises(PathogenError, match="'a' vanished"):
        snapshot.take(tmp_path, found, StatCache())


def test_an_output_that_was_closed_is_not_taken_for_the_files(tmp_path):
    """Where progress is told to nobody any more, no file is to blame."""
    write(tmp_path, {"big": bytes(20_000_000)})

    def closed(_phase, _done, _total):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        snapshot.take(tmp_path, walk(tmp_path, everything), StatCache(), progress=closed)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux's own files")
def test_a_file_that_keeps_changing():
    """A file that is another each time it is read is an error that names it."""
    # The kernel makes it up when it is read, and says that it is empty.
    root = Path("/proc/self")
    found = Found("stat", (root / "stat").lstat())
    with pytest.raises(PathogenError, match="'stat' changed while it was read"):
        snapshot.take(root, [found], StatCache())


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_file_that_changed_before_it_is_read(tmp_path, size):
    """A file that changed between finding and reading it is taken as it is when read."""
    file = tmp_path / "file"
    file.write_bytes(BIG[:size])

    def clock():
        # It is asked for when a reading begins.
        file.write_bytes(BIG[: file.stat().st_size + 1])
        return time.time_ns()

    found = list(walk(tmp_path, everything))
    taken = snapshot.take(tmp_path, found, StatCache(), clock=clock)
    assert taken.entries[0].size == size + 1


def test_a_file_that_has_become_something_else(tmp_path):
    """A file replaced by a symlink or pipe after it was found is an error that names it."""
    for number, replace in enumerate((lambda path: path.symlink_to("other"), os.mkfifo)):
        file = tmp_path / f"file{number}"
        file.write_text("x")
        found = [each for each in walk(tmp_path, everything) if each.path == file.name]
        file.unlink()
        replace(file)
        with pytest.raises(PathogenError, match=file.name):
            snapshot.take(tmp_path, found, StatCache())
        file.unlink()


def test_problems_can_be_collected(tmp_path):
    """What cannot travel is left out when the caller only takes note of it."""
    write(tmp_path, {"a": "", "b": ""})
    (tmp_path / "out").symlink_to("/etc")
    found = list(walk(tmp_path, everything))
    (tmp_path / "a").unlink()
    problems = []
    taken = snapshot.take(tmp_path, found, StatCache(), problem=problems.append)
    assert list(by_path(taken)) == ["b"]
    assert len(problems) == 2


def test_it_is_told_when_all_but_the_files_was_looked_at(tmp_path):
    """Whoever collects problems learns of all that show before files are read."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("/elsewhere")
    found = list(walk(tmp_path, everything))
    (tmp_path / "file").unlink()  # Reading it would be a problem, too.
    problems, before = [], []
    snapshot.take(
        tmp_path, found, StatCache(), problem=problems.append,
        ready=lambda: before.extend(problems),
    )  # fmt: skip
    assert ["'link'" in str(each) for each in before] == [True]
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("link", "target", "kept"),
    [
        ("link", "d/file", "d/file"),
        ("link", "missing", "missing"),
        ("link", "./d//file", "./d//file"),
        ("link", ".", "."),
        ("d/link", "..", ".."),
        ("d/link", "../d/file", "../d/file"),
        ("d/e/link", "../file", "../file"),
        ("link", "{root}/d/file", "d/file"),
        ("d/e/link", "{root}/d/file", "../file"),
        ("d/e/link", "{root}", "../.."),
        ("link", "d/../d/file", "d/file"),
        ("link", "../{name}/d/file", "d/file"),
        ("link", "{root}/missing", "missing"),
    ],
)
def test_symlinks_that_stay_inside(tmp_path, link, target, kept):
    """A symlink that stays inside keeps its target, or one that means the same in any place."""
    root = tmp_path / "root"
    write(root, {"d/file": "", "d/e/f": ""})
    (root / link).symlink_to(target.format(root=root, name=root.name))
    assert by_path(snap(root))[link].target == kept


@pytest.mark.parametrize(
    "target", ["/", "/etc/passwd", "..", "../other", "d/../../other", "{root}2", "out"]
)
def test_symlinks_that_lead_out(tmp_path, target):
    """A symlink that leaves the root, even by another one, is an error that names it."""
    root = tmp_path / "root"
    write(root, {"d/file": ""})
    write(tmp_path, {"root2": "", "other": ""})
    if target == "out":
        (root / "out").symlink_to("../other")
    (root / "link").symlink_to(target.format(root=root))
    with pytest.raises(PathogenError, match=r"'(link|out)' leads out of the build directory"):
        snap(root)


def test_symlinks_that_loop(tmp_path):
    """Symlinks that lead back to themselves are an error that names one."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(PathogenError, match="'a' leads back to itself"):
        snap(tmp_path)
