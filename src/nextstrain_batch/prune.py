"""Removing from the bucket what nothing refers to, while others use it.

1. An inventory, and which runs are over, make a plan. Nothing is written for that.
2. Before anything is deleted, a mark is written and a second inventory taken. What is in both
   plans is deleted: leftovers and runs first, and packs only when the manifests are gone that
   referred to them.

``store/pins.py`` says why that is safe. An object is asked to be deleted once by each inventory:
somebody may have written it anew before it is asked a second time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import TRANSIENT
from nextstrain_batch.errors import StoreError, UserError
from nextstrain_batch.store import keys, parallel, pins
from nextstrain_batch.store.progress import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime, timedelta

    from nextstrain_batch.inventory import Inventory, StoredRun
    from nextstrain_batch.store.progress import Progress
    from nextstrain_batch.store.transport import StoredObject, Transport

DELETING = "delete"
"""The phase that progress is told about."""

_UNUSED = pins.RENEW_AFTER + pins.GRACE
"""The age of a job-side program that nobody relies on who has not written it down yet."""

_WORKERS = 16
_ROUNDS = 4
"""How many inventories in a row may fail to get anything deleted."""
_PAUSE = 2.0
"""Seconds before the next one, doubled each time."""


@dataclass(frozen=True)
class Plan:
    """What is to be removed."""

    environments: tuple[StoredObject, ...]
    """Values given with ``--env``, of runs that are over."""
    runs: tuple[StoredRun, ...]
    """Runs that are over and old, or whose manifests are gone, with all their objects."""
    packs: tuple[StoredObject, ...]
    """Those that nothing refers to, or nothing but these runs."""
    agents: tuple[StoredObject, ...]
    """Job-side programs that no run needs."""
    notes: tuple[StoredObject, ...]
    """Pins and marks that do not count any more."""
    young: tuple[StoredObject, ...]
    """Packs that nothing refers to and that are left alone, as an upload may be about to."""
    going: tuple[StoredRun, ...]
    """Runs that are left alone only because it is not certain that they have ended."""

    @property
    def objects(self) -> list[StoredObject]:
        """All that is to be removed."""
        of_runs = [each for run in self.runs for each in run.objects]
        return [*self.environments, *of_runs, *self.packs, *self.agents, *self.notes]


@dataclass(frozen=True)
class Pruned:
    """What was removed."""

    objects: int
    size: int
    """In bytes."""
    kept: int
    """Objects of the plan that were found to be needed when it came to removing them."""
    mark: UserError | None = None
    """Why the mark of this pruning could not be removed, if it could not: uploads wait for it."""


def plan(inventory: Inventory, over: frozenset[str], older_than: timedelta | None = None) -> Plan:
    """Return what can be removed.

    *over* are the ids of the runs of which it is certain that they have ended. With *older_than*,
    those of them that were started so long ago are removed, too; otherwise only the ones whose
    manifests are gone. Raises ``StoreError`` when a manifest of a run that stays cannot be read:
    nobody can tell then which packs are needed.
    """
    now = inventory.taken
    old = [
        run
        for run in inventory.runs
        if (older_than is not None and now - run.created >= older_than)
        or (not run.has_manifest and now - run.newest > pins.GRACE)
    ]
    removed = tuple(run for run in old if run.id in over)
    gone = {run.id for run in removed}
    kept = [run for run in inventory.runs if run.id not in gone]
    for run in kept:
        if run.problem is not None:
            raise run.problem
    needed = inventory.pinned.union(*(run.packs for run in kept))
    unneeded = [each for pack_id, each in inventory.packs.items() if pack_id not in needed]
    return Plan(
        environments=tuple(
            each
            for run in kept
            if run.id in over
            for each in run.objects
            if each.key == keys.environment(run.id)
        ),
        runs=removed,
        packs=tuple(each for each in unneeded if now - each.modified > pins.GRACE),
        agents=tuple(_unneeded_agents(inventory, kept, over)),
        notes=tuple(each for each in inventory.notes if now - each.modified > pins.GRACE),
        young=tuple(each for each in unneeded if now - each.modified <= pins.GRACE),
        going=tuple(run for run in old if run.id not in over),
    )


def _unneeded_agents(
    inventory: Inventory, kept: Iterable[StoredRun], over: frozenset[str]
) -> Iterator[StoredObject]:
    """Yield the job-side programs that no run needs, nor one that is about to be.

    Whoever is about to need one that is older than ``RENEW_AFTER`` makes it new first, and looks
    for prunings (``agent/bundle.py``). The record of a run that may go on has to be there: without
    it nobody can tell which one is needed.
    """
    needed: set[str] = set()
    for run in kept:
        if run.record is None and run.id not in over:
            return
        if run.record is not None and run.record.agent is not None:
            needed.add(keys.agent(run.record.agent))
    for each in inventory.agents:
        if each.key not in needed and inventory.taken - each.modified > _UNUSED:
            yield each


def execute(
    agreed: Plan,
    again: Callable[[], Plan],
    transport: Transport,
    *,
    token: str,
    now: Callable[[], datetime],
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> Pruned:
    """Remove what is in *agreed* and in the plan that *again* makes once the mark is written.

    *token* is this pruning's own name, as ``keys.prune`` wants it. Starts over when it has deleted
    for so long that the listing may be out of date, and, after a *pause* of some seconds, when
    nobody knows what became of a request. Ends early with the transport's error when something
    cannot be removed; what was to be removed after it is still there then. The mark stays after
    ``KeyboardInterrupt``, when deletes may be under way that nobody waits for.
    """
    waiting = {each.key: each for each in agreed.objects}
    meter = Meter(progress, DELETING, sum(each.size for each in waiting.values()))
    removed: list[StoredObject] = []
    fruitless = 0
    try:
        while True:
            until = now() + pins.DELETING
            pins.mark(token, transport)
            doomed = [each for each in again().objects if each.key in waiting]
            count = len(removed)
            troubles: list[UserError] = []
            for each in _delete(doomed, transport, partial(_before, now, until), troubles):
                removed.append(each)
                del waiting[each.key]
                meter.add(each.size)
            if len(removed) == count + len(doomed):
                break
            fruitless = fruitless + 1 if len(removed) == count else 0
            if fruitless and not troubles:
                raise _too_slow(transport.url)
            if fruitless == _ROUNDS:
                raise troubles[0]
            if troubles:
                pause(_PAUSE * 2**fruitless)
    except UserError:
        _unmark(token, transport)  # What went wrong before matters more than whether that works.
        raise
    mark = _unmark(token, transport)
    return Pruned(len(removed), sum(each.size for each in removed), len(waiting), mark)


def _unmark(token: str, transport: Transport) -> UserError | None:
    try:
        pins.unmark(token, transport)
    except UserError as error:
        return error
    return None


def _before(now: Callable[[], datetime], until: datetime) -> bool:
    return now() < until


def _too_slow(url: str) -> StoreError:
    minutes = round(pins.DELETING.total_seconds() / 60)
    return StoreError(
        f"To list {url} took more than {minutes} minutes, and to delete by so old a list is not"
        " safe.\n\nThe network may be slow, or this computer was asleep.\n\nTry again."
    )


def _delete(
    doomed: Iterable[StoredObject],
    transport: Transport,
    may: Callable[[], bool],
    troubles: list[UserError],
) -> Iterator[StoredObject]:
    """Delete while it *may* be done; yield what is deleted.

    Ends early at an error that passes, which it adds to *troubles*; so do errors that come when it
    may not be done any more, such as S3's about a request that was sent before this computer slept.
    Manifests have to be gone before the packs that they refer to, hence the groups. A run's record
    goes last, because it tells whose the rest is.
    """

    def delete(each: StoredObject) -> StoredObject | None:
        try:
            return each if not troubles and transport.delete(each.key, may=may) else None
        except UserError as error:
            if may() and not isinstance(error, TRANSIENT):
                raise
            troubles.append(error)
            return None

    groups: list[list[StoredObject]] = [[], [], []]
    for each in doomed:
        groups[_rank(each.key)].append(each)
    for group in groups:
        is_whole = True
        for deleted in parallel.each(delete, group, _WORKERS):
            if deleted is None:
                is_whole = False
            else:
                yield deleted
        if not is_whole:
            return


def _rank(key: str) -> int:
    if keys.is_manifest(key):
        return 0
    return 1 if key.startswith(keys.RUNS) and key != keys.run_record(keys.run_of(key)) else 2
