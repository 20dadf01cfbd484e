"""SIGTERM in the job: AWS Batch cancels, times out or reclaims, and kills 30 seconds later."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

T = TypeVar("T")

POLL = 0.05
"""Seconds until a request is noticed by whoever is not woken by it."""


class TerminatedError(Exception):
    """The job was asked to end before there was anything worth keeping."""


class Termination:
    """Whether the job was asked to end, and a file descriptor that becomes readable then.

    The descriptor also becomes readable when a child process ends. A context manager, for the main
    thread only: inside its ``with``, the signals are taken over.
    """

    def __init__(self) -> None:
        self.requested = False
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read_end

    def __enter__(self) -> Self:
        """Take over SIGTERM and SIGCHLD of this process."""
        # Process 1 gets no signal without a handler, so this comes as early as possible.
        self._previous = (
            signal.signal(signal.SIGTERM, self._on_term),
            signal.signal(signal.SIGCHLD, lambda _signum, _frame: None),
        )
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, self._previous[0])
        signal.signal(signal.SIGCHLD, self._previous[1])
        os.close(self._read_end)
        os.close(self._write_end)

    def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until the job is asked to end."""
        end = time.monotonic() + seconds
        while not self.requested and (left := end - time.monotonic()) > 0:
            select.select([self], [], [], left)
            self.clear()

    def clear(self) -> None:
        """Make the descriptor wait for the next event."""
        try:
            while os.read(self._read_end, 4096):
                pass
        except BlockingIOError:
            return

    def guard(self, work: Callable[[], T]) -> T:
        """Return what *work* returns, or raise what it raises.

        Raises ``TerminatedError`` as soon as the job is asked to end; *work* is then abandoned in
        its thread, which dies with the process.
        """
        outcome: list[T] = []
        failure: list[BaseException] = []

        def target() -> None:
            try:
                outcome.append(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the main thread
                failure.append(error)

        thread = threading.Thread(target=target, name="guarded", daemon=True)
        thread.start()
        while thread.is_alive() and not self.requested:
            thread.join(POLL)
        if failure:
            raise failure[0]
        if outcome:
            return outcome[0]
        raise TerminatedError

    def _on_term(self, _signum: int, _frame: FrameType | None) -> None:
        self.requested = True
