"""Files that appear whole or not at all."""

import os
from pathlib import Path

import pytest

from nextstrain_batch.placing import Staging


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
