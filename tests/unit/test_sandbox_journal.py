"""The request journal: what is written, kept, read and added up."""

import json
import threading
from dataclasses import replace

import pytest

from nextstrain_batch.cli import run
from nextstrain_batch.commands.sandbox_requests import since
from nextstrain_batch.config import home as home_of
from nextstrain_batch.sandbox import journal
from nextstrain_batch.sandbox.layout import Layout

ENTRY = journal.Entry(
    time=journal.instant(1_790_000_000.25),
    caller="arn:aws:iam::123456789012:user/ada",
    service="s3",
    operation="HeadObject",
    action="s3:GetObject",
    resource="arn:aws:s3:::bucket/key",
    bytes_in=0,
    bytes_out=10,
    status=200,
    error="",
    seconds=0.002,
)


def later(seconds, **changes):
    return replace(ENTRY, time=journal.instant(1_790_000_000 + seconds), **changes)


def test_what_was_written_is_read(tmp_path):
    """In order, from a moment on, and by a server started later as well."""
    path = tmp_path / "requests.jsonl"
    entries = [later(second) for second in range(5)]
    for part in (entries[:2], entries[2:]):
        written = journal.Journal(path)
        for entry in part:
            written.write(entry)
        written.close()
    assert list(journal.read(path)) == entries
    assert list(journal.read(path, 1_790_000_003)) == entries[3:]


def test_without_a_journal_there_is_nothing(tmp_path):
    """A sandbox that was never started is no error."""
    assert list(journal.read(tmp_path / "requests.jsonl")) == []


def test_the_journal_is_bounded(tmp_path):
    """Two files of the given size at most, with the newest calls in them."""
    path = tmp_path / "requests.jsonl"
    written = journal.Journal(path, max_bytes=5000)
    entries = [later(second) for second in range(100)]
    for entry in entries:
        written.write(entry)
    written.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 10_000
    kept = list(journal.read(path))
    assert 10 < len(kept) < 100
    assert kept == entries[-len(kept) :]


def test_lines_of_threads_do_not_mix(tmp_path):
    """Every line is whole, however many calls are answered at once."""
    path = tmp_path / "requests.jsonl"
    written = journal.Journal(path)
    threads = [
        threading.Thread(target=lambda: [written.write(ENTRY) for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(journal.read(path)) == [ENTRY] * 800


def test_a_line_cut_short_is_left_out(tmp_path):
    """A full disk costs a line, not the journal."""
    path = tmp_path / "requests.jsonl"
    written = journal.Journal(path)
    written.write(ENTRY)
    with path.open("ab") as file:
        file.write(b'{"time": "2026-\n{}\n')
    written.write(ENTRY)
    assert list(journal.read(path)) == [ENTRY, ENTRY]


def test_calls_are_added_up():
    """By caller, service and operation; jobs' sessions of a role are one caller."""
    role = "arn:aws:sts::123456789012:assumed-role/Jobs"
    entries = [ENTRY, replace(ENTRY, status=404), replace(ENTRY, operation="GetObject")]
    entries += [replace(ENTRY, caller=f"{role}/{task}", bytes_in=3) for task in "ab"]
    found = journal.totals(entries)
    assert [(each.operation, each.calls, each.failed) for each in found] == [
        ("HeadObject", 2, 1),
        ("GetObject", 1, 0),
        ("HeadObject", 2, 0),
    ]
    assert (found[2].caller, found[2].bytes_in, found[2].bytes_out) == (role, 6, 20)
    assert found[2].seconds == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 10), ("1m", 40), ("0.5 m", 70), ("1970-01-01T00:01:00+00:00", 60)],
)
def test_a_moment_is_an_age_or_a_time(text, expected):
    """Ages count back from now."""
    assert since(text, now=100.0) == expected


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Return the journal of a home, with two calls in it."""
    monkeypatch.setenv("NEXTSTRAIN_HOME", str(tmp_path))
    path = Layout(home_of({"NEXTSTRAIN_HOME": str(tmp_path)})).journal
    path.parent.mkdir(parents=True)
    written = journal.Journal(path)
    written.write(ENTRY)
    written.write(later(9, status=403, error="AccessDenied"))
    written.close()


@pytest.mark.usefixtures("kept")
def test_the_command_shows_a_line_for_each_call(capsys):
    """With caller, resource, bytes, outcome and time; no server is needed."""
    assert run(["sandbox", "requests"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split(maxsplit=1)[1] == (
        "user/ada s3:HeadObject arn:aws:s3:::bucket/key 0/10 bytes 200 2.0 ms"
    )
    assert "403 AccessDenied" in second


@pytest.mark.usefixtures("kept")
def test_the_command_prints_json(capsys):
    """Entries, or what they come to; from a moment on if wanted."""
    assert run(["sandbox", "requests", "--json", "--since", journal.instant(1_790_000_005)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"] == 403
    assert run(["sandbox", "requests", "--json", "--summary"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    total = json.loads(line)
    assert (total["calls"], total["failed"], total["operation"]) == (2, 1, "HeadObject")


@pytest.mark.usefixtures("kept")
def test_the_command_shows_a_summary(capsys):
    """A table of calls by caller and operation."""
    assert run(["sandbox", "requests", "--summary"]) == 0
    heading, caller, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["calls", "failed", "bytes", "in", "bytes", "out", "mean", "ms"]
    assert caller == "user/ada:"
    assert line.split() == ["2", "1", "0", "20", "2.0", "s3:HeadObject"]


def test_a_moment_that_is_none_is_a_usage_error(capsys):
    """It says what can be given."""
    with pytest.raises(SystemExit):
        run(["sandbox", "requests", "--since", "yesterday"])
    assert "such as 10m" in capsys.readouterr().err
