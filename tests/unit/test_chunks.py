"""Cutting content into chunks."""

import hashlib
import io
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextstrain_batch.store.chunks import MAXIMUM, MINIMUM, chunk_of, pieces

MIB = 1024 * 1024


def cut(data):
    return list(pieces(io.BytesIO(data).readinto, len(data)))


def table(rows, seed=1, key=None):
    generator = random.Random(seed)
    lines = [
        b"strain-%06d\t%x" % (generator.randrange(10**6), generator.getrandbits(300))
        for _ in range(rows)
    ]
    return b"\n".join(sorted(lines, key=key) if key else lines) + b"\n"


def alignment(records, wrap, seed=1):
    generator = random.Random(seed)
    reference = bytearray(generator.choices(b"ACGT", k=29_900))
    text = []
    for number in range(records):
        sequence = reference.copy()
        for _ in range(40):
            sequence[generator.randrange(len(sequence))] = generator.choice(b"ACGT")
        text.append(b">genome-%d" % number)
        text += [bytes(sequence[at : at + wrap]) for at in range(0, len(sequence), wrap)]
    return b"\n".join(text)


BIG = {
    "table": table(60_000),
    "sorted table": table(60_000, key=bytes),
    "wrapped alignment": alignment(200, 80),
    "alignment": alignment(200, 30_000),
    "one-line JSON": table(60_000).replace(b"\n", b","),
    "one genome": bytes(random.Random(3).choices(b"ACGT", k=6 * MIB)),
    "binary": random.Random(2).randbytes(6 * MIB),
    "zeros": bytes(6 * MIB),
    "one line again and again": b"again\n" * MIB,
    "one line of one letter": b"x" * (6 * MIB),
}


@pytest.mark.parametrize("name", BIG)
def test_pieces_are_the_content(name):
    """Together the pieces are the content; each is within the bounds."""
    data = BIG[name]
    found = cut(data)
    assert b"".join(found) == data
    assert all(MINIMUM < len(piece) <= MAXIMUM for piece in found[:-1])
    assert 0 < len(found[-1]) <= MAXIMUM


@pytest.mark.parametrize("name", sorted(set(BIG) - {"one line of one letter"}))
def test_an_insertion_changes_few_pieces(name):
    """After an insertion near the start, most of a file is cut as before."""
    data = BIG[name]
    have = {hashlib.sha256(piece).digest() for piece in cut(data)}
    for where in (1000, MIB):
        edited = data[:where] + b"inserted" + data[where:]
        new = [piece for piece in cut(edited) if hashlib.sha256(piece).digest() not in have]
        assert sum(map(len, new)) <= 4 * MIB


def test_an_append_changes_the_end():
    """What is appended changes no piece but the last."""
    data = BIG["table"]
    before, after = cut(data), cut(data + b"one more line\n" * 1000)
    assert after[: len(before) - 1] == before[:-1]


def test_tables_are_cut_at_line_starts():
    """A piece of a table ends with a whole line."""
    assert all(piece.endswith(b"\n") for piece in cut(BIG["table"]))


@pytest.mark.parametrize("name", ["alignment", "wrapped alignment"])
def test_sequences_are_cut_at_records(name):
    """A piece of a FASTA file ends where a record begins, however its lines are wrapped."""
    assert all(piece.endswith(b"\n>") for piece in cut(BIG[name])[:-1])


def test_records_without_end_are_cut_like_lines():
    """Where the mark of a record is as common as in binary content, it counts for nothing."""
    data = BIG["table"].replace(b"7", b">")
    assert all(piece.endswith(b"\n") for piece in cut(data))


def test_records_of_one_name_are_told_apart():
    """Records with the same name are cut by what they hold, so an insertion changes few pieces."""
    data = re.sub(rb"genome-\d+", b"genome", BIG["alignment"])
    have = {hashlib.sha256(piece).digest() for piece in cut(data)}
    new = [p for p in cut(b">new\n" + data) if hashlib.sha256(p).digest() not in have]
    assert sum(map(len, new)) <= 4 * MIB


@pytest.mark.parametrize("size", [0, 1, MINIMUM, MAXIMUM])
def test_small_files_are_one_piece(size):
    """Content of at most the maximum is one piece, and empty content none."""
    data = BIG["table"][:size]
    assert cut(data) == ([data] if data else [])


@settings(max_examples=20)
@given(
    st.integers(0, 2**32),
    st.integers(MAXIMUM - 2, 3 * MAXIMUM),
    st.lists(st.integers(1, 2 * MAXIMUM), max_size=5),
    st.sampled_from([b"\n", b",", b"ab\n", b"\n\n\n", b"GATC", b""]),
    st.integers(0, 4 * MAXIMUM),
)
def test_cutting_does_not_depend_on_how_it_is_read(seed, size, reads, separator, expected):
    """The same content is cut alike however many bytes each read returns or were expected."""
    generator = random.Random(seed)
    words = [generator.randbytes(generator.choice([1, 50, 5000])) for _ in range(9)]
    data = separator.join(generator.choices(words, k=size // 50))[:size]
    stream = io.BytesIO(data)
    sizes = iter(reads)
    short = list(pieces(lambda space: stream.readinto(space[: next(sizes, None)]), expected))
    assert b"".join(short) == data
    assert short == cut(data)


def test_the_cuts_stay_where_they_are():
    """Cuts do not move from release to release: it would cost everybody a whole upload."""
    lengths = [len(piece) for piece in cut(BIG["table"])]
    assert lengths == EXPECTED, lengths


EXPECTED = [968652, 1028477, 981979, 808151, 784468, 824274]


def test_the_name_of_a_chunk():
    """A chunk is named by the SHA-256 of its content."""
    chunk = chunk_of(b"abc")
    assert chunk.size == 3
    assert chunk.digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
