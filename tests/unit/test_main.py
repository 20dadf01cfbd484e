"""Exceptions become messages and exit codes."""

import io
import subprocess
import sys

import pytest

from nextstrain_batch import errors
from nextstrain_batch.__main__ import guarded


def ending(exception):
    """Return the exit code and message of a command that raises *exception*."""

    def run(_words):
        raise exception

    err = io.StringIO()
    return guarded(run, [], err), err.getvalue()


def all_errors():
    waiting = [errors.UserError]
    while waiting:
        found = waiting.pop()
        waiting += found.__subclasses__()
        yield found


@pytest.mark.parametrize("kind", sorted(all_errors(), key=lambda kind: kind.__name__))
def test_an_error_is_its_message_and_its_code(kind):
    """What the user can mend is shown as its message alone, with its class's exit code."""
    code, message = ending(kind("what happened"))
    assert code == (2 if issubclass(kind, errors.UsageError) else 1)
    assert message == "nextstrain: error: what happened\n"


def test_an_interrupt_is_130_and_silent():
    """Control-C ends with 130 and no traceback."""
    assert ending(KeyboardInterrupt()) == (130, "")


def test_a_bug_shows_its_traceback_and_asks_for_a_report():
    """A bug shows where it is and asks for a report."""
    code, message = ending(ZeroDivisionError("oops"))
    assert code == 1
    assert "Traceback" in message
    assert "ZeroDivisionError: oops" in message
    assert "report" in message


def test_the_commands_code_passes_through():
    """What the command returns is the exit code."""
    assert guarded(lambda _words: 17, [], io.StringIO()) == 17


@pytest.mark.parametrize("words", [["version", "--verbose"], ["build", "--help"]])
def test_a_closed_output_is_quiet(words):
    """When the reader of the output goes away, the command ends without a word."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nextstrain_batch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    # argparse itself passes over what it cannot write, and then nothing is left to fail.
    assert process.wait() in {141, 0 if "--help" in words else 141}
