"""Knowing what a file holds without reading it."""

import os

import pytest

from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.manifest import Chunk

CHUNKS = (Chunk("a" * 64, 5), Chunk("b" * 64, 3))
SECOND = 1_000_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    os.utime(path, ns=(1_000_000_001, 1_000_000_001))
    return path


def later(path, seconds=60):
    return path.stat().st_mtime_ns + seconds * SECOND


def test_an_unchanged_file_is_known(file, tmp_path):
    """What was recorded is known as long as the status is the same, also after saving."""
    cache = StatCache()
    cache.record("file", file.stat(), CHUNKS, later(file))
    assert cache.chunks("file", file.stat()) == CHUNKS
    cache.save(tmp_path / "below/cache")
    assert StatCache.load(tmp_path / "below/cache").chunks("file", file.stat()) == CHUNKS


def test_any_change_of_status_counts(file):
    """Another size, time, or file of the same name has to be read."""
    cache = StatCache()
    cache.record("file", file.stat(), CHUNKS, later(file))
    before = file.stat()
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns + 1))
    assert cache.chunks("file", file.stat()) is None
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns))
    # Its time is as it was, but the time of that change cannot be set back.
    assert cache.chunks("file", file.stat()) is None
    assert cache.chunks("other", before) is None
    assert cache.last("file") == CHUNKS
    assert cache.last("other") is None


def test_a_file_modified_just_before_is_read_again(file):
    """A file written so recently that another write might not show is not trusted."""
    cache = StatCache()
    status = file.stat()
    cache.record("file", status, CHUNKS, status.st_mtime_ns + 1_000_000)
    assert cache.chunks("file", status) is None
    cache.record("file", status, CHUNKS, status.st_mtime_ns + SECOND)
    assert cache.chunks("file", status) == CHUNKS


def test_whole_seconds_come_from_a_coarse_clock(file):
    """Where the file system counts in seconds, so does what is recent."""
    os.utime(file, ns=(SECOND, SECOND))
    cache, status = StatCache(), file.stat()
    cache.record("file", status, CHUNKS, 2 * SECOND)
    assert cache.chunks("file", status) is None
    cache.record("file", status, CHUNKS, 12 * SECOND)
    assert cache.chunks("file", status) == CHUNKS


def test_a_time_that_has_not_come_yet(file):
    """A file from a clock that is ahead may change again without its time showing it."""
    cache, status = StatCache(), file.stat()
    cache.record("file", status, CHUNKS, status.st_mtime_ns - 5 * SECOND)
    assert cache.chunks("file", status) is None


def test_what_is_forgotten_is_read_again(file, tmp_path):
    """A row that turned out to be wrong goes for good."""
    cache = StatCache()
    cache.record("file", file.stat(), CHUNKS, later(file))
    cache.save(tmp_path / "cache")
    cache.forget("file")
    cache.save(tmp_path / "cache")
    assert StatCache.load(tmp_path / "cache").chunks("file", file.stat()) is None


def test_only_changes_are_written(file, tmp_path):
    """A cache that is as it was loaded is not written again; any change of it is."""
    path, status = tmp_path / "cache", file.stat()
    cache = StatCache()
    cache.record("file", status, CHUNKS, later(file))
    cache.record("other", status, CHUNKS, later(file))
    cache.save(path)

    def written(change):
        path.write_bytes(saved := path.read_bytes())
        loaded = StatCache.load(path)
        change(loaded)
        path.unlink()
        loaded.save(path)
        if is_written := path.exists():
            loaded.save(tmp_path / "elsewhere")
            assert (tmp_path / "elsewhere").exists()
        path.write_bytes(saved)
        return is_written

    assert not written(lambda _cache: None)
    assert not written(lambda cache: cache.keep_only({"file", "other", "third"}))
    assert not written(lambda cache: cache.record("new", status, CHUNKS, status.st_mtime_ns))
    assert written(lambda cache: cache.keep_only({"file"}))
    assert written(lambda cache: cache.record("new", status, CHUNKS, later(file)))
    assert written(lambda cache: cache.record("file", status, CHUNKS, status.st_mtime_ns))


def test_names_that_are_not_utf8(file, tmp_path):
    """A name with undecodable bytes survives saving."""
    cache = StatCache()
    cache.record("caf\udce9", file.stat(), CHUNKS, later(file))
    cache.save(tmp_path / "cache")
    assert StatCache.load(tmp_path / "cache").chunks("caf\udce9", file.stat()) == CHUNKS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"format": "other"}',
        b'{"format": "nextstrain-batch stat cache", "version": 2, "files": {}}',
        b'{"format": "nextstrain-batch stat cache", "version": 1, "files": 3}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_cache_is_an_empty_one(tmp_path, content, file):
    """What cannot be understood is done without."""
    (tmp_path / "cache").write_bytes(content)
    assert StatCache.load(tmp_path / "cache").chunks("file", file.stat()) is None


def test_damaged_rows_are_done_without(file):
    """A row that is not one has its file read again."""
    status = file.stat()
    key = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    for row in (None, 3, [], key, [*key, None], [*key, ["x"]], [*key, [1, 2]], [*key, ["x", "y"]]):
        assert StatCache({"file": row}).chunks("file", status) is None


def test_forgetting(file):
    """What is not kept is not known any more."""
    cache = StatCache()
    for name in "ab":
        cache.record(name, file.stat(), CHUNKS, later(file))
    cache.keep_only({"a"})
    assert cache.chunks("a", file.stat()) == CHUNKS
    assert cache.chunks("b", file.stat()) is None
