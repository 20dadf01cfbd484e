"""zstd from each place that may have it."""

import pytest

from nextstrain_batch.errors import CorruptError
from nextstrain_batch.store import zstd

CODECS = list(zstd.available())
DATA = [b"x", b"content " * 100_000, bytes(range(256)) * 4096]


@pytest.fixture(params=CODECS, ids=lambda codec: codec.name)
def codec(request):
    return request.param


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("other", CODECS, ids=lambda codec: codec.name)
def test_each_reads_what_the_others_write(codec, other, data):
    """A frame comes out as it went in, whoever wrote and whoever reads it."""
    frame = codec.compress(data, 3)
    assert other.decompress(frame, len(data)) == data


@pytest.mark.parametrize("size", [7, 9, 0])
def test_another_size_is_refused(codec, size):
    """A frame that holds another number of bytes than promised is damaged."""
    with pytest.raises(CorruptError):
        codec.decompress(codec.compress(b"content!", 3), size)


def test_a_bomb_is_refused(codec):
    """A frame that holds far more than promised is refused."""
    with pytest.raises(CorruptError):
        codec.decompress(codec.compress(bytes(100_000_000), 1), 1000)


def test_damage_is_found(codec):
    """A torn, altered, doubled or empty frame is damaged."""
    frame = codec.compress(b"content!" * 1000, 3)
    for damaged in (frame[:-1], b"nonsense" + frame, frame + b"more", b""):
        with pytest.raises(CorruptError):
            codec.decompress(damaged, 8000)


def test_there_is_one():
    """The best codec is the first that is available."""
    assert zstd.best().name == CODECS[0].name
