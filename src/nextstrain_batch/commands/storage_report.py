"""What ``nextstrain storage`` tells: usage as text and JSON, and what pruning removes."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.quantities import counted, shown_bytes, shown_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from nextstrain_batch.inventory import Inventory, StoredRun
    from nextstrain_batch.prune import Plan, Pruned
    from nextstrain_batch.store.transport import StoredObject
    from nextstrain_batch.ui import Ui

UNKNOWN = "(unknown)"
"""In the place of a user's name where a run has no record."""


@dataclass(frozen=True)
class Amount:
    """A number of objects, and their bytes together."""

    objects: int
    bytes: int


@dataclass(frozen=True)
class RunUsage:
    """What a run takes."""

    id: str
    user: str
    pathogen: str | None
    job_id: str | None
    """Of its job in AWS Batch, where it is known: from anywhere, it can be attached to by that."""
    created: str
    """ISO 8601, in UTC."""
    age_seconds: int
    own: Amount
    """Its record, manifests, logs."""
    packs_bytes: int
    """Of all the packs that it refers to."""
    alone_bytes: int
    """Of those that no other run refers to: what removing the run makes free."""
    missing_packs: int
    """That it refers to and that are gone: some of its files cannot be fetched any more."""
    problem: str | None
    """Why the figures may be too low: a manifest that cannot be read."""


@dataclass(frozen=True)
class UserUsage:
    """What the runs of a user take; a pack that several of them share counts once."""

    user: str
    runs: int
    own: Amount
    packs_bytes: int
    alone_bytes: int
    """Of the packs that no other user's runs refer to."""


@dataclass(frozen=True)
class Usage:
    """What a bucket holds of ours."""

    bucket: str
    taken: str
    total: Amount
    packs: Amount
    unreferenced: Amount
    """Packs that no run refers to."""
    agents: Amount
    """Job-side programs."""
    foreign: Amount
    """What lies among it and is not ours; it is not in ``total``."""
    runs: tuple[RunUsage, ...]
    users: tuple[UserUsage, ...]


def usage(inventory: Inventory, url: str) -> Usage:
    """Add up an inventory."""
    referred: set[str] = set().union(*(run.packs for run in inventory.runs))
    unneeded = [each for pack_id, each in inventory.packs.items() if pack_id not in referred]
    of_runs = [each for run in inventory.runs for each in run.objects]
    packs = inventory.packs.values()
    return Usage(
        bucket=url,
        taken=inventory.taken.isoformat(timespec="seconds"),
        total=_amount([*packs, *inventory.agents, *inventory.notes, *of_runs]),
        packs=_amount(packs),
        unreferenced=_amount(unneeded),
        agents=_amount(inventory.agents),
        foreign=_amount(inventory.foreign),
        runs=_by_run(inventory),
        users=_by_user(inventory),
    )


def _by_run(inventory: Inventory) -> tuple[RunUsage, ...]:
    alone = inventory.alone(lambda run: run.id)
    return tuple(
        RunUsage(
            id=run.id,
            user=run.user or UNKNOWN,
            pathogen=run.record.pathogen if run.record else None,
            job_id=run.record.job_id if run.record else None,
            created=run.created.isoformat(timespec="seconds"),
            age_seconds=round((inventory.taken - run.created).total_seconds()),
            own=_amount(run.objects),
            packs_bytes=inventory.stored(run.packs),
            alone_bytes=inventory.stored(alone[run.id]),
            missing_packs=len(inventory.missing(run)),
            problem=str(run.problem) if run.problem else None,
        )
        for run in inventory.runs
    )


def _by_user(inventory: Inventory) -> tuple[UserUsage, ...]:
    alone = inventory.alone(lambda run: run.user)
    by_user: dict[str, list[StoredRun]] = defaultdict(list)
    for run in inventory.runs:
        by_user[run.user].append(run)
    found = [
        UserUsage(
            user=user or UNKNOWN,
            runs=len(runs),
            own=_amount(each for run in runs for each in run.objects),
            packs_bytes=inventory.stored(frozenset().union(*(run.packs for run in runs))),
            alone_bytes=inventory.stored(alone[user]),
        )
        for user, runs in by_user.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.packs_bytes, each.user)))


def as_json(found: Usage) -> str:
    """Return all of it as JSON, bytes as numbers."""
    return json.dumps(asdict(found), indent=2)


def show(found: Usage, ui: Ui) -> None:
    """Tell it in tables."""
    ui.stage(f"{found.bucket}: {_told(found.total)}")
    ui.say(f"Packs of files:   {_told(found.packs)}")
    if found.unreferenced.objects:
        ui.say(f"  no run's:       {_told(found.unreferenced)}")
    ui.say(f"Job-side program: {_told(found.agents)}")
    if found.foreign.objects:
        ui.say(f"Not ours:         {_told(found.foreign)}")
    if not found.runs:
        ui.say("No runs.")
        return
    ui.stage("By user")
    rows = [
        (user.user, f"{user.runs:,}", shown_bytes(user.packs_bytes), shown_bytes(user.alone_bytes))
        for user in found.users
    ]
    _table(("user", "runs", "files", "of them alone"), rows, ui)
    ui.stage("By run")
    _table(
        ("run", "user", "age", "files", "of them alone", "record, logs", "job"),
        [
            (
                run.id,
                run.user,
                shown_seconds(run.age_seconds),
                f"{_mark(run)}{shown_bytes(run.packs_bytes)}",
                shown_bytes(run.alone_bytes),
                shown_bytes(run.own.bytes),
                run.job_id or UNKNOWN,
            )
            for run in found.runs
        ],
        ui,
    )
    for run in found.runs:
        if run.problem:
            ui.warn(run.problem.partition("\n")[0])
        if run.missing_packs:
            packs = counted(run.missing_packs, "pack")
            ui.warn(f"The run {run.id} is incomplete: {packs} of its files are gone.")
    ui.say("\nFiles are counted compressed. `alone`: what no other user, or no other run, needs.")


def show_plan(plan: Plan, inventory: Inventory, url: str, ui: Ui) -> None:
    """Tell what would be removed."""
    if not plan.objects:
        ui.stage(f"Nothing to remove from {url}")
    else:
        ui.stage(f"To be removed from {url}: {_told(_amount(plan.objects))}")
    for run in plan.runs:
        why = "" if run.has_manifest else ", whose manifests are gone"
        age = shown_seconds((inventory.taken - run.created).total_seconds())
        ui.say(f"  run {run.id} of {run.user or UNKNOWN}, {age} old{why}")
    for objects, what in (
        (plan.packs, "packs of files that nothing else refers to"),
        (plan.environments, "environment values of runs that are over"),
        (plan.agents, "job-side programs that no run needs"),
        (plan.notes, "notes of uploads and prunings that are over"),
    ):
        if objects:
            ui.say(f"  {what}: {_told(_amount(objects))}, {_ages(objects, inventory.taken)}")
    if plan.young:
        ui.say(
            f"Left alone, as an upload may be about to need them: packs younger than a day,"
            f" {_told(_amount(plan.young))}."
        )
    if plan.going:
        ui.say(f"Left alone, as their jobs go on, or may: {counted(len(plan.going), 'run')}.")
    if inventory.foreign:
        ui.say(
            f"Left alone, as this program did not make them: {_told(_amount(inventory.foreign))},"
            f" such as {inventory.foreign[0].key!r}."
        )


def show_pruned(pruned: Pruned, ui: Ui) -> None:
    """Tell what was removed."""
    ui.stage(f"Removed {_told(Amount(pruned.objects, pruned.size))}")
    if pruned.kept:
        ui.say(f"Kept {counted(pruned.kept, 'object')}: needed again meanwhile, or gone already.")
    if pruned.mark:
        why = str(pruned.mark).partition("\n")[0]
        ui.warn(f"{why} Until that is an hour old, builds that rely on older packs wait.")


def _ages(objects: Sequence[StoredObject], now: datetime) -> str:
    ages = sorted((now - each.modified).total_seconds() for each in objects)
    youngest, oldest = shown_seconds(ages[0]), shown_seconds(ages[-1])
    return f"{youngest} old" if youngest == oldest else f"{youngest} to {oldest} old"


def _amount(objects: Iterable[StoredObject]) -> Amount:
    sizes = [each.size for each in objects]
    return Amount(len(sizes), sum(sizes))


def _told(amount: Amount) -> str:
    return f"{counted(amount.objects, 'object')}, {shown_bytes(amount.bytes)}"


def _mark(run: RunUsage) -> str:
    return "at least " if run.problem else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], ui: Ui) -> None:
    """Write columns, the first to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        first, *others = (
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        ui.say("  ".join([f"  {first}", *others]))
