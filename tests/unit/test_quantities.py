"""Amounts of memory."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.quantities import counted, parse_bytes, shown_seconds

UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@given(st.integers(1, 10**18), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " ", "  "]))
def test_whole_amounts_are_exact(number, unit, space):
    """A whole number times its unit is exact, in either case and with or without a space."""
    assert parse_bytes(f"{number}{space}{unit}") == number * UNITS[unit]
    assert parse_bytes(f" {number}{space}{unit.upper()} ") == number * UNITS[unit]


@given(st.integers(1, 10**18))
def test_a_bare_number_counts_bytes(number):
    """A number without a unit counts bytes."""
    assert parse_bytes(str(number)) == number


def test_fractions_are_rounded_up():
    """A fraction counts, and part of a byte is a byte."""
    assert parse_bytes("1.5gb") == 1_500_000_000
    assert parse_bytes(".5 KiB") == 512
    assert parse_bytes("1.0001b") == 2
    assert parse_bytes("2.gib") == 2 * 2**30


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "gb", "-1gb", "0", "0.0gb", "1tb", "1g", "16 gigs", "1e3", "inf", "nan"),
        *("1 2gb", "1,5gb", "٣gb", "1.2.3gb", "."),
    ],
)
def test_anything_else_is_refused(text):
    """What is no positive amount in a known unit is a ValueError that quotes it."""
    with pytest.raises(ValueError, match=r"memory|less than"):
        parse_bytes(text)


@given(st.text(max_size=12))
def test_no_text_breaks_it(text):
    """Any text is a positive number of bytes or a ValueError."""
    with suppress(ValueError):
        assert parse_bytes(text) >= 1


def test_huge_fractions_are_exact():
    """A number too large for a float is exact, too."""
    assert parse_bytes("9" * 400 + ".5kb") == int("9" * 400 + "5") * 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5399, "90 min"), (5400, "1 h 30 min")),
        *((7200, "2 h"), (172_799, "48 h"), (172_800, "2 d"), (1e6, "11 d")),
    ],
)
def test_stretches_of_time(seconds, text):
    """A stretch of time is told in the units that fit it."""
    assert shown_seconds(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (1234, "1,234 files")])
def test_counted(number, text):
    """A number comes with its noun, in the plural unless it is one."""
    assert counted(number, "file") == text
