"""The result of an attempt."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.errors import CorruptError
from nextstrain_batch.results import AttemptResult

INSTANT = datetime(2026, 11, 23, 4, 15, tzinfo=UTC)
RESULT = AttemptResult(2, 1, INSTANT, INSTANT, 17, "a" * 64, "Außer Atem")


@given(
    st.builds(
        AttemptResult,
        attempt=st.integers(1, 10),
        exit_code=st.integers(0, 255),
        started=st.datetimes(timezones=st.just(UTC)),
        finished=st.datetimes(timezones=st.just(UTC)),
        log_lines=st.integers(0),
        output_manifest=st.none() | st.text(),
        error=st.none() | st.text(st.characters(codec="utf-8")),
        not_stored=st.none() | st.text(),
    )
)
def test_round_trip(result):
    """What is written is what is read."""
    assert AttemptResult.from_json(result.to_json()) == result


def test_names_its_format():
    """A result says what it is, so that a person or a later version can tell."""
    fields = json.loads(RESULT.to_json())
    assert (fields["format"], fields["version"]) == ("nextstrain-batch result", 1)


def test_ignores_later_additions():
    """Fields that a later version adds do not disturb this one."""
    fields = json.loads(RESULT.to_json()) | {"weather": "fair"}
    assert AttemptResult.from_json(json.dumps(fields).encode()) == RESULT


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"attempt": "2"},
        {"exit_code": True},
        {"started": "yesterday"},
        {"finished": "2026-11-23T04:15:00"},
        {"log_lines": None},
        {"output_manifest": 5},
        {"error": ["x"]},
        {"not_stored": 1},
    ],
)
def test_refuses_nonsense(change):
    """A value of the wrong kind is a damaged result, not a wrong one."""
    fields = json.loads(RESULT.to_json()) | change
    with pytest.raises(CorruptError, match="damaged"):
        AttemptResult.from_json(json.dumps(fields).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b"{}"])
def test_refuses_other_bytes(data):
    """Bytes that are no result are refused."""
    with pytest.raises(CorruptError, match="damaged"):
        AttemptResult.from_json(data)
