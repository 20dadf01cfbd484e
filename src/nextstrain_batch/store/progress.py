"""How a transfer tells how far it is."""

from __future__ import annotations

import threading
from typing import Protocol


class Progress(Protocol):
    """Is told how far a phase is; called from several threads, one at a time."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take note that *done* of *total* bytes of *phase* are done."""


def silent(phase: str, done: int, total: int) -> None:
    """Tell nobody."""


class Meter:
    """Adds up the bytes of one phase and tells *progress*; safe to use from several threads."""

    def __init__(self, progress: Progress, phase: str, total: int) -> None:
        self._progress = progress
        self._phase = phase
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        if total:
            progress(phase, 0, total)

    def add(self, count: int) -> None:
        """Add *count* bytes."""
        if not self._total:
            return
        with self._lock:
            # A file may have grown since it was counted, or is read again.
            self._done = min(self._done + count, self._total)
            self._progress(self._phase, self._done, self._total)
