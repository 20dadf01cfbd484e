"""What happens to jobs. A state machine without threads, processes or a clock of its own.

Whoever drives it tells it what happened (``submit``, ``terminate``, ``started``, ``exited`` …),
calls ``advance`` and carries out the actions that it returns. ``Machine.jobs`` is all of its
state that outlives its hosts.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from . import retry
from .capacity import Environment, Fleet, Placed, Timing
from .jobs import (
    NOT_STARTED,
    OVERRIDES_TOO_LONG,
    TIMED_OUT,
    Attempt,
    Exit,
    Job,
    Specification,
    Stopping,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .jobs import Status

__all__ = ["Action", "Environment", "Machine", "Queues", "Signal", "Start", "TimeLimit", "Timing"]

MAX_OVERRIDES = 8192
"""Characters; a job with longer overrides is accepted and fails."""
CANCELLED = "Canceled by JobStateTimeLimit action due to reason: {reason}"
"""What a job reads that its queue's ``jobStateTimeLimitActions`` ended."""


@dataclass(frozen=True)
class TimeLimit:
    """One of a queue's ``jobStateTimeLimitActions``: cancel what waits too long for a reason."""

    reason: str
    seconds: float


class Queues(Protocol):
    """What the scheduler asks about queues, which are somebody else's."""

    def priority(self, region: str, queue: str) -> int:
        """Return the queue's priority; higher goes first."""

    def environments(self, region: str, queue: str) -> Sequence[Environment]:
        """Return the queue's compute environments in their order; none for a queue that is gone."""

    def time_limits(self, region: str, queue: str) -> Sequence[TimeLimit]:
        """Return what ends the queue's jobs that wait."""


@dataclass(frozen=True)
class Start:
    """Start this job's task."""

    job: Job
    task: Task


@dataclass(frozen=True)
class Signal:
    """Send a signal to a task's first process."""

    task_id: str
    number: int


Action = Start | Signal


class Machine:
    """All jobs of the sandbox. Not safe to use from several threads: the driver locks."""

    def __init__(
        self, queues: Queues, new_id: Callable[[], str], timing: Timing | None = None
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.timing = timing or Timing()
        self.fleet = Fleet(self.timing)
        self._queues = queues
        self._new_id = new_id

    # What happens to it from outside

    def submit(self, specification: Specification, now: float) -> Job:
        """Take a job in."""
        job = Job(id=self._new_id(), specification=specification, created=now)
        _enter(job, "SUBMITTED", now)
        self.jobs[job.id] = job
        return job

    def cancel(self, job_id: str, reason: str, now: float) -> None:
        """End a job that has not got to STARTING. Any other job goes on, unknown ones too."""
        job = self.jobs.get(job_id)
        if job is None or job.is_over or job.task is not None:
            return
        job.cancelled = True
        self._end(job, "FAILED", reason, now)

    def terminate(self, job_id: str, reason: str, now: float) -> None:
        """End a job wherever it is; one that is over or unknown stays as it is."""
        job = self.jobs.get(job_id)
        if job is None or job.is_over or job.terminated:
            return
        job.terminated = True
        if job.task is None:
            self._end(job, "FAILED", reason, now)
        else:
            job.task.stopping = Stopping(reason, since=float("-inf"))

    def started(self, task_id: str, now: float) -> None:
        """Note that a task's container runs."""
        job = self._job_of(task_id)
        if job is not None and job.task is not None:
            _enter(job, "RUNNING", now)
            job.task.started = job.started = now

    def exited(self, task_id: str, end: Exit, now: float) -> None:
        """Note how a task ended, and decide what becomes of its job."""
        job = self._job_of(task_id)
        if job is None or job.task is None:
            return
        task, job.task = job.task, None
        attempt = _attempt(task, end, now)
        job.attempts.append(attempt)
        if task.stopping is not None:
            self._end(job, "FAILED", task.stopping.reason, now)
        elif end.code == 0:
            self._end(job, "SUCCEEDED", attempt.status_reason, now)
        else:
            self._retry_or_fail(job, attempt, now)

    def lose_host(self, instance_id: str, reason: str, now: float) -> list[str]:
        """Take an instance away, as EC2 takes spot instances; return the tasks that it had.

        Its jobs have an attempt without an exit code, which their retry strategies may follow
        by another.
        """
        self.fleet.instances.pop(instance_id, None)
        lost = []
        for job in self._with_task():
            if job.instance == instance_id and job.task is not None:
                task, job.task = job.task, None
                lost.append(task.id)
                attempt = _attempt(task, Exit(None, None, reason), now)
                job.attempts.append(attempt)
                if task.stopping is not None:
                    self._end(job, "FAILED", task.stopping.reason, now)
                else:
                    self._retry_or_fail(job, attempt, now)
        return lost

    def lose_hosts(self, reason: str, now: float) -> None:
        """Fail every job that has a task: its host is gone, and it is not tried again."""
        for job in self._with_task():
            task, job.task = job.task, None
            if task is not None:
                job.attempts.append(_attempt(task, Exit(None, None, reason), now))
                self._end(job, "FAILED", reason, now)

    # What it does by itself

    def advance(self, now: float) -> list[Action]:
        """Do all that can be done by now; return what has to be carried out, in order."""
        self._forget(now)
        for job in self.jobs.values():
            if job.status in {"SUBMITTED", "PENDING"}:
                self._accept(job, now)
        self.fleet.reap(self._holding(), now)
        actions = [*self._schedule(now), *self._stop(now)]
        self._enforce_limits(now)
        return actions

    def next_due(self, now: float) -> float | None:
        """Return in how many seconds time alone changes something; None for never."""
        due = [time for job in self._with_task() for time in self._deadlines(job)]
        waiting = [job for job in self.jobs.values() if not job.is_over and job.task is None]
        if waiting:
            due += [time for time in self.fleet.changes() if time > now]
        for job in waiting:
            due += self._waits(job)
        return max(0.0, min(due) - now) if due else None

    def _accept(self, job: Job, now: float) -> None:
        if job.specification.overrides_length > MAX_OVERRIDES:
            self._end(job, "FAILED", OVERRIDES_TOO_LONG, now)
        elif job.status == "SUBMITTED" and now >= job.created + self.timing.step:
            _enter(job, "PENDING", now)
        if job.status == "PENDING" and now >= job.created + 2 * self.timing.step:
            _enter(job, "RUNNABLE", now)

    def _schedule(self, now: float) -> Iterator[Action]:
        for waiting in self._waiting_by_queue():
            for job in waiting:
                action = self._start_or_wait(job, now)
                if action is not None:
                    yield action
                elif job.instance is None:
                    break  # first in, first out: nobody overtakes

    def _waiting_by_queue(self) -> list[list[Job]]:
        queues: dict[tuple[str, str], list[Job]] = {}
        for job in self.jobs.values():
            if job.status == "RUNNABLE":
                specification = job.specification
                queues.setdefault((specification.region, specification.queue), []).append(job)
        by_priority = sorted(queues, key=lambda key: -self._queues.priority(*key))
        return [sorted(queues[key], key=lambda job: job.created) for key in by_priority]

    def _start_or_wait(self, job: Job, now: float) -> Start | None:
        """Start a job, or promise it an instance; else let it say why it waits."""
        specification = job.specification
        if job.instance is not None and not self.fleet.holds(job):
            job.instance = None
        environments = self._queues.environments(specification.region, specification.queue)
        if job.instance is None:
            found = self.fleet.place(job, environments, self._holding(), now)
            if not isinstance(found, Placed):
                _explain(job, found, now)
                return None
            job.instance = found.instance.id
        instance = self.fleet.instances[job.instance]
        if now < instance.ready:
            _explain(job, self.fleet.starting_reason(job.instance, now), now)
            return None
        arns = {each.name: each.arn for each in environments}
        return self._start(job, instance.environment, arns.get(instance.environment, ""), now)

    def _start(self, job: Job, environment: str, arn: str, now: float) -> Start:
        task_id = self._new_id().replace("-", "")
        job.task = Task(
            id=task_id,
            number=len(job.attempts) + 1,
            environment=environment,
            environment_arn=arn,
            log_stream=f"{job.specification.definition}/default/{task_id}",
            instance=job.instance or "",
        )
        _enter(job, "STARTING", now)
        return Start(job, job.task)

    def _retry_or_fail(self, job: Job, attempt: Attempt, now: float) -> None:
        if retry.follows(job.specification.retry, job.attempts):
            job.instance = None
            _enter(job, "RUNNABLE", now)
        else:
            self._end(job, "FAILED", attempt.status_reason, now)

    def _enforce_limits(self, now: float) -> None:
        for job in list(self.jobs.values()):
            for limit, due in self._limits(job):
                if due <= now and job.status == "RUNNABLE":
                    self._end(job, "FAILED", CANCELLED.format(reason=limit.reason), now)

    def _limits(self, job: Job) -> Iterator[tuple[TimeLimit, float]]:
        """Yield the limits that run for a waiting job, with the times when they are over."""
        if job.status != "RUNNABLE" or job.status_reason is None or job.reason_since is None:
            return
        specification = job.specification
        for limit in self._queues.time_limits(specification.region, specification.queue):
            if job.status_reason.startswith(limit.reason):
                yield limit, job.reason_since + limit.seconds

    def _waits(self, job: Job) -> Iterator[float]:
        if job.status in {"SUBMITTED", "PENDING"}:
            yield job.created + self.timing.step * (1 if job.status == "SUBMITTED" else 2)
        yield from (due for _, due in self._limits(job))

    def _stop(self, now: float) -> Iterator[Action]:
        for job in self._with_task():
            task = job.task
            if task is None or task.started is None:
                continue
            timeout = job.specification.timeout
            if task.stopping is None and timeout is not None and task.started + timeout <= now:
                task.stopping = Stopping(TIMED_OUT, since=float("-inf"))
            if task.stopping is None or task.stopping.killed:
                continue
            if task.stopping.since == float("-inf"):
                task.stopping.since = now
                yield Signal(task.id, signal.SIGTERM)
            elif task.stopping.since + self.timing.grace <= now:
                task.stopping.killed = True
                yield Signal(task.id, signal.SIGKILL)

    def _deadlines(self, job: Job) -> Iterator[float]:
        task = job.task
        if task is None or task.started is None:
            return
        if task.stopping is not None:
            if not task.stopping.killed:
                yield task.stopping.since + self.timing.grace
        elif job.specification.timeout is not None:
            yield task.started + job.specification.timeout

    def _forget(self, now: float) -> None:
        gone = [
            job.id
            for job in self.jobs.values()
            if job.stopped is not None and job.stopped + self.timing.forget <= now
        ]
        for job_id in gone:
            del self.jobs[job_id]

    def _end(self, job: Job, status: Status, reason: str, now: float) -> None:
        job.instance = None
        _enter(job, status, now)
        _explain(job, reason, now)
        job.stopped = now

    def _holding(self) -> list[Job]:
        """Return the jobs that have, or are promised, a part of an instance."""
        return [job for job in self.jobs.values() if job.instance is not None]

    def _with_task(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.task is not None]

    def _job_of(self, task_id: str) -> Job | None:
        for job in self._with_task():
            if job.task is not None and job.task.id == task_id:
                return job
        return None


def _enter(job: Job, status: Status, now: float) -> None:
    job.status = status
    job.history = (*job.history, (status, now))
    _explain(job, None, now)


def _explain(job: Job, reason: str | None, now: float) -> None:
    if reason != job.status_reason:
        job.status_reason, job.reason_since = reason, now


def _attempt(task: Task, end: Exit, now: float) -> Attempt:
    never_ran = task.started is None and end.code is None
    reason = NOT_STARTED if never_ran and end.reason is not None else end.status_reason
    return Attempt(
        exit_code=end.code,
        reason=end.reason,
        status_reason=task.stopping.reason if task.stopping is not None else reason,
        log_stream=None if task.started is None else task.log_stream,
        started=task.started,
        stopped=now,
        task=task.id,
        environment=task.environment,
        instance=task.instance,
    )
