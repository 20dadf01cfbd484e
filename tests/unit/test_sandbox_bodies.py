"""Contents of S3 objects on disk."""

import copy

import pytest

from nextstrain_batch.sandbox.bodies import SMALL, Bodies


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL + 1, 10 * SMALL])
def test_a_content_is_read_as_it_was_written(tmp_path, size):
    """Whole, in parts, and again after it was saved and restored."""
    bodies = Bodies(tmp_path)
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    body = bodies.new(1000)
    body.write(data)
    body.seek(0)
    assert body.read() == data
    body.seek(0)
    assert b"".join(iter(lambda: body.read(5000), b"")) == data
    restored = bodies.restore(*body.saved)
    assert restored.read() == data


def test_only_big_contents_become_files(tmp_path):
    """Small ones stay in memory and in the saved state."""
    bodies = Bodies(tmp_path)
    for size in (SMALL, SMALL + 1):
        bodies.new().write(bytes(size))
    assert len(list(tmp_path.glob("*/*"))) == 1


def test_a_content_is_removed_only_after_a_save(tmp_path):
    """The last saved state may name it, so its file outlives the object until then."""
    bodies = Bodies(tmp_path)
    body = bodies.new()
    body.write(bytes(SMALL + 1))
    discarded_before = bodies.discarded()
    body.close()
    bodies.sweep(discarded_before)
    assert len(list(tmp_path.glob("*/*"))) == 1
    bodies.sweep(bodies.discarded())
    assert list(tmp_path.glob("*/*")) == []


def test_a_content_that_is_used_again_stays(tmp_path):
    """A content that was replaced and comes back, as when changes are made again, is kept."""
    bodies = Bodies(tmp_path)
    body = bodies.new()
    body.write(bytes(SMALL + 1))
    saved = body.saved
    body.close()
    again = bodies.restore(*saved)
    bodies.sweep(bodies.discarded())
    assert len(again.read()) == SMALL + 1
    again.close()
    bodies.sweep(bodies.discarded())
    assert list(tmp_path.glob("*/*")) == []


def test_a_content_is_read_on_while_it_is_replaced(tmp_path):
    """Who reads an object that is deleted meanwhile gets all of it."""
    body = Bodies(tmp_path).new()
    body.write(bytes(SMALL + 1))
    body.seek(0)
    first = body.read(10)
    body.close()
    assert len(first + body.read()) == SMALL + 1


def test_closing_a_copy_keeps_the_content(tmp_path):
    """Copies, which moto makes to list versions, take nothing along; nor does a second close."""
    bodies = Bodies(tmp_path)
    body = bodies.new()
    body.write(bytes(SMALL + 1))
    copy.deepcopy(body).close()
    assert bodies.discarded() == []
    body.close()
    body.close()
    assert len(bodies.discarded()) == 1
