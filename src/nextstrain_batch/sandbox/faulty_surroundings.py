"""A task's surroundings with the faults that meet jobs and their logs put around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driver import Surroundings
from .faulty_jobs import METADATA
from .faulty_logs import FaultyLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from .driver import Driver
    from .executor import Executor
    from .faults import Faults
    from .faulty_jobs import JobFaults
    from .jobs import Job, Task


class FaultySurroundings(Surroundings):
    """Passes everything on to *inner*. *url* is where the sandbox serves."""

    def __init__(self, inner: Surroundings, faults: Faults, jobs: JobFaults, url: str) -> None:
        self._inner = inner
        self._faults = faults
        self._jobs = jobs
        self._url = url
        self._logs: dict[str, FaultyLog] = {}

    def environment(self, job: Job, task: Task) -> dict[str, str]:
        """Return the container's variables, with the address of its metadata service."""
        metadata = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{self._url}{METADATA}{task.id}/"}
        return metadata | self._inner.environment(job, task)

    def disk(self, job: Job) -> int | None:
        """Return how many bytes the task's disk has; None for as many as there are."""
        return self._jobs.disk(job.specification.name, job.id)

    def log(self, job: Job, task: Task) -> Callable[[list[tuple[int, str]]], None]:
        """Make the task's stream, and return what puts events into it, or does not."""
        name = job.specification.name
        log = FaultyLog(self._inner.log(job, task), self._faults, job=name, job_id=job.id)
        self._logs[task.id] = log
        self._jobs.began(task.id, name, job.id, task.instance)

        def put(events: list[tuple[int, str]]) -> None:
            log(events)
            for _, text in events:
                self._jobs.printed(task.id, text)

        return put

    def over(self, task: Task) -> None:
        """Take back what the task was given."""
        self._jobs.ended(task.id)
        log = self._logs.pop(task.id, None)
        try:
            if log is not None:
                log.close()
        finally:
            self._inner.over(task)


class Hosts:
    """Kills tasks, and takes their hosts away."""

    def __init__(self, driver: Driver, executor: Executor) -> None:
        self._driver = driver
        self._executor = executor

    def kill(self, task_id: str) -> None:
        """Send SIGKILL to a task's first process."""
        # The driver's lock is held while a task is being started.
        self._driver.wake()
        self._executor.signal(task_id, 9)

    def lose(self, task_id: str) -> None:
        """Take away the instance that a task runs on."""
        self._driver.lose_host_of(task_id)
