"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest

from nextstrain_batch.placing import Directories, Staging
from nextstrain_batch.store.manifest import Entry


def copied(root, source, size, position=0, offset=0):
    """Copy into a temporary file; return whether there was enough, and what it holds."""
    with Staging(root) as staging:
        temporary = staging.create("file")
        descriptor = os.open(source, os.O_RDONLY)
        try:
            enough = staging.copy("file", temporary, offset, size, descriptor, position)
        finally:
            os.close(descriptor)
        return enough, Path(temporary).read_bytes()


@pytest.mark.parametrize("size", [1, 3_000_000, 5_000_000])
def test_copying(tmp_path, size):
    """Bytes of another file are copied from where they are to where they belong."""
    content = os.urandom(6_000_000)
    (tmp_path / "source").write_bytes(content)
    enough, data = copied(tmp_path, tmp_path / "source", size, position=7, offset=3)
    assert enough
    assert data == bytes(3) + content[7 : 7 + size]


def test_copying_what_the_system_cannot_copy(tmp_path):
    """Where the system does not copy by itself, it is read and written."""
    enough, data = copied(tmp_path, "/dev/zero", 2_500_000)
    assert enough
    assert data == bytes(2_500_000)


def test_copying_more_than_there_is(tmp_path):
    """A source that is too short is noticed, and no temporary file stays."""
    (tmp_path / "source").write_bytes(b"short")
    enough, data = copied(tmp_path, tmp_path / "source", 6)
    assert not enough
    assert data == b"short"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def refuse(path):
    raise AssertionError(f"{path} is in the way")


def directory(path, mode):
    return Entry(path, "directory", mode, 0)


def mode_of(path):
    return path.stat().st_mode & 0o7777


def test_directories_hand_on_their_group(tmp_path):
    """The bit that makes a directory's group that of what is in it survives a build's modes."""
    tmp_path.chmod(0o2775)
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(0o2775)
    with Directories(tmp_path, refuse) as directories:
        for entry in (directory("new", 0o755), directory("old", 0o700)):
            directories.make(entry)
            directories.finish(entry)
    assert mode_of(tmp_path / "new") == 0o2755
    assert mode_of(tmp_path / "old") == 0o2700


def test_a_symlink_is_not_finished(tmp_path):
    """Where an error ends it all early, nothing that a symlink leads to is changed."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/results").symlink_to(outside)
    with Directories(tmp_path / "root", refuse) as directories:
        directories.finish(directory("results", 0o777))
    assert mode_of(outside) == 0o700


def test_a_directory_that_a_build_closed(tmp_path):
    """What is read-only in the results and here is written to, and is read-only afterwards."""
    (tmp_path / "closed").mkdir(mode=0o555)
    with Directories(tmp_path, refuse) as directories:
        directories.make(directory("closed", 0o555))
        assert mode_of(tmp_path / "closed") & 0o700 == 0o700
    assert mode_of(tmp_path / "closed") == 0o555


@pytest.mark.parametrize(("is_wanted", "mode"), [(True, 0o755), (False, 0o555)])
def test_a_directory_that_a_build_opened(tmp_path, is_wanted, mode):
    """What a build has made writable is written to at once; its mode comes if it is wanted."""
    (tmp_path / "closed").mkdir(mode=0o555)
    with Directories(tmp_path, refuse) as directories:
        if is_wanted:
            directories.finish(directory("closed", 0o755))
        directories.make(directory("closed", 0o755), changed=True)
        assert mode_of(tmp_path / "closed") & 0o700 == 0o700
    assert mode_of(tmp_path / "closed") == mode


def test_a_directory_that_its_owner_closed(tmp_path):
    """What was made read-only here alone stays so."""
    (tmp_path / "closed").mkdir(mode=0o555)
    with Directories(tmp_path, refuse) as directories:
        directories.make(directory("closed", 0o755))
        assert mode_of(tmp_path / "closed") == 0o555
