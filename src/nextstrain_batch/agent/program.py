"""Runs the program as a child, alone in its session, and outlives everything it leaves behind.

Its standard output and error are one pipe, so their order is kept. As process 1 of a container
the agent reaps every orphan, and kills what still runs once the program has ended, as the end of
a container would: results are then final.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nextstrain_batch.agent.termination import Termination

GRACE = 10.0
"""Seconds the program gets to end after SIGTERM; 20 of Batch's 30 are left to store results."""
LINGER = 2.0
"""Seconds that what the program left behind may still write after its end."""
DYING = 0.5
"""Seconds that the kernel may take to end what was killed."""
LOOK = 0.02
"""Seconds between two looks whether it has."""
READ_SIZE = 64 * 1024
PIPE_LIMIT = 1024 * 1024
"""What a pipe can hold at most, in bytes."""
HEARTBEAT = 1.0
"""Seconds after which the loop looks around even if nothing woke it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the program ended."""

    exit_code: int
    """Its own, or 128 + the signal that killed it, or 126 or 127 when it could not be started."""
    error: str | None = None
    """Why it could not be started, or which signal killed it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run."""

    arguments: tuple[str, ...]
    """The program first, looked up in the ``PATH`` of *environment*."""
    directory: Path
    environment: Mapping[str, str]


def run(
    program: Program,
    write: Callable[[bytes], None],
    termination: Termination,
    *,
    grace: float = GRACE,
    linger: float = LINGER,
    clock: Callable[[], float] = time.monotonic,
) -> Ended:
    """Run *program* to its end, passing what it prints to *write* as it comes.

    When *termination* is requested, its process group gets SIGTERM, and SIGKILL *grace* seconds
    later. A program that cannot be started is an answer too, not an exception.
    """
    read_end, write_end = os.pipe()
    try:
        child = _start(program, write_end)
    except (OSError, ValueError) as error:
        os.close(read_end)
        return _not_started(program, error)
    finally:
        os.close(write_end)
    try:
        return _Running(child, read_end, write, termination, clock).until_end(grace, linger)
    finally:
        os.close(read_end)


def _start(program: Program, output: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        program.arguments,
        cwd=program.directory,
        env=dict(program.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        # Its own group, so that a signal reaches all of it and never the agent.
        start_new_session=True,
    )


def _not_started(program: Program, error: OSError | ValueError) -> Ended:
    name = shlex.quote(program.arguments[0])
    if isinstance(error, FileNotFoundError):
        message = (
            f"The program {name} does not exist in the job's image, or what its first line (#!)"
            " names does not."
        )
        return Ended(results.NOT_FOUND, message)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Ended(results.NOT_EXECUTABLE, f"The program {name} cannot be run: {reason}.")


class _Running:
    """The loop around a running program. One instance serves one run."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        pipe: int,
        write: Callable[[bytes], None],
        termination: Termination,
        clock: Callable[[], float],
    ) -> None:
        self._child = child
        self._pipe = pipe
        self._write = write
        self._termination = termination
        self._clock = clock
        self._status: int | None = None
        self._pipe_is_open = True
        os.set_blocking(pipe, False)

    def until_end(self, grace: float, linger: float) -> Ended:
        """Return how the program ended, after its last byte was passed on."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            selector.register(self._termination, selectors.EVENT_READ)
            self._until_exit(selector, grace)
            self._until_silence(selector, linger)
            _kill_leftovers(self._child.pid)
            self._until_alone(selector)
        self._read_what_is_there()
        assert self._status is not None
        return _ended(self._status)

    def _until_exit(self, selector: selectors.BaseSelector, grace: float) -> None:
        kill_at: float | None = None
        while self._status is None:
            if kill_at is None and self._termination.requested:
                _signal_group(self._child.pid, signal.SIGTERM)
                kill_at = self._clock() + grace
            elif kill_at is not None and self._clock() >= kill_at:
                _signal_group(self._child.pid, signal.SIGKILL)
                kill_at = self._clock() + grace
            self._wait(selector, None if kill_at is None else kill_at - self._clock())
            self._reap()

    def _until_silence(self, selector: selectors.BaseSelector, linger: float) -> None:
        end = self._clock() + linger
        while self._pipe_is_open and self._clock() < end and not self._termination.requested:
            self._wait(selector, end - self._clock())

    def _until_alone(self, selector: selectors.BaseSelector) -> None:
        """Wait until what was killed is dead, so that no file changes any more."""
        end = self._clock() + DYING
        while self._has_company() and self._clock() < end:
            self._wait(selector, LOOK)

    def _has_company(self) -> bool:
        any_children = self._reap()
        if os.getpid() == 1:
            return any_children
        try:
            os.killpg(self._child.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _wait(self, selector: selectors.BaseSelector, timeout: float | None) -> None:
        timeout = HEARTBEAT if timeout is None else min(max(timeout, 0.0), HEARTBEAT)
        for key, _events in selector.select(timeout):
            if key.fileobj is self._termination:
                self._termination.clear()
            elif not self._read_once():
                selector.unregister(self._pipe)

    def _read_once(self) -> bool:
        """Pass on what one read gives; false at the pipe's end."""
        try:
            data = os.read(self._pipe, READ_SIZE)
        except BlockingIOError:
            return True
        if data:
            self._write(data)
        else:
            self._pipe_is_open = False
        return bool(data)

    def _read_what_is_there(self) -> None:
        # A writer beyond reach, in another session, must not keep this from ending.
        with contextlib.suppress(BlockingIOError):
            for _ in range(PIPE_LIMIT // READ_SIZE):
                data = os.read(self._pipe, READ_SIZE)
                if not data:
                    return
                self._write(data)

    def _reap(self) -> bool:
        """Collect every ended child, as process 1 all orphans; tell whether there are more."""
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid == self._child.pid:
                    self._status = os.waitstatus_to_exitcode(status)
                    # Popen must not wait for a process that is gone, nor warn about it.
                    self._child.returncode = self._status
        except ChildProcessError:
            return False
        return True


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _kill_leftovers(leader: int) -> None:
    _signal_group(leader, signal.SIGKILL)
    if os.getpid() == 1:
        # Everything else in the container; never this process itself.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(-1, signal.SIGKILL)


def _ended(status: int) -> Ended:
    if status >= 0:
        return Ended(status)
    name = _signal_name(-status)
    hint = " The job probably ran out of memory." if -status == signal.SIGKILL else ""
    return Ended(128 - status, f"The program was killed by {name}.{hint}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
