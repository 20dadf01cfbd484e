"""The zstd seekable format."""

import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needs import missing
from nextstrain_batch.errors import CorruptError
from nextstrain_batch.store import seekable, zstd

CODEC = zstd.best()
FOOTER = struct.Struct("<IBI")


def table(rows, *, magic=0x8F92EAB1, descriptor=0, begin=0x184D2A5E, count=None, width=8):
    """Return a seek table; each row is a pair of sizes."""
    body = b"".join(struct.pack("<II", *row) + bytes(width - 8) for row in rows)
    footer = FOOTER.pack(len(rows) if count is None else count, descriptor, magic)
    return struct.pack("<II", begin, len(body) + len(footer)) + body + footer


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=8))
def test_what_goes_in_comes_out(parts):
    """All that was added comes out, in order."""
    writer = seekable.Writer(CODEC, 1)
    for part in parts:
        writer.add(part)
    data = writer.finish()
    assert seekable.decompress(CODEC, data, 100_000) == b"".join(parts)


def test_frames_are_bounded_and_tear_nothing():
    """No frame holds more than the bound, less where pieces are small, and none is torn."""
    writer = seekable.Writer(CODEC, 1)
    big, small = 700_000, 400_000
    sizes = [big, big, big, big, big, big, small, small, small, seekable.FRAME, 1, 5]
    for size in sizes:
        writer.add(bytes(size))
    data = writer.finish()
    found = seekable.read_table(data, len(data))
    ends = [5 * big, 6 * big, 6 * big + 2 * small, 6 * big + 3 * small, sum(sizes) - 6, sum(sizes)]
    assert found.raw == (0, *ends)
    offset = 0
    for size in sizes:
        assert len(found.frames(offset, size)) == 1
        offset += size


def test_the_zstd_program_reads_it():
    """``zstd -d`` decodes the object as it is."""
    program = shutil.which("zstd") or missing("needs the zstd program")
    content = b"content\n" * 500_000
    data = seekable.compress(CODEC, content, 3)
    done = subprocess.run([program, "-dc"], input=data, capture_output=True, check=True)
    assert done.stdout == content


def test_tables_with_checksums_are_read():
    """Tables of other writers, which may hold checksums, are understood."""
    frame = CODEC.compress(b"content!", 1)
    data = frame + table([(len(frame), 8)], descriptor=0x80, width=12)
    assert seekable.decompress(CODEC, data, 100) == b"content!"


@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"short",
        bytes(100),
        table([(8, 8)], magic=1),
        table([(8, 8)], descriptor=4),
        table([(8, 8)], begin=1),
        table([(8, 8)], count=2),
        table([(8, 8)], count=2**32 - 1),
        table([(8, 8)], count=0),
        table([(9, 8)]),
        table([(7, 8)]),
        table([(8, 0)]),
        table([(0, 8), (8, 8)]),
        table([(8, seekable.FRAME + 1)]),
        table([(8, 2**32 - 1)]),
    ],
)
def test_hostile_tables_are_refused(end):
    """A table that does not describe the object exactly is refused before anything is read."""
    data = b"8 bytes!" + end
    with pytest.raises(CorruptError):
        seekable.read_table(data, len(data))


def test_a_limit_is_kept():
    """An object that claims more than is allowed is refused before it is decompressed."""
    with pytest.raises(CorruptError, match="10000 bytes"):
        seekable.decompress(CODEC, seekable.compress(CODEC, bytes(10_000), 1), 9_999)


@given(st.integers(-5, 25), st.integers(-5, 25))
def test_the_frames_of_a_range(offset, size):
    """A range is covered by exactly the frames that hold it, or refused if it lies outside."""
    found = seekable.Table((0, 1, 2, 3), (0, 10, 15, 20))
    if offset < 0 or size < 1 or offset + size > 20:
        with pytest.raises(CorruptError):
            found.frames(offset, size)
        return
    expected = {
        frame
        for frame in range(3)
        for byte in range(offset, offset + size)
        if found.raw[frame] <= byte < found.raw[frame + 1]
    }
    assert set(found.frames(offset, size)) == expected
