"""Wildcards and variables of policies."""

import fnmatch
import re
import time

from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.sandbox.iam.patterns import arn_matches, matches, substituted

TEXTS = st.text(alphabet="ab:/.*?$[]{\n", max_size=12)


def oracle(pattern, value):
    """Match as fnmatch does, which has the same two wildcards and one more."""
    literal = pattern.replace("[", "[[]")
    return re.match(fnmatch.translate(literal), value) is not None


@given(TEXTS.filter(lambda text: "${" not in text), TEXTS)
def test_wildcards_match_as_those_of_files_do(pattern, value):
    """``*`` is anything, ``?`` one character, all else itself: no character is special."""
    assert matches(pattern, value, {}) == oracle(pattern, value)


@given(TEXTS.filter(lambda text: "${" not in text), TEXTS)
def test_ignoring_case_is_matching_in_one_case(pattern, value):
    """Letter case makes no difference where it is ignored, as in actions."""
    assert matches(pattern.upper(), value, {}, ignore_case=True) == oracle(pattern, value)


@given(TEXTS, TEXTS)
def test_a_variable_is_taken_literally(value, other):
    """A wildcard in a user's name is no wildcard."""
    names = {"aws:username": (value,)}
    assert matches("${aws:username}", value, names)
    assert matches("${AWS:UserName}/*", f"{value}/{other}", names)
    assert matches("${aws:username}", other, names) == (value == other)


def test_special_variables_are_their_characters():
    """``${*}``, ``${?}`` and ``${$}`` are how a policy writes them."""
    assert matches("a${*}b${?}${$}", "a*b?$", {})
    assert not matches("a${*}b", "axb", {})


def test_a_variable_that_is_not_there_matches_nothing():
    """But one with a default stands for that."""
    assert not matches("users/${aws:username}/*", "users//x", {})
    assert matches("users/${aws:username, 'nobody'}/*", "users/nobody/x", {})
    assert substituted("${aws:username}", {}) is None
    assert substituted("${aws:username}!", {"aws:username": ("ada",)}) == "ada!"


def test_many_wildcards_take_no_time():
    """A pattern made to be slow is not."""
    began = time.perf_counter()
    assert not matches("*a" * 40, "a" * 39 + "b" * 2000, {})
    assert time.perf_counter() - began < 0.5


def test_wildcards_of_arns_end_at_colons():
    """As condition operators compare them; the last component may have colons of its own."""
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:x"
    assert arn_matches("arn:aws:logs:*:*:log-group:*", arn, {})
    assert not arn_matches("arn:aws:logs:*:log-group:x", arn, {})
    assert not arn_matches("*", arn, {})
