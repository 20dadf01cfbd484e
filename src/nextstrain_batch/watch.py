"""A job, watched to its end: its state, its lines, and why it waits, as one stream of events.

One thread takes turns between the job's state and its log. A new state is looked for every half
second at first and more rarely the longer nothing changed, because short builds should not wait
for us and long ones should not use up the account's quotas. The whole is explained in
``docs/explanation/watching.md``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import TRANSIENT
from nextstrain_batch.events import Notice, StateChange
from nextstrain_batch.job import UnknownJobError, describe
from nextstrain_batch.trouble import PATIENCE, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nextstrain_batch.clients import BatchClient
    from nextstrain_batch.diagnose import Diagnosis
    from nextstrain_batch.errors import UserError
    from nextstrain_batch.events import Event
    from nextstrain_batch.job import Job
    from nextstrain_batch.logs import JobLogs

FASTEST = 0.5
SLOWEST = 6.0
"""Seconds between two looks at the state, at least and at most."""
SHARE = 40
"""In between, the time since the last change divided by this: a build's end is noticed with a
delay of about one per cent of how long it took."""
LOG_PATIENCE_AT_END = 30.0
"""Seconds for which trouble with the log of a job that is over is ridden out."""
APPEARS = 30.0
"""Seconds within which a job just submitted becomes known to everyone inside AWS."""


def follow(
    job_id: str,
    *,
    batch: BatchClient,
    clock: Callable[[], float],
    wait: Callable[[float], object],
    logs: JobLogs | None = None,
    diagnosis: Diagnosis | None = None,
    just_submitted: bool = False,
    patience: float = PATIENCE,
) -> Iterator[Event]:
    """Yield what happens to a job. The last event is always the ``StateChange`` to its end.

    *clock* counts seconds. *wait* lets some pass; it may return early, whereupon the state is
    looked at soon, and it may raise: the exception comes out here. Nothing is asked for between
    two events that the caller did not take. Without *logs* no lines are given.

    Trouble with the connection is ridden out for *patience* seconds, then raises
    ``UnreachableError``. Raises ``UnknownJobError`` for a job that AWS does not know, which with
    *just_submitted* it may take some seconds to learn of.
    """
    watch = _Watch(job_id, batch, clock, logs, diagnosis, patience)
    if just_submitted:
        watch.unknown_until = clock() + APPEARS
    return watch.events(wait)


def state_interval(unchanged: float) -> float:
    """Return how long to wait before the next look, *unchanged* seconds after the last change."""
    return min(max(unchanged / SHARE, FASTEST), SLOWEST)


class _Watch:
    """The watching of one job; see ``follow``."""

    def __init__(
        self,
        job_id: str,
        batch: BatchClient,
        clock: Callable[[], float],
        logs: JobLogs | None,
        diagnosis: Diagnosis | None,
        patience: float,
    ) -> None:
        self.unknown_until = -math.inf
        self._id = job_id
        self._batch = batch
        self._clock = clock
        self._logs = logs
        self._diagnosis = diagnosis
        self._job: Job | None = None
        self._before: Job | None = None
        self._changed = clock()
        self._looked = -math.inf
        self._state_due = clock()
        self._state_trouble = Trouble(clock, patience)
        self._log_trouble = Trouble(clock, patience)
        self._told = False

    def events(self, wait: Callable[[float], object]) -> Iterator[Event]:
        while True:
            if not self._is_over() and self._clock() >= self._state_due:
                yield from self._look()
            if self._logs and self._clock() >= self._logs.due:
                yield from self._read(self._logs)
            if self._is_over() and (self._logs is None or self._logs.finished):
                assert self._job is not None
                yield StateChange(self._job, self._before)
                return
            self._rest(wait)

    def _is_over(self) -> bool:
        return self._job is not None and self._job.is_over

    def _rest(self, wait: Callable[[float], object]) -> None:
        due = math.inf if self._is_over() else self._state_due
        if self._logs:
            due = min(due, self._logs.due)
        wait(max(due - self._clock(), 0.0))
        if self._clock() < due:
            # Woken: something happened here, and perhaps to the job in consequence.
            self._state_due = min(self._state_due, max(self._clock(), self._looked + FASTEST))

    # --- the state ---

    def _look(self) -> Iterator[Event]:
        self._looked = self._clock()
        try:
            job = describe(self._batch, self._id)
        except UnknownJobError:
            if self._clock() >= self.unknown_until:
                raise
            self._state_due = self._clock() + FASTEST
            return
        except TRANSIENT as error:
            self._state_due = self._clock() + self._state_trouble.failed(error)
            yield from self._tell_trouble(error)
            return
        yield from self._tell_recovery(self._state_trouble)
        yield from self._take(job)

    def _take(self, job: Job) -> Iterator[Event]:
        before, self._job = self._job, job
        self.unknown_until = -math.inf
        changed = before is None or _differ(before, job)
        if changed:
            self._changed = self._clock()
        self._state_due = self._clock() + state_interval(self._clock() - self._changed)
        if self._logs:
            self._logs.update(job)
        if job.is_over:
            # Told once the log is complete, so that it is the last word.
            self._before = before
            return
        if changed:
            yield StateChange(job, before)
        if self._diagnosis:
            yield from self._diagnosis.update(job)

    # --- the log ---

    def _read(self, logs: JobLogs) -> Iterator[Event]:
        try:
            lines = logs.poll()
        except TRANSIENT as error:
            logs.delay(self._log_trouble.failed(error, give_up=False))
            yield from self._tell_trouble(error)
            limit = LOG_PATIENCE_AT_END if self._is_over() else self._log_trouble.patience
            if self._log_trouble.lasted >= limit:
                self._log_trouble.passed()
                self._told = self._state_trouble.lasts
                yield logs.give_up_live("CloudWatch Logs does not answer.")
            return
        yield from self._tell_recovery(self._log_trouble)
        yield from lines

    # --- trouble ---

    def _tell_trouble(self, error: UserError) -> Iterator[Event]:
        if self._told:
            return
        self._told = True
        what = str(error).partition("\n")[0]
        yield Notice(f"{what} Trying again; the job itself is not affected.")

    def _tell_recovery(self, trouble: Trouble) -> Iterator[Event]:
        trouble.passed()
        if self._told and not (self._state_trouble.lasts or self._log_trouble.lasts):
            self._told = False
            yield Notice("AWS answers again.")


def _differ(before: Job, job: Job) -> bool:
    return (before.status, before.cancel_requested, before.attempt_number) != (
        job.status,
        job.cancel_requested,
        job.attempt_number,
    )
