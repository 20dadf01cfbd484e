"""The log in the bucket, compared with what was shown."""

import pytest

from fakes_aws import FakeBucket
from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.errors import (
    AccessDeniedError,
    CredentialsError,
    StoreError,
    UnreachableError,
)
from nextstrain_batch.kept_log import Kept, KeptLog, Seen
from nextstrain_batch.store import keys


def seen(*lines):
    shown = Seen()
    for line in lines:
        shown.add(line)
    return shown


def after(kept, *lines, skipped=0):
    return Kept(tuple(kept), skipped).after(seen(*lines))


@pytest.mark.parametrize(
    ("kept", "shown", "missing"),
    [
        ("", "", ""),
        ("abc", "", "abc"),
        ("abc", "ab", "c"),
        ("abc", "abc", ""),
        # What the bootstrap said before the kept log began, and the agent after it was stored.
        ("abc", "xyab", "c"),
        ("abc", "xyabcz", ""),
        ("abc", "xy", "abc"),
        # A program that says the same again and again.
        ("aaaaa", "aaa", "aa"),
        ("abababab", "ababa", "bab"),
        ("aaaab", "aaaa", "b"),
        ("a" * 60, "a" * 45, "a" * 15),
    ],
)
def test_the_missing_lines_are_found(kept, shown, missing):
    """The kept lines after the ones shown are found, whatever surrounds or repeats them."""
    assert after(kept, *shown) == tuple(missing)


@pytest.mark.parametrize(
    ("kept", "shown", "missing"),
    [
        ("abcdef", "bdf", "ace"),
        ("abcdef", "abdf", "ce"),
        ("abcdef", "bd", "acef"),
        ("aaaab", "aab", "aa"),
    ],
)
def test_lines_lost_in_between_are_found(kept, shown, missing):
    """Lines that were lost between others are given as well, in their order."""
    assert after(kept, *shown) == tuple(missing)


def test_lines_lost_beyond_memory_are_not_guessed():
    """Of more lines than are remembered, those lost before the remembered ones stay lost."""
    kept = [f"line {number}" for number in range(5000)]
    shown = [line for number, line in enumerate(kept) if number not in {100, 4000}]
    assert after(kept, *shown) == ("line 4000",)


def test_empty_lines_are_not_compared_and_not_lost():
    """Empty lines, which CloudWatch drops, do not hinder the comparison."""
    assert after(["a", "", "b", "", "c"], "a", "b") == ("", "c")
    assert after(["a", "", "b", ""], "a", "b") == ()


def test_what_cloudwatch_alters_is_not_compared():
    """Line ends, undecodable bytes and the pieces of very long lines do not hinder it."""
    long = "x" * 300_000
    assert (
        after(["a\r", "b\ufffd\ufffd", long], "a", "b\ufffd", long[:262_144], long[262_144:]) == ()
    )


def test_lines_without_any_in_common():
    """Lines altered beyond recognition count as shown once there are as many as were kept."""
    assert after("abc", "A", "B", "C") == ()


def test_an_end_that_does_not_meet_what_was_shown():
    """Where the end of a log begins after the last line shown, more of it has to be read."""
    assert after("xyz", "a", "b", skipped=20) is None


@pytest.mark.parametrize("error", [UnreachableError("Why?\n\nSo."), BusyError("Why?\n\nSo.")])
def test_a_bucket_that_cannot_be_reached(error):
    """Where the copy cannot be read nobody can tell what is missing; that is said, once."""
    bucket = FakeBucket()
    bucket.error = error
    kept = KeptLog(bucket, "zika-1")
    assert kept.missing(1, seen("a")) is None
    assert kept.complaint().startswith("Why? The end of the log may be missing")
    assert kept.complaint() is None


@pytest.mark.parametrize("error", [None, StoreError("x"), AccessDeniedError("x")])
def test_a_copy_that_is_not_there(error):
    """Where there is none, or what keeps the results away as well, this is not the place to say."""
    bucket = FakeBucket()
    bucket.error = error
    kept = KeptLog(bucket, "zika-1")
    assert kept.missing(1, seen("a")) is None
    assert kept.complaint() is None


def test_credentials_that_expire_are_told_of():
    """Credentials that are no longer valid are not passed over."""
    bucket = FakeBucket()
    bucket.error = CredentialsError("expired")
    with pytest.raises(CredentialsError):
        KeptLog(bucket, "zika-1").missing(1, seen("a"))


def test_a_damaged_result_leaves_the_log():
    """A damaged result does not hinder showing the log; it only is not known to be whole."""
    objects = {keys.log("zika-1", 1): b"a\nb\n", keys.result("zika-1", 1): b"?"}
    missing = KeptLog(FakeBucket(objects), "zika-1").missing(1, seen("a"))
    assert missing is not None
    assert missing.lines == ("b",)
    assert not missing.is_final
