"""Faults that meet jobs: killing the first process, taking the host away, a small disk.

A job's host is announced to be reclaimed where EC2 announces it: at the instance metadata
service, which jobs find at ``AWS_EC2_METADATA_SERVICE_ENDPOINT``. What sets a fault off is a
line that the job prints (*line*), a request that it makes (*api*, *key*), or else its start; a
job that runs already counts as starting when the fault is added.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .faults import Fault, Faults
    from .iam.calls import Call

METADATA = "/_sandbox/metadata/"
"""Followed by a task's id, and then by the paths of the instance metadata service."""
_ACTING = frozenset({"kill-agent", "reclaim-host"})
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Hosts(Protocol):
    """What can be done to running tasks; one that is over is no error."""

    def kill(self, task_id: str) -> None:
        """Send SIGKILL to a task's first process."""

    def lose(self, task_id: str) -> None:
        """Take away the instance that a task runs on."""


@dataclass
class _Task:
    id: str
    job: str
    job_id: str
    instance: str
    reclaimed_at: datetime | None = None


class JobFaults:
    """Carries out the faults of jobs. Safe to use from several threads.

    *later* calls something after some seconds, from another thread.
    """

    def __init__(
        self,
        faults: Faults,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        self.hosts: Hosts | None = None
        """Set before the first task begins."""
        self._faults = faults
        self._now = now
        self._later = later or in_a_thread
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    # What happens to tasks

    def began(self, task_id: str, job: str, job_id: str, instance: str) -> None:
        """Take a task in that is being started."""
        task = _Task(task_id, job, job_id, instance)
        with self._lock:
            self._tasks[task_id] = task
        self._strike(task, _by_its_start)

    def ended(self, task_id: str) -> None:
        """Forget a task."""
        with self._lock:
            self._tasks.pop(task_id, None)

    def printed(self, task_id: str, line: str) -> None:
        """Take note of a line that a task printed."""
        if task := self._tasks.get(task_id):
            self._strike(task, lambda fault: fault.line != "*" and fault.meets_line(line))

    def called(self, task_id: str, call: Call) -> None:
        """Take note of a request that a task makes."""
        if task := self._tasks.get(task_id):
            self._strike(task, lambda fault: _by_a_call(fault) and fault.meets(call, "job"))

    def added(self, fault: Fault) -> None:
        """Let a fault that is new meet the tasks that run."""
        if fault.kind not in _ACTING or not _by_its_start(fault):
            return
        with self._lock:
            tasks = list(self._tasks.values())
        for task in tasks:
            self._strike(task, _by_its_start)

    def disk(self, job: str, job_id: str) -> int | None:
        """Return how many bytes a job's disk is to have; None for as many as there are."""
        struck = self._faults.strike({"fill-disk"}, lambda fault: fault.meets_job(job, job_id))
        return struck[0].size if struck else None

    # What the metadata service says

    def metadata(self, method: str, path: str) -> tuple[int, str]:
        """Return the HTTP status and the text that a task's metadata service answers with."""
        task_id, _, asked = path.removeprefix(METADATA).partition("/")
        task = self._tasks.get(task_id)
        if task is None:
            return 404, ""
        if method == "PUT":
            return (200, task_id) if asked == "latest/api/token" else (405, "")
        text = self._facts(task).get(asked.removeprefix("latest/meta-data/").rstrip("/"))
        return (404, "") if text is None else (200, text)

    def _facts(self, task: _Task) -> dict[str, str]:
        facts = {
            "instance-id": task.instance,
            "instance-life-cycle": "spot",
            "placement/availability-zone": "us-east-1a",
            "placement/region": "us-east-1",
        }
        if task.reclaimed_at is not None:
            when = task.reclaimed_at.strftime(_TIME)
            facts["spot/instance-action"] = f'{{"action": "terminate", "time": "{when}"}}'
            facts["spot/termination-time"] = when
        return facts

    # What is done to them

    def _strike(self, task: _Task, sets_off: Callable[[Fault], bool]) -> None:
        struck = self._faults.strike(
            _ACTING, lambda fault: fault.meets_job(task.job, task.job_id) and sets_off(fault)
        )
        for fault in struck:
            self._act(task, fault)

    def _act(self, task: _Task, fault: Fault) -> None:
        assert self.hosts is not None
        if fault.kind == "kill-agent":
            hosts = self.hosts
            self._later(fault.seconds, lambda: hosts.kill(task.id))
            return
        task.reclaimed_at = self._now() + timedelta(seconds=fault.seconds)
        hosts = self.hosts
        self._later(fault.seconds, lambda: hosts.lose(task.id))


def _by_a_call(fault: Fault) -> bool:
    return fault.api != "*" or fault.key != "*"


def _by_its_start(fault: Fault) -> bool:
    return fault.line == "*" and not _by_a_call(fault)


def in_a_thread(seconds: float, work: Callable[[], None]) -> None:
    """Call *work* after some seconds, from a thread that does not outlive the process."""

    def run() -> None:
        time.sleep(seconds)
        work()

    threading.Thread(target=run, name="fault", daemon=True).start()
