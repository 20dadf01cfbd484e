"""What watching a job yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from nextstrain_batch.job import Job


@dataclass(frozen=True, slots=True)
class StateChange:
    """The job's state, where it differs from the one before in more than its reason.

    It differs by its status, by the attempt that runs, or because someone asked for its end.
    """

    job: Job
    previous: Job | None
    """None for the state that the watching began with."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that the job printed."""

    text: str
    """Without its line end."""
    timestamp: datetime | None
    """When it was printed, in UTC; None for a line that comes from the log in the bucket."""
    attempt: int
    """The attempt that printed it, counted from 1."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about the watching, or about why the job waits, that the user should know."""

    text: str


Event = StateChange | LogLine | Notice
