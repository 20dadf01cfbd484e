"""Which runs are over for certain, so that what they no longer need may be removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from nextstrain_batch.errors import AccessDeniedError
from nextstrain_batch.job import describe_all

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from nextstrain_batch.clients import BatchClient
    from nextstrain_batch.inventory import Inventory
    from nextstrain_batch.job import Job
    from nextstrain_batch.outcome import Attempts
    from nextstrain_batch.runs import Run

SILENT = timedelta(days=7)
"""How long a run that AWS Batch does not know must have written nothing.

Batch forgets what has ended after some days; but the job may also be another region's or another
account's, or have been submitted by a client that was killed before it noted the job's id.
"""


REMEMBERED = timedelta(days=1)
"""How long AWS Batch knows a job after its end, at least. (Seven days by its documentation; users
saw it forget after one or two.)"""


def is_over(run: Run, attempts: Attempts, now: datetime) -> bool:
    """Tell whether a run is over for certain whose job AWS Batch does not know.

    A failed attempt may be followed by another one, as long as Batch might know of it elsewhere.
    """
    last = attempts.last_result
    if last is not None and last.exit_code == 0:
        return True
    silent = now - max(run.created, attempts.written or run.created)
    return silent > (SILENT if last is None else REMEMBERED)


@dataclass(frozen=True)
class Ends:
    """The runs that are over."""

    ids: frozenset[str]
    warning: str | None = None
    """Why that may be fewer than there are."""


def ends(inventory: Inventory, batch: BatchClient) -> Ends:
    """Ask AWS Batch. Raises its errors, but only warns where it denies the question."""
    jobs = [run.record.job_id for run in inventory.runs if run.record and run.record.job_id]
    try:
        known, warning = describe_all(batch, jobs), None
    except AccessDeniedError as error:
        known, warning = {}, _denied(error)
    return Ends(_over(inventory, known), warning)


def _over(inventory: Inventory, known: dict[str, Job]) -> frozenset[str]:
    found: set[str] = set()
    for run in inventory.runs:
        job = known.get(run.record.job_id or "") if run.record else None
        if job.is_over if job else inventory.taken - run.newest > SILENT:
            found.add(run.id)
    return frozenset(found)


def _denied(error: AccessDeniedError) -> str:
    first: Sequence[str] = str(error).splitlines()
    return (
        f"AWS Batch does not tell which jobs are over ({first[0]}), so only runs that have written"
        f" nothing for {SILENT.days} days count as over."
    )
