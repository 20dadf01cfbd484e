"""Keeps the log object in the bucket up to date while the program runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nextstrain_batch.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.agent.joblog import JobLog

INTERVAL = 30.0
"""Seconds between two versions of the object at least."""
RATE = 100_000
"""Bytes a second that repeating the whole object may cost on average."""


class LogSender:
    """A thread that stores *log* with *put* every *interval* seconds if it has grown.

    A big log is stored less often, and one that is not kept whole no more: its end is stored when
    the attempt ends. A failure is not reported: the next version makes up for it.
    """

    def __init__(
        self, log: JobLog, put: Callable[[bytes], object], *, interval: float = INTERVAL
    ) -> None:
        self._log = log
        self._put = put
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def __enter__(self) -> None:
        """Start."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """Stop, after a version that is on its way has arrived: a later one must come later."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        stored = 0
        pause = self._interval
        while not self._stopped.wait(pause):
            if self._log.total == stored or not self._log.content_is_whole():
                continue
            content = self._log.content()
            try:
                self._put(content)
            except UserError:
                continue
            stored = len(content)
            pause = max(self._interval, stored / RATE)
