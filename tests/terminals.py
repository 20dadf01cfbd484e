"""Commands in terminals of their own, none of whose output is lost."""

import contextlib
import os
import signal
import termios

import pexpect


class Terminal(pexpect.spawn):
    """A program in a terminal, as ``pexpect.spawn`` has it; ``close`` tells its exit status.

    Linux throws away what nobody has read yet of a terminal's output, when the first process of its
    session ends, and when a key is pressed that sends a signal. So the program is the second one
    here, and keys throw nothing away. The first one ends when all has been read, or the terminal is
    closed. ``pid`` is that one's; it is also the id of the group of both.
    """

    def __init__(self, program, arguments, **options):
        words = [str(each) for each in arguments]
        super().__init__(str(program), words, preexec_fn=_step_aside, **options)

    def isalive(self):
        if self.flag_eof and not self.ptyproc.terminated:
            os.kill(self.pid, signal.SIGHUP)
        return super().isalive()


def _step_aside():
    attributes = termios.tcgetattr(0)
    attributes[3] |= termios.NOFLSH
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    if program := os.fork():
        _lead(program)


def _lead(program):
    """Be a session's first process until SIGHUP, which *program* gets too; end then as it did."""
    hung_up = []

    def hang_up(*_):
        hung_up.append(True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, signal.SIGHUP)

    signal.signal(signal.SIGHUP, hang_up)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    _, status = os.waitpid(program, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if not hung_up:
        signal.sigwait({signal.SIGHUP})
    _end(os.waitstatus_to_exitcode(status))


def _end(code):
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other handler.
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        os.kill(os.getpid(), -code)
    os._exit(code)
