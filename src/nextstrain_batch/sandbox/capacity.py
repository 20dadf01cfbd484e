"""The instances of compute environments: started for jobs, shared by them, gone when idle.

Batch words a job's reason for waiting only where the job is the first of its queue. The words
are those of "Jobs stuck in a RUNNABLE status" in AWS Batch's user guide.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .instances import types_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .instances import InstanceType
    from .jobs import Job

NO_INSTANCES = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for "
    "instance type [{name}]"
)
OVER_MAXIMUM = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue "
    "cannot meet the CPU requirement of the job."
)
TOO_BIG = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) "
    "is higher than that can be met by the CE(s) attached to the job queue."
)
INVALID = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."
UNDETERMINED = "UNDETERMINED - Batch job is blocked, root cause is undetermined."


@dataclass(frozen=True)
class Environment:
    """A compute environment as the scheduler sees it."""

    name: str
    arn: str
    max_vcpus: float
    enabled: bool
    instance_types: tuple[str, ...] = ("optimal",)
    valid: bool = True
    spot: bool = False


@dataclass
class Timing:
    """Seconds that things take, and how much there is. May be changed while jobs run."""

    grace: float = 30.0
    """From SIGTERM to SIGKILL."""
    forget: float = 7 * 86_400.0
    """How long a finished job is remembered."""
    step: float = 0.0
    """How long a job is SUBMITTED, and then PENDING."""
    instance_start: float = 0.0
    """From when an instance is asked for until jobs can start on it."""
    instance_idle: float = 60.0
    """How long an instance without jobs is kept."""
    instances: float = float("inf")
    """How many instances EC2 has; fewer than needed is a lack of capacity."""


@dataclass
class Instance:
    """A machine that was asked for."""

    id: str
    region: str
    environment: str
    type: InstanceType
    asked: float
    ready: float
    idle_since: float | None = None


@dataclass(frozen=True)
class Placed:
    """Where a job goes: to an instance that may still be starting."""

    environment: Environment
    instance: Instance


class Fleet:
    """All instances. They are not saved: a server's stop is the loss of its hosts."""

    def __init__(self, timing: Timing) -> None:
        self.instances: dict[str, Instance] = {}
        self._timing = timing
        self._numbers = itertools.count(1)

    def place(
        self, job: Job, environments: Sequence[Environment], jobs: Iterable[Job], now: float
    ) -> Placed | str | None:
        """Return where *job* goes; else the reason why it waits, None for a full environment.

        *jobs* are those that hold a part of an instance.
        """
        usable = [each for each in environments if each.enabled and each.valid and each.max_vcpus]
        held = list(jobs)
        reasons = []
        for environment in usable:
            found = self._in(environment, job, held, now)
            if isinstance(found, Placed):
                return found
            reasons.append(found)
        if not usable:
            enabled = [each for each in environments if each.enabled]
            return INVALID if enabled and not any(each.valid for each in enabled) else UNDETERMINED
        return None if None in reasons else reasons[0]

    def holds(self, job: Job) -> bool:
        """Tell whether the instance that a job was promised is still there."""
        return job.instance in self.instances

    def starting_reason(self, instance_id: str, now: float) -> str | None:
        """Return the reason that a job shows while its instance starts.

        Batch first has none and then, though the job is fine, for a while one of a job that can
        never run: nextflow-io/nextflow#7479 has an account of it.
        """
        instance = self.instances[instance_id]
        halfway = (instance.asked + instance.ready) / 2
        return TOO_BIG if halfway <= now < instance.ready else None

    def reap(self, jobs: Iterable[Job], now: float) -> None:
        """End instances that have had no job for long enough."""
        busy = {job.instance for job in jobs}
        for instance in list(self.instances.values()):
            if instance.id in busy:
                instance.idle_since = None
            elif instance.idle_since is None:
                instance.idle_since = now
            elif instance.idle_since + self._timing.instance_idle <= now:
                del self.instances[instance.id]

    def changes(self) -> Iterator[float]:
        """Yield the times at which a starting instance changes what its jobs show."""
        for each in self.instances.values():
            yield from ((each.asked + each.ready) / 2, each.ready)

    def _in(
        self, environment: Environment, job: Job, held: list[Job], now: float
    ) -> Placed | str | None:
        container = job.specification.container
        vcpus, memory = container.vcpus, container.memory
        region = job.specification.region
        mine = self._of(region, environment)
        for instance in sorted(mine, key=lambda each: each.ready):
            if instance.type.fits(*_wanted(instance, held, vcpus, memory)):
                return Placed(environment, instance)
        if vcpus > environment.max_vcpus:
            return OVER_MAXIMUM
        fitting = [t for t in types_of(environment.instance_types) if t.fits(vcpus, memory)]
        if not fitting:
            return TOO_BIG
        if not self._make_room(environment, region, vcpus, held):
            return None
        if len(self.instances) >= self._timing.instances:
            return NO_INSTANCES.format(name=fitting[0].name)
        return Placed(environment, self._ask(region, environment, fitting[0], now))

    def _make_room(
        self, environment: Environment, region: str, vcpus: float, held: list[Job]
    ) -> bool:
        """End idle instances until the job's vCPUs fit below the maximum; tell whether they do.

        The instance may be bigger than the job: Batch, too, goes over the maximum by a part of
        one instance.
        """
        busy = {job.instance for job in held}
        while sum(each.type.vcpus for each in self._of(region, environment)) + vcpus > (
            environment.max_vcpus
        ):
            idle = [each for each in self._of(region, environment) if each.id not in busy]
            if not idle:
                return False
            del self.instances[idle[0].id]
        return True

    def _of(self, region: str, environment: Environment) -> list[Instance]:
        place = (region, environment.name)
        return [e for e in self.instances.values() if (e.region, e.environment) == place]

    def _ask(
        self, region: str, environment: Environment, kind: InstanceType, now: float
    ) -> Instance:
        name = f"i-{next(self._numbers):017x}"
        ready = now + self._timing.instance_start
        made = self.instances[name] = Instance(name, region, environment.name, kind, now, ready)
        return made


def _wanted(instance: Instance, held: list[Job], vcpus: float, memory: int) -> tuple[float, int]:
    """Return what would be reserved of an instance with one more job."""
    containers = [job.specification.container for job in held if job.instance == instance.id]
    return (
        vcpus + sum(each.vcpus for each in containers),
        memory + sum(each.memory for each in containers),
    )
