"""Packs: planned, made, and read in part."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_transport import MemoryTransport
from nextstrain_batch.errors import CorruptError, MissingObjectError
from nextstrain_batch.store import keys, packs, seekable, zstd
from nextstrain_batch.store.chunks import chunk_of
from nextstrain_batch.store.manifest import Chunk, Pack

CODEC = zstd.best()


def named(number, size):
    return Chunk(chunk_of(b"%d" % number).digest, size)


def stored(contents, transport=None):
    """Return a transport with one pack of *contents*, the pack and what may be wanted of it."""
    transport = transport or MemoryTransport()
    chunks = tuple(chunk_of(content) for content in contents)
    plan = packs.Plan(packs.pack_id(chunks), chunks)
    by_chunk = dict(zip(chunks, contents, strict=True))
    data = packs.build(plan, by_chunk.__getitem__, CODEC, 1)
    transport.put(keys.pack(plan.id), data)
    transport.counted()
    places = dict(plan.locations())
    wanted = [packs.Wanted(chunk, places[chunk.digest].offset) for chunk in chunks]
    return transport, Pack(plan.id, plan.size, len(data)), wanted


class Turn:
    """Tells whether it is somebody's."""

    is_taken = False

    def __enter__(self):
        self.is_taken = True

    def __exit__(self, *_):
        self.is_taken = False


def fetched(transport, pack, wanted):
    return list(packs.fetch(transport, pack, wanted, CODEC))


def test_the_id_is_that_of_the_content():
    """A pack's id is the SHA-256 of the tag and its chunks' names, so it is known in advance."""
    assert packs.pack_id([Chunk("0" * 64, 1), Chunk("1" * 64, 22)]) == (
        "45b7356d628ed3aeaf85e4364a53385505f3cde0576ab1d960b40e4a85515d66"
    )


@given(st.lists(st.integers(1, seekable.FRAME), max_size=200))
def test_plans_hold_every_chunk_once_in_order(sizes):
    """Together the packs hold the chunks in order; each is within the bounds."""
    chunks = [named(number, size) for number, size in enumerate(sizes)]
    plans = list(packs.plan(chunks))
    assert [chunk for plan in plans for chunk in plan.chunks] == chunks
    assert all(packs.MINIMUM <= plan.size <= packs.MAXIMUM for plan in plans[:-1])
    assert all(0 < plan.size <= packs.MAXIMUM for plan in plans[-1:])


def test_an_insertion_changes_few_packs():
    """Two people whose files differ a little make mostly the same packs."""
    generator = random.Random(1)
    chunks = [named(number, generator.choice([1000, 20_000, 800_000])) for number in range(3000)]
    before = {plan.id for plan in packs.plan(chunks)}
    chunks[1000:1000] = [named(-1, 100_000)]
    after = {plan.id for plan in packs.plan(chunks)}
    assert len(before) > 30
    assert len(after - before) <= 4


def test_packs_of_small_files_are_as_big_as_others():
    """Where a pack ends does not depend on how many chunks its bytes are."""
    for size in (400, 10_000, 700_000):
        chunks = [named(number, size) for number in range(min(400_000, 100_000_000 // size))]
        sizes = [plan.size for plan in packs.plan(chunks)][:-1]
        assert 10_000_000 < sum(sizes) / len(sizes) < 24_000_000


@pytest.mark.parametrize("part", [slice(None), slice(5, 25, 15)])
def test_a_turn_is_for_work_and_not_for_waiting(part):
    """It is taken when content is there, and given back before S3 is asked, and at the end."""
    generator = random.Random(1)
    turn, taken = Turn(), []
    transport, pack, wanted = stored([generator.randbytes(700_000) for _ in range(30)])
    transport.before = lambda _verb, _key: taken.append(turn.is_taken)
    for _ in packs.fetch(transport, pack, wanted[part], CODEC, turn):
        assert turn.is_taken
    assert taken == [False] * len(transport.requests)
    assert not turn.is_taken


def test_everything_of_a_pack():
    """All of a pack comes with one request."""
    contents = [b"content %d" % number * 9999 for number in range(30)]
    transport, pack, wanted = stored(contents)
    assert [data for _, data in fetched(transport, pack, wanted)] == contents
    assert transport.counted() == {"get": 1}


@settings(max_examples=30)
@given(st.sets(st.integers(0, 49)), st.integers(0, 9))
def test_some_of_a_pack(chosen, seed):
    """Whatever is wanted comes, right and in order, and little else is fetched."""
    generator = random.Random(seed)
    contents = [generator.randbytes(generator.choice([10, 70_000, 900_000])) for _ in range(50)]
    transport, pack, wanted = stored(contents)
    chosen = sorted(chosen)
    got = fetched(transport, pack, [wanted[number] for number in reversed(chosen)])
    assert [data for _, data in got] == [contents[number] for number in chosen]
    size = sum(len(contents[number]) for number in chosen)
    assert transport.bytes_fetched <= pack.stored_size + 4096
    assert transport.bytes_fetched <= 4096 + 2 * size + len(chosen) * 4_400_000


def test_a_little_of_a_big_pack_is_little():
    """One small chunk of a big pack costs its table and its frame."""
    generator = random.Random(1)
    contents = [generator.randbytes(200_000) for _ in range(50)]
    transport, pack, wanted = stored(contents)
    ((_, data),) = fetched(transport, pack, wanted[30:31])
    assert data == contents[30]
    assert transport.bytes_fetched < 1_100_000
    assert transport.counted() == {"get": 2}


def test_a_table_longer_than_expected_is_fetched_again():
    """A pack of more frames than usual is read as well."""
    generator = random.Random(1)
    writer_frames = [generator.randbytes(2000) for _ in range(900)]
    chunks = tuple(map(chunk_of, writer_frames))
    frames = [CODEC.compress(content, 1) for content in writer_frames]
    table = b"".join(len(f).to_bytes(4, "little") + (2000).to_bytes(4, "little") for f in frames)
    footer = len(frames).to_bytes(4, "little") + b"\0" + (0x8F92EAB1).to_bytes(4, "little")
    header = (0x184D2A5E).to_bytes(4, "little") + (len(table) + 9).to_bytes(4, "little")
    data = b"".join([*frames, header, table, footer])
    pack = Pack(packs.pack_id(chunks), 1_800_000, len(data))
    transport = MemoryTransport()
    transport.put(keys.pack(pack.id), data)
    got = fetched(transport, pack, [packs.Wanted(chunks[700], 1_400_000)])
    assert got == [(chunks[700], writer_frames[700])]


def test_a_missing_pack():
    """A pack that is gone is said to be missing, not damaged."""
    transport, pack, wanted = stored([b"content"])
    transport.delete(keys.pack(pack.id))
    with pytest.raises(MissingObjectError):
        fetched(transport, pack, wanted)


@pytest.mark.parametrize("share", [1, 20])
@pytest.mark.parametrize("level", [3, 12])
def test_a_pack_that_was_sent_again_is_read_by_an_older_manifest(share, level):
    """After it had expired, say, and by another version of zstd: its content is what counts."""
    generator = random.Random(2)
    contents = [generator.randbytes(100_000).hex().encode() for _ in range(20)]
    transport, pack, wanted = stored(contents)
    by_chunk = {each.chunk: content for each, content in zip(wanted, contents, strict=True)}
    plan = packs.Plan(pack.id, tuple(by_chunk))
    again = packs.build(plan, by_chunk.__getitem__, CODEC, level)
    assert len(again) != pack.stored_size
    transport.put(keys.pack(pack.id), again)
    assert [bytes(data) for _, data in fetched(transport, pack, wanted[:share])] == contents[:share]


@pytest.mark.parametrize("share", [1, 20])
def test_any_damage_is_found(share):
    """Whichever byte of a pack is wrong, no wrong content comes out, and the pack is named."""
    generator = random.Random(1)
    contents = [generator.randbytes(90_000) for _ in range(20)]
    transport, pack, wanted = stored(contents)
    for _ in range(60):
        where = generator.randrange(pack.stored_size)

        def change(_key, data, where=where):
            return (
                data[:where]
                + bytes([data[where] ^ 1 << generator.randrange(8)])
                + data[where + 1 :]
            )

        transport.change = change
        with suppress(CorruptError):
            got = fetched(transport, pack, wanted[:share])
            assert [data for _, data in got] == contents[:share]


def test_a_damaged_pack_is_named():
    """The error says which object is damaged and how to be rid of it."""
    transport, pack, wanted = stored([b"content"])
    transport.change = lambda _key, data: data[:-1]
    with pytest.raises(CorruptError, match=f"aws s3 rm s3://memory/prefix/packs/{pack.id}"):
        fetched(transport, pack, wanted)


def test_another_pack_in_its_place():
    """An intact pack with another content, even of the same size, is refused."""
    transport, pack, wanted = stored([b"content " * 1000])
    other, fake, _ = stored([b"CONTENT " * 1000])
    transport.put(keys.pack(pack.id), other.objects[keys.pack(fake.id)])
    with pytest.raises(CorruptError):
        fetched(transport, Pack(pack.id, pack.size, fake.stored_size), wanted)


def test_a_bomb_in_its_place():
    """A pack that would unpack to more than the manifest says is refused undecompressed."""
    transport, pack, wanted = stored([b"content " * 1000])
    bomb = seekable.compress(CODEC, bytes(50_000_000), 19)
    transport.put(keys.pack(pack.id), bomb)
    with pytest.raises(CorruptError, match="50000000 bytes"):
        fetched(transport, Pack(pack.id, pack.size, len(bomb)), wanted)


def test_a_chunk_outside_of_its_pack():
    """A place that is not in the pack is refused."""
    transport, pack, wanted = stored([b"content"])
    with pytest.raises(CorruptError):
        fetched(transport, pack, [packs.Wanted(wanted[0].chunk, 1)])
