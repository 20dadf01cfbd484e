"""The terminals of these tests: what ran in them ends there as anywhere else."""

import os
import signal

import pexpect
import pytest

from terminals import Terminal


@pytest.fixture
def run():
    """Return what runs a shell's script to its end."""

    def run_script(script, pressed=""):
        terminal = Terminal("sh", ["-c", script], timeout=20, encoding="utf-8")
        if pressed:
            terminal.expect("ready")
            terminal.send(pressed)
        terminal.expect(pexpect.EOF)
        terminal.close()
        return terminal

    return run_script


def test_the_exit_code_is_the_program_s(run):
    """Success, failure, and the end by a signal."""
    assert run("true").exitstatus == 0
    assert run("exit 3").exitstatus == 3
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        assert run(f"kill -{number} $$").signalstatus == number


def test_keys_reach_the_program(run):
    """Control-C is the program's to handle, or to die of."""
    assert run("echo ready; sleep 20", "\x03").signalstatus == signal.SIGINT
    handled = run("trap 'exit 5' INT; echo ready; while :; do sleep 0.01; done", "\x03")
    assert handled.exitstatus == 5


def test_the_last_words_are_not_lost(run):
    """All that was printed is read, however soon the program ends."""
    lines = run("seq 3000").before.split()
    assert lines == [str(number) for number in range(1, 3001)]


def test_closing_hangs_up():
    """As with any terminal, the program gets SIGHUP, and is not left behind."""
    terminal = Terminal("sh", ["-c", "echo $$; sleep 20"], timeout=20, encoding="utf-8")
    terminal.expect(r"(\d+)\r\n")
    terminal.close()
    assert terminal.signalstatus == signal.SIGHUP
    with pytest.raises(ProcessLookupError):
        os.kill(int(terminal.match[1]), 0)
