"""What jobs print becomes log events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.sandbox.joblog import PIECE, LineWriter


def events_of(*pieces, times=None):
    """Feed the pieces of a stream; return the events."""
    events = []
    clock = iter(times).__next__ if times else lambda: 1.0
    writer = LineWriter(events.extend, clock)
    for piece in pieces:
        writer.feed(piece)
    writer.close()
    return events


def messages_of(*pieces):
    return [message for _, message in events_of(*pieces)]


def test_a_line_is_an_event_wherever_the_stream_is_cut():
    """Lines come out whole, the last one even without a line end."""
    assert messages_of(b"one\ntw", b"o\n", b"three") == ["one", "two", "three"]


def test_lines_come_as_soon_as_they_end():
    """A finished line does not wait for the next."""
    events = []
    writer = LineWriter(events.extend, lambda: 2.0)
    writer.feed(b"done\nnot yet")
    assert events == [(2000, "done")]


def test_empty_lines_are_dropped_as_on_aws():
    """An event may not be empty, so Docker's log driver drops empty lines."""
    assert messages_of(b"a\n\n\r\nb\n") == ["a", "b"]


def test_times_never_go_back():
    """A clock that is set back does not reorder the log."""
    events = events_of(b"a\n", b"b\n", b"c\n", times=[5.0, 3.0, 6.0])
    assert [time for time, _ in events] == [5000, 5000, 6000]


def test_bytes_that_are_not_utf8_are_shown_as_replacements():
    """Undecodable output does not end the log."""
    assert messages_of(b"caf\xe9\n") == ["caf\N{REPLACEMENT CHARACTER}"]


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_long_lines_are_cut_between_characters(ending):
    """A line over 16 KiB becomes several events and no character is lost."""
    line = "é€😀a" * 5000
    messages = messages_of(line.encode() + ending)
    assert "".join(messages) == line
    assert all(len(message.encode()) <= PIECE for message in messages)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", codec="utf-8"))))
def test_whatever_is_printed_arrives(lines):
    """Every line that is not empty arrives once and in order."""
    assert messages_of("\n".join(lines).encode()) == [line for line in lines if line]
