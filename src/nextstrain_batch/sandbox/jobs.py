"""A Batch job as data: what was asked for, and what became of it. Picklable; no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]
STATUSES: tuple[Status, ...] = (
    "SUBMITTED",
    "PENDING",
    "RUNNABLE",
    "STARTING",
    "RUNNING",
    "SUCCEEDED",
    "FAILED",
)

EXITED = "Essential container in task exited"
TIMED_OUT = "Job attempt duration exceeded timeout"
NOT_STARTED = "Task failed to start"
OVERRIDES_TOO_LONG = "Container Overrides length must be at most 8192"


@dataclass(frozen=True)
class Rule:
    """One ``evaluateOnExit`` condition: patterns that end in ``*`` at most; None matches all."""

    action: Literal["RETRY", "EXIT"]
    on_status_reason: str | None = None
    on_reason: str | None = None
    on_exit_code: str | None = None


@dataclass(frozen=True)
class Retry:
    """The ``retryStrategy``."""

    attempts: int = 1
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Container:
    """What runs, after the overrides have been applied to the definition."""

    image: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    vcpus: float
    memory: int
    """In MiB."""
    job_role: str | None
    execution_role: str | None = None


@dataclass(frozen=True)
class Specification:
    """What a job was submitted with."""

    name: str
    region: str
    queue: str
    """The queue's name."""
    queue_arn: str
    definition: str
    """The definition's name, without revision."""
    definition_arn: str
    container: Container
    retry: Retry = Retry()
    timeout: int | None = None
    """Seconds of each attempt, from when it runs."""
    parameters: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    propagate_tags: bool = False
    """Whether its tasks have them, too. The sandbox has no description of tasks to show it."""
    overrides_length: int = 0
    """Characters of the overrides as JSON."""


@dataclass(frozen=True)
class Exit:
    """How a task ended. Without a code, the container never ran or its host is lost."""

    code: int | None
    reason: str | None = None
    """The container's reason, as ECS words it; most exits have none."""
    status_reason: str = EXITED


@dataclass(frozen=True)
class Attempt:
    """An attempt that is over. Times are seconds since 1970."""

    exit_code: int | None
    reason: str | None
    status_reason: str
    log_stream: str | None
    started: float | None
    stopped: float
    task: str
    environment: str
    instance: str = ""


@dataclass
class Stopping:
    """An attempt that was told to stop."""

    reason: str
    since: float
    killed: bool = False


@dataclass
class Task:
    """The attempt that is under way."""

    id: str
    number: int
    """Counts from 1."""
    environment: str
    """The name of the compute environment that holds its vCPUs."""
    environment_arn: str
    log_stream: str
    started: float | None = None
    stopping: Stopping | None = None
    instance: str = ""
    """The id of the EC2 instance that it runs on."""


@dataclass
class Job:
    """A job and its history."""

    id: str
    specification: Specification
    created: float
    status: Status = "SUBMITTED"
    status_reason: str | None = None
    started: float | None = None
    stopped: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    task: Task | None = None
    cancelled: bool = False
    terminated: bool = False
    instance: str | None = None
    """The id of the EC2 instance that holds, or will hold, its task."""
    reason_since: float | None = None
    """Since when it has had its ``status_reason``."""
    history: tuple[tuple[Status, float], ...] = ()
    """Each status with the time it began; a job that is tried again has some twice."""

    def since(self, status: Status) -> float | None:
        """Return when the job last came into a status; None for never."""
        return next((time for each, time in reversed(self.history) if each == status), None)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"SUCCEEDED", "FAILED"}
