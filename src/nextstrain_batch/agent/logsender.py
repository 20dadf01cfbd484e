"""Keeps the log object in the bucket up to date while the program runs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from nextstrain_batch.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.agent.joblog import JobLog

INTERVAL = 30.0
"""Seconds between two versions of the object at least."""
RATE = 100_000
"""Bytes a second that repeating the whole object may cost on average."""
HURRIED = 3.0
"""Seconds to wait at most for a version on its way where the job is to end: it may hang, and the
results have half a minute."""
_POLL = 0.05


class LogSender:
    """A thread that stores *log* with *put* every *interval* seconds if it has grown.

    A big log is stored less often, and one that is not kept whole no more: its end is stored when
    the attempt ends. A failure is not reported: the next version makes up for it. *is_hurried*
    tells whether the job was asked to end.
    """

    def __init__(
        self,
        log: JobLog,
        put: Callable[[bytes], object],
        *,
        is_hurried: Callable[[], bool] = lambda: False,
        interval: float = INTERVAL,
        patience: float = HURRIED,
    ) -> None:
        self._log = log
        self._put = put
        self._is_hurried = is_hurried
        self._interval = interval
        self._patience = patience
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def __enter__(self) -> None:
        """Start."""
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        """Stop, after a version that is on its way has arrived: a later one must come later."""
        self._stopped.set()
        end: float | None = None
        while self._thread.is_alive() and (end is None or time.monotonic() < end):
            self._thread.join(_POLL)
            if end is None and self._is_hurried():
                end = time.monotonic() + self._patience

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
