"""Signals while a job is watched."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from nextstrain_batch.errors import UnreachableError, UserError
from nextstrain_batch.interrupts import Detach, Interrupts, StopWaiting, saying


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Watcher:
    """Interrupts with a clock of its own, and what they asked for."""

    def __init__(self, **options):
        self.cancels = 0
        self.lines = []
        self.clock = Clock()
        self.interrupts = Interrupts(
            cancel=self.cancel, tell=self.lines.append, clock=self.clock, **options
        )

    def cancel(self):
        self.cancels += 1

    def send(self, number):
        os.kill(os.getpid(), number)
        self.interrupts.wait(0)


@pytest.fixture
def terminal():
    watcher = Watcher(on_terminal=True)
    with watcher.interrupts.installed():
        yield watcher


@pytest.fixture
def script():
    watcher = Watcher(on_terminal=False)
    with watcher.interrupts.installed():
        yield watcher


def test_one_interrupt_on_a_terminal_only_asks(terminal):
    """One press of Control-C cancels nothing and says what a second one does."""
    terminal.send(signal.SIGINT)
    assert terminal.cancels == 0
    assert "again within 10 seconds" in terminal.lines[0]


def test_a_second_interrupt_in_time_cancels(terminal):
    """Two presses within ten seconds cancel the job, once."""
    terminal.send(signal.SIGINT)
    terminal.clock.now = 9.9
    terminal.send(signal.SIGINT)
    assert terminal.cancels == 1


def test_a_second_interrupt_too_late_asks_again(terminal):
    """A press after ten seconds counts as a first one."""
    terminal.send(signal.SIGINT)
    terminal.clock.now = 10.1
    terminal.send(signal.SIGINT)
    assert terminal.cancels == 0
    assert len(terminal.lines) == 2


def test_an_interrupt_after_the_cancel_stops_waiting(terminal):
    """Whoever interrupts a cancelled job again need not wait for its end."""
    terminal.interrupts.cancel()
    with pytest.raises(StopWaiting):
        terminal.send(signal.SIGINT)


def test_interrupts_that_come_together_all_count(terminal):
    """Two signals between two waits are two presses."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    terminal.interrupts.wait(0)
    assert terminal.cancels == 1


def test_one_interrupt_of_a_script_cancels(script):
    """Without a terminal nobody can be asked: one SIGINT cancels, the next stops waiting."""
    script.send(signal.SIGINT)
    assert script.cancels == 1
    with pytest.raises(StopWaiting):
        script.send(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGHUP])
def test_leaving_detaches(terminal, number):
    """Control-Z and a lost terminal leave the job running."""
    with pytest.raises(Detach):
        terminal.send(number)
    assert terminal.cancels == 0


def test_detach_on_interrupt():
    """With --detach-on-interrupt, Control-C leaves the job running."""
    watcher = Watcher(on_terminal=True, detach_on_interrupt=True)
    with watcher.interrupts.installed(), pytest.raises(Detach):
        watcher.send(signal.SIGINT)
    assert "Control-C or Control-Z" in watcher.interrupts.hint()


def test_handlers_are_given_back():
    """Signals mean what they meant before, once the job is no longer watched."""
    before = signal.getsignal(signal.SIGINT)
    with Watcher(on_terminal=True).interrupts.installed():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupts_while_a_job_is_submitted_count_once_it_is_there(terminal):
    """Control-C before the job's id is known is answered at once, and acted upon later."""
    with terminal.interrupts.submitting():
        os.kill(os.getpid(), signal.SIGINT)
        assert "as soon as its id is known" in terminal.lines[0]
        os.kill(os.getpid(), signal.SIGINT)
        assert terminal.cancels == 0
    assert terminal.interrupts.asked
    terminal.interrupts.wait(0)
    assert terminal.cancels == 1
    assert not terminal.interrupts.asked


def test_who_does_not_wait_for_a_submission_leaves(terminal):
    """A third Control-C is an interrupt of the program itself."""
    with terminal.interrupts.submitting():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_leaving_while_a_job_is_submitted_detaches_from_it(terminal):
    """Control-Z and a lost terminal leave the job running as soon as it is there."""
    with terminal.interrupts.submitting():
        os.kill(os.getpid(), signal.SIGHUP)
    with pytest.raises(Detach):
        terminal.interrupts.wait(0)


@pytest.mark.parametrize("error", [BrokenPipeError(), RuntimeError("reentrant"), UserError("full")])
def test_nothing_comes_out_of_a_signal_while_a_job_is_submitted(error):
    """It would cut off the request that submits the job, whose id nobody would learn."""

    def tell(_text):
        raise error

    interrupts = Interrupts(cancel=lambda: None, tell=tell, on_terminal=True)
    with interrupts.installed(), interrupts.submitting():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.asked


def test_a_signal_that_was_ignored_stays_ignored():
    """Whoever started the command so, as nohup does, wants it to go on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        watcher = Watcher(on_terminal=False)
        with watcher.interrupts.installed():
            watcher.send(signal.SIGHUP)
            assert watcher.interrupts.hint() == (
                "Send SIGINT to cancel this job, SIGTSTP to detach from this job."
            )
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_cancel_that_does_not_reach_aws_can_be_repeated():
    """Trouble that the watching rides out does not end it when it meets a cancel."""
    troubles = [UnreachableError("No network.\n\nLikely causes: …"), None]

    def cancel():
        if error := troubles.pop(0):
            raise error

    lines = []
    interrupts = Interrupts(cancel=cancel, tell=lines.append, on_terminal=True, clock=lambda: 0.0)
    with interrupts.installed():
        for _ in range(4):
            os.kill(os.getpid(), signal.SIGINT)
            interrupts.wait(0)
    assert lines[1] == ("No network. The job is not cancelled; press Control-C twice to try again.")
    assert not troubles


WATCHING = """
import itertools
from nextstrain_batch.interrupts import Detach, Interrupts

times = itertools.count(0.0, 100.0)  # No press is in time to confirm another one.
interrupts = Interrupts(
    cancel=lambda: None, tell=lambda _: None, on_terminal=True, clock=times.__next__
)
with interrupts.installed():
    print("ready", flush=True)
    try:
        while True:
            interrupts.wait(0.0005)
    except Detach:
        print("over")
"""


def test_signals_in_quick_succession_hang_nothing():
    """A wrapper may pass on a signal that the terminal has sent as well."""
    command = [sys.executable, "-c", WATCHING]
    generator = random.Random(1)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout.readline() == "ready\n"
            for _ in range(2000):
                for _ in range(2):
                    watching.send_signal(signal.SIGINT)
                    end = time.perf_counter() + generator.random() * 4e-4
                    while time.perf_counter() < end:
                        pass
                time.sleep(0.001)
            watching.send_signal(signal.SIGHUP)
            assert watching.communicate(timeout=20)[0] == "over\n"
        finally:
            watching.kill()


def test_an_interrupt_says_the_innermost_next_step():
    """What to do next is said by the step that was interrupted, not by those around it."""
    with pytest.raises(KeyboardInterrupt, match="inner"), saying("outer"), saying("inner"):
        raise KeyboardInterrupt
