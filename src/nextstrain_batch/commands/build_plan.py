"""What ``nextstrain build --dry-run`` tells: the plan that a build would carry out."""

from __future__ import annotations

import shlex
import stat
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.quantities import counted, shown_bytes
from nextstrain_batch.walk import shown, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nextstrain_batch.pathogen import LeftOut, Pathogen
    from nextstrain_batch.runtimes.options import BuildOptions
    from nextstrain_batch.ui import Ui
    from nextstrain_batch.upload import Plan

LISTED = 10
"""The largest files that are named once more, and what is named of one rule."""

STATE = ".snakemake/"


@dataclass(frozen=True, slots=True)
class Line:
    """A file, or several of them, in the listing."""

    name: str
    size: int
    unsent: int
    """Bytes of it that are not in the bucket, before compression."""


def lines(plan: Plan) -> list[Line]:
    """Return what would travel, in order; Snakemake's own many small files as one line.

    Content that several files share is counted as unsent for the first of them.
    """
    unsent = {chunk for pack in plan.new for chunk in pack.chunks}
    found: list[Line] = []
    state: list[Line] = []
    for entry in plan.snapshot.entries:
        if entry.kind == "directory":
            continue
        missing = unsent.intersection(entry.chunks)
        unsent -= missing
        size = sum(chunk.size for chunk in missing)
        of = state if entry.path.startswith(STATE) else found
        of.append(Line(_plain(entry.path), entry.size, size))
    if state:
        name = f"{STATE} ({counted(len(state), 'file')})"
        total = Line(name, sum(each.size for each in state), sum(each.unsent for each in state))
        found.append(total)
    return found


def show(plan: Plan, left_out: Sequence[LeftOut], ui: Ui) -> None:
    """List what would be sent and what stays here, and sum it up."""
    found = lines(plan)
    ui.stage(f"Would send, of {plan.snapshot.root}")
    for line in found:
        ui.say(f"{shown_bytes(line.size):>12}  {_state(line):<20}  {line.name}")
    _show_left_out(plan.snapshot.root, left_out, ui)
    if len(found) > LISTED:
        ui.stage("The largest files")
        for line in sorted(found, key=lambda each: -each.size)[:LISTED]:
            ui.say(f"{shown_bytes(line.size):>12}  {line.name}")
    _sum_up(plan, ui)


def _sum_up(plan: Plan, ui: Ui) -> None:
    wanted = {chunk for entry in plan.snapshot.entries for chunk in entry.chunks}
    missing = sum(pack.size for pack in plan.new)
    there = sum(chunk.size for chunk in wanted) - missing
    files = [entry for entry in plan.snapshot.entries if entry.kind != "directory"]
    size = shown_bytes(sum(entry.size for entry in files))
    ui.stage(f"In all: {counted(len(files), 'file')}, {size}")
    ui.say(f"In the bucket already: {shown_bytes(there)}, in {counted(len(plan.reused), 'pack')}.")
    packs = f", in {counted(len(plan.new), 'pack')}" if plan.new else ""
    ui.say(f"To be sent: {shown_bytes(missing)} before compression{packs}.")


def show_job(pathogen: Pathogen, words: Sequence[str], options: BuildOptions, ui: Ui) -> None:
    """Tell which job would run."""
    batch = options.batch
    assert batch is not None
    where = pathogen.working_directory or "the build's root"
    ui.say(f"The job would run in {where}: {shlex.join(words)}")
    ui.say(
        f"It would be of {batch.job.value} in the queue {batch.queue.value}, with"
        f" {batch.cpus.value} vCPUs and {batch.memory_mib.value} MiB."
    )
    if names := sorted(options.environment):
        ui.say(f"Its program would be given the variables {', '.join(names)}.")
    ui.say("Nothing was sent or submitted.")


def _show_left_out(root: Path, left_out: Sequence[LeftOut], ui: Ui) -> None:
    if not left_out:
        return
    ui.stage("Left out")
    by_rule: dict[str, list[LeftOut]] = defaultdict(list)
    for each in left_out:
        by_rule[each.reason].append(each)
    for rule, paths in sorted(by_rule.items()):
        ui.say(rule)
        for each in sorted(paths, key=lambda each: each.path)[:LISTED]:
            slash = "/" if each.is_directory else ""
            ui.say(f"{_measured(root, [each]):>24}  {_plain(each.path)}{slash}")
        if rest := sorted(paths, key=lambda each: each.path)[LISTED:]:
            ui.say(f"{_measured(root, rest):>24}  … {len(rest):,} more")


def _measured(root: Path, left_out: Iterable[LeftOut]) -> str:
    """Return what left-out things hold, as far as this user may look into them."""
    files = size = 0
    for each in left_out:
        full = root / each.path
        if not each.is_directory:
            files, size = files + 1, size + _size(full)
            continue
        for found in walk(full, lambda _path, _is_directory: False, problem=lambda _error: None):
            if not stat.S_ISDIR(found.status.st_mode):
                files, size = files + 1, size + found.status.st_size
    return f"{counted(files, 'file')}, {shown_bytes(size)}"


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _state(line: Line) -> str:
    if not line.unsent:
        return "in the bucket" if line.size else ""
    if line.unsent == line.size:
        return "to be sent"
    return f"{shown_bytes(line.unsent)} to be sent"


def _plain(path: str) -> str:
    """Return a path as it is, unless it could not be printed."""
    return path if path.isprintable() else shown(path)
