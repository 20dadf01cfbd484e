"""Faults that meet the events of jobs' logs: lost, late, or one after the next."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .faults import OF_LOGS
from .faulty_jobs import in_a_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from .faults import Fault, Faults

    Event = tuple[int, str]
    Put = Callable[[list[Event]], None]


class FaultyLog:
    """Stands before a log stream. *put* delivers events: times in milliseconds, and texts."""

    def __init__(
        self,
        put: Put,
        faults: Faults,
        *,
        job: str,
        job_id: str,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        self._put = put
        self._faults = faults
        self._names = (job, job_id)
        self._later = later or in_a_thread
        self._lock = threading.Lock()
        self._held: list[Event] = []

    def __call__(self, events: list[Event]) -> None:
        """Deliver events, as the faults let them."""
        passed: list[Event] = []
        with self._lock:
            for event in events:
                passed += self._passed(event)
        if passed:
            self._put(passed)

    def close(self) -> None:
        """Deliver what waits for an event that does not come."""
        with self._lock:
            held, self._held = self._held, []
        if held:
            self._put(held)

    def _passed(self, event: Event) -> list[Event]:
        fault = self._fault(event[1])
        if fault is None:
            held, self._held = self._held, []
            return [event, *held]
        if fault.kind == "delay-log":
            self._later(fault.seconds, lambda: self._put([event]))
        elif fault.kind == "reorder-log":
            self._held.append(event)
        return []

    def _fault(self, text: str) -> Fault | None:
        struck = self._faults.strike(
            OF_LOGS, lambda fault: fault.meets_job(*self._names) and fault.meets_line(text)
        )
        return struck[0] if struck else None
