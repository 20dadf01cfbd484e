"""What the user sees."""

import errno
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nextstrain_batch.errors import UserError
from nextstrain_batch.ui import Ui, ask, for_streams


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_away_from_a_terminal():
    """Into a file or a pipe go plain lines: results to one stream, warnings to the other."""
    out, err = io.StringIO(), io.StringIO()
    ui = for_streams(out, err, {})
    ui.stage("Sending")
    ui.say("3 files")
    ui.warn("careful")
    ui.error("broken")
    with ui.progress() as update:
        update("sending", 1, 2)
    assert out.getvalue() == "Sending\n3 files\n"
    assert err.getvalue() == "warning: careful\nerror: broken\n"


def test_log_lines_carry_their_time():
    """A log line shows its time in this computer's zone; without one it shows none."""
    out = io.StringIO()
    ui = Ui(out, io.StringIO(), zone=timezone(timedelta(hours=1)))
    ui.log("hello", datetime(2026, 11, 23, 4, 5, 6, 789000, tzinfo=UTC))
    ui.log("bye")
    assert out.getvalue() == "[batch] [2026-11-23T05:05:06+01:00] hello\n[batch] bye\n"


class Full(io.StringIO):
    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_below_the_output():
    """What cannot be written is an error that says which stream, and why."""
    with pytest.raises(UserError, match="standard output cannot be written: No space left"):
        Ui(Full(), io.StringIO()).say("hello")
    with pytest.raises(UserError, match="standard error cannot be written: No space left"):
        Ui(io.StringIO(), Full()).warn("hello")


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(environ):
    """NO_COLOR and a dumb terminal get no colour."""
    out = Terminal()
    for_streams(out, io.StringIO(), environ).stage("Sending")
    assert out.getvalue() == "Sending\n"


def test_colour_on_a_terminal():
    """On a terminal a stage stands out."""
    out = Terminal()
    for_streams(out, io.StringIO(), {"TERM": "xterm"}).stage("Sending")
    assert out.getvalue() == "\x1b[1;34mSending\x1b[0m\n"


def test_bars_on_a_terminal():
    """On a terminal progress is drawn, on standard error, and gone afterwards."""
    out, err = io.StringIO(), Terminal()
    with for_streams(out, err, {"TERM": "xterm"}).progress() as update:
        update("sending [all]", 1, 2)
        update("sending [all]", 2, 2)
    assert "sending [all]" in err.getvalue()
    assert out.getvalue() == ""


def test_a_question_that_is_not_answered():
    """Input that ends where an answer is asked for is an error that says so, no traceback."""

    def end(_question):
        raise EOFError

    with pytest.raises(UserError, match="Nothing was changed"):
        ask("Go on? ", end)
    assert ask("Go on? ", lambda question: f"{question}yes") == "Go on? yes"
