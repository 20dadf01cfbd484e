"""The thread that carries out what the job machine decides, and the lock around the machine."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .executor import Executor, Launch
from .joblog import LineWriter
from .jobs import Exit
from .machine import Machine, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .jobs import Job, Specification, Task

T = TypeVar("T")

log = logging.getLogger(__name__)

HOST_GONE = "Host EC2 (instance i-00000000000000000) terminated."
"""What jobs read whose server was stopped or died: it stands for their host."""

_STOP_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_LEAST_SECONDS = 0.01
"""How long it sleeps at least, should something be due that cannot be done."""


class Surroundings:
    """What a task needs of the rest of the sandbox. The server has the real one."""

    def environment(self, job: Job, task: Task) -> dict[str, str]:
        """Return the variables that the platform sets for the container."""
        raise NotImplementedError

    def log(self, job: Job, task: Task) -> Callable[[list[tuple[int, str]]], None]:
        """Make the task's log stream, and return what puts events into it."""
        raise NotImplementedError

    def over(self, task: Task) -> None:
        """Take back what the task was given."""
        raise NotImplementedError

    def disk(self, _job: Job) -> int | None:
        """Return how many bytes the job's disk has; None for as many as this computer's."""
        return None


class Driver:
    """The running job machine. Its methods may be called from any thread."""

    def __init__(
        self,
        machine: Machine,
        executor: Executor,
        surroundings: Surroundings,
        clock: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._machine = machine
        self._executor = executor
        self._surroundings = surroundings
        self._clock = clock
        self._changed = changed
        self._condition = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="batch")

    def start(self) -> None:
        """Begin to schedule."""
        self._thread.start()

    def stop(self) -> None:
        """Stop scheduling, kill what runs and fail its jobs for the loss of their host."""
        with self._condition:
            self._stopping = True
            self._machine.lose_hosts(HOST_GONE, self._clock())
            self._condition.notify_all()
        self._executor.stop_all(_STOP_SECONDS)
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, specification: Specification) -> Job:
        """Take a job in; it starts when there is room."""
        with self._waking():
            return self._machine.submit(specification, self._clock())

    def cancel(self, job_id: str, reason: str) -> None:
        """See ``Machine.cancel``."""
        with self._waking():
            self._machine.cancel(job_id, reason, self._clock())

    def terminate(self, job_id: str, reason: str) -> None:
        """See ``Machine.terminate``."""
        with self._waking():
            self._machine.terminate(job_id, reason, self._clock())

    def tag(self, job_id: str, change: Callable[[dict[str, str]], Mapping[str, str]]) -> None:
        """Let a known job's tags be what *change* makes of them."""
        with self._waking():
            job = self._machine.jobs[job_id]
            tags = change(dict(job.specification.tags))
            job.specification = replace(job.specification, tags=tuple(tags.items()))

    def lose_host_of(self, task_id: str) -> None:
        """Take away the instance that a task runs on, with all of its tasks."""
        with self._waking(self._note):
            jobs = [job for job in self._machine.jobs.values() if job.task is not None]
            hosts = [job.instance for job in jobs if job.task and job.task.id == task_id]
            lost: list[str] = []
            for instance in hosts:
                reason = f"Host EC2 (instance {instance}) terminated."
                lost += self._machine.lose_host(instance or "", reason, self._clock())
        for each in lost:
            self._executor.signal(each, signal.SIGKILL)

    def wake(self) -> None:
        """Look again: capacity, a queue or the clock has changed."""
        with self._waking(self._note):
            pass

    def now(self) -> float:
        """Return the sandbox's time."""
        return self._clock()

    def read(self, what: Callable[[dict[str, Job]], T]) -> T:
        """Return *what* makes of the jobs, which do not change meanwhile."""
        with self._condition:
            return what(self._machine.jobs)

    @contextmanager
    def _waking(self, note: Callable[[], None] | None = None) -> Iterator[None]:
        """Change jobs under the lock, and have that written down, which fails by raising."""
        with self._condition:
            yield
            self._condition.notify_all()
        (note or self._changed)()

    def _note(self) -> None:
        """Have changes written down that nobody was promised.

        The disk may be full. Jobs start and end all the same; it is tried again with the next
        change, and by whoever saves all of them.
        """
        try:
            self._changed()
        except Exception:
            log.exception("How jobs have changed could not be written down")

    def _run(self) -> None:
        with self._condition:
            while not self._stopping:
                # One moment for both: what falls due between two would be slept through.
                now = self._clock()
                try:
                    acted = self._step(now)
                except Exception:
                    log.exception("The job machine stumbled")
                    acted = False
                if not acted:
                    due = self._machine.next_due(now)
                    self._condition.wait(_IDLE_SECONDS if due is None else max(due, _LEAST_SECONDS))

    def _step(self, now: float) -> bool:
        actions = self._machine.advance(now)
        if actions:
            # Before a task starts: nobody shall start it again, should this process die now.
            self._note()
        for action in actions:
            if isinstance(action, Start):
                self._start_or_fail(action)
            else:
                self._executor.signal(action.task_id, action.number)
        if actions:
            self._note()
        return bool(actions)

    def _start_or_fail(self, action: Start) -> None:
        try:
            self._start(action)
        except Exception as error:
            log.exception("A task could not be started")
            end = Exit(None, f"CannotStartContainerError: the sandbox failed: {error}")
            self._machine.exited(action.task.id, end, self._clock())

    def _start(self, action: Start) -> None:
        job, task = action.job, action.task
        put = self._surroundings.log(job, task)
        writer = LineWriter(put, self._clock)

        def done(end: Exit) -> None:
            # The last lines may be lost to a full disk; that the job is over may not.
            _try(writer.close)
            _try(lambda: self._surroundings.over(task))
            with self._waking(self._note):
                self._machine.exited(task.id, end, self._clock())

        launch = Launch(
            task_id=task.id,
            command=job.specification.container.command,
            environment=self._surroundings.environment(job, task),
            output=writer.feed,
            done=done,
            disk=self._surroundings.disk(job),
            image=job.specification.container.image,
            memory=job.specification.container.memory,
        )
        # `done` waits for the lock that is held here, so no job ends before it has begun.
        if self._executor.start(launch):
            self._machine.started(task.id, self._clock())


def _try(what: Callable[[], None]) -> None:
    try:
        what()
    except Exception:
        log.exception("A task's end is incomplete")
