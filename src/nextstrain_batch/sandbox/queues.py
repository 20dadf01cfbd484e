"""Batch's queues, compute environments and job definitions, which moto keeps, as we need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .machine import Environment, TimeLimit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from .services import Backend, Services

    Queue: TypeAlias = Any
    Definition: TypeAlias = Any
    """moto's objects, which have no types of use."""


class Catalogue:
    """Looks things up. Answers ``Queues`` for the job machine."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def queue(self, region: str, name_or_arn: str) -> Queue | None:
        """Return moto's queue, or None."""
        return self._backend(region).get_job_queue(name_or_arn)

    def definition(self, region: str, reference: str) -> Definition | None:
        """Return moto's active definition that a name, ``name:revision`` or ARN means, or None.

        A name alone means its latest active revision.
        """
        active = [
            each
            for each in self._backend(region)._job_definitions.values()  # noqa: SLF001
            if each.status == "ACTIVE"
            and reference in {each.arn, each.name, f"{each.name}:{each.revision}"}
        ]
        return max(active, key=lambda each: each.revision, default=None)

    def priority(self, region: str, queue: str) -> int:
        """Return the queue's priority; 0 for one that is gone."""
        found = self.queue(region, queue)
        return 0 if found is None else int(found.priority)

    def environments(self, region: str, queue: str) -> Sequence[Environment]:
        """Return the queue's environments in their order."""
        found = self.queue(region, queue)
        return () if found is None else [_environment(each) for each in found.environments]

    def time_limits(self, region: str, queue: str) -> Sequence[TimeLimit]:
        """Return the queue's ``jobStateTimeLimitActions``."""
        actions = getattr(self.queue(region, queue), "time_limit_actions", None) or ()
        return [TimeLimit(str(each["reason"]), float(each["maxTimeSeconds"])) for each in actions]

    def _backend(self, region: str) -> Backend:
        return self._services.backend("batch", region)


def _environment(environment: Backend) -> Environment:
    resources = environment.compute_resources or {}
    return Environment(
        name=environment.name,
        arn=environment.arn,
        max_vcpus=float(resources.get("maxvCpus", 0)),
        enabled=environment.state != "DISABLED",
        instance_types=tuple(resources.get("instanceTypes") or ("optimal",)),
        valid=getattr(environment, "status", "VALID") != "INVALID",
        spot=resources.get("type") == "SPOT",
    )
