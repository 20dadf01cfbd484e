"""Finding what lies below a root."""

import os
import socket
import stat

import pytest

from nextstrain_batch.errors import PathogenError
from nextstrain_batch.walk import walk
from trees import everything, write

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")


def paths(root, skip=everything, **more):
    return [found.path for found in walk(root, skip, **more)]


def test_order_is_that_of_bytes_and_parents_come_first(tmp_path):
    """Paths come in the order of their bytes, a directory before what it holds."""
    write(tmp_path, {"a/b": "", "a-b": "", "a/é": "", "A": "", "b/c/d": ""})
    assert paths(tmp_path) == ["A", "a", "a-b", "a/b", "a/é", "b", "b/c", "b/c/d"]


def test_skipped_directories_are_not_entered(tmp_path):
    """Skipping a directory leaves out all that it holds, unasked."""
    write(tmp_path, {"in/a": "", "out/a": "", "in/out": ""})
    asked = []

    def skip(path, is_directory):
        asked.append((path, is_directory))
        return path.endswith("out")

    assert paths(tmp_path, skip) == ["in", "in/a"]
    assert ("out", True) in asked
    assert ("in/out", False) in asked
    assert ("out/a", False) not in asked


def test_symlinks_are_not_followed(tmp_path):
    """A symlink is found as itself, whatever it points at."""
    write(tmp_path, {"d/f": ""})
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "loop").symlink_to("loop")
    found = {each.path: each.status for each in walk(tmp_path, everything)}
    assert list(found) == ["d", "d/f", "link", "loop"]
    assert stat.S_ISLNK(found["link"].st_mode)


def test_names_that_are_not_utf8(tmp_path):
    """Bytes that are not UTF-8 are kept as surrogates."""
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    assert paths(tmp_path) == ["caf\udce9"]


def test_a_pipe_is_refused_by_name(tmp_path):
    """What is no file, directory or symlink is an error that names it."""
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d/pipe")
    with pytest.raises(PathogenError, match="'d/pipe' is a named pipe"):
        paths(tmp_path)


def test_problems_can_be_collected(tmp_path):
    """What cannot travel is left out when the caller only takes note of it."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        write(tmp_path, {"z": ""})
        problems = []
        assert paths(tmp_path, problem=problems.append) == ["z"]
    assert sorted(str(each).split(",")[0] for each in problems) == [
        "'pipe' is a named pipe",
        "'sock' is a socket",
    ]


def test_a_root_that_is_missing(tmp_path):
    """A root that does not exist is an error that names it."""
    with pytest.raises(PathogenError, match="nowhere"):
        paths(tmp_path / "nowhere")


@needs_permissions
def test_a_directory_that_cannot_be_read(tmp_path):
    """A directory without permission is an error that names it."""
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(PathogenError, match="closed"):
        paths(tmp_path)
