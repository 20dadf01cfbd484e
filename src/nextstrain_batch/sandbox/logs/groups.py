"""moto's log groups, as our streams need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .store import Group

if TYPE_CHECKING:
    from ..services import Services


class Groups:
    """Finds groups, and makes the one of jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, region: str, name: str) -> tuple[Group, int | None] | None:
        """Return a group and the days that it keeps events for; None for an unknown group."""
        found = self._services.backend("logs", region).groups.get(name)
        if found is None:
            return None
        days = found.retention_in_days
        created = int(found.creation_time.timestamp() * 1000)
        return Group(region, name, created), int(days) if days else None

    def ensure(self, region: str, name: str) -> Group:
        """Return a group, which is made where there is none."""
        if self(region, name) is None:
            self._services.backend("logs", region).ensure_log_group(name)
            self._services.changed("logs")
        found = self(region, name)
        assert found is not None
        return found[0]
