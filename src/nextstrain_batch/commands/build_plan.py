"""What ``nextstrain build --dry-run`` tells: the plan that a build would carry out."""

from __future__ import annotations

import heapq
import shlex
import stat
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import snakemake_state
from nextstrain_batch.quantities import counted, shown_bytes
from nextstrain_batch.shown_paths import printable, shown
from nextstrain_batch.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nextstrain_batch.pathogen import LeftOut, Pathogen
    from nextstrain_batch.runtimes.aws_batch.gathering import Gathered
    from nextstrain_batch.runtimes.options import BuildOptions
    from nextstrain_batch.ui import Ui
    from nextstrain_batch.upload import Plan

LISTED = 10
"""The largest files that are named once more, and what is named of one rule."""

LINES = 50
"""As long the listing may get; then directories stand for what they hold."""


SENT_WITH_ANOTHER = "sent with another"


@dataclass(frozen=True, slots=True)
class Line:
    """A file, or several of them, in the listing. Sizes are in bytes, before compression."""

    name: str
    size: int
    unsent: int
    """Of it, what is to be sent."""
    shared: int = 0
    """Of it, what is sent with another file, or once for several places in this one."""
    again: int = 0
    """Of ``unsent``, what was sent before: to be packed anew, as it lies scattered or is gone."""
    same_as: str = ""
    """Another file that holds some of ``shared``."""
    files: int = 1

    @property
    def there(self) -> int:
        """What of it is in the bucket already."""
        return self.size - self.unsent - self.shared


def lines(plan: Plan) -> list[Line]:
    """Return the files that would travel, in order.

    Content that several files share is to be sent with the first of them.
    """
    unsent = {chunk for pack in plan.new for chunk in pack.chunks}
    before = {digest for manifest in plan.known for digest in manifest.locations}
    sent_with: dict[str, str] = {}
    found: list[Line] = []
    for entry in plan.snapshot.entries:
        if entry.kind == "directory":
            continue
        new = shared = again = 0
        same_as = ""
        for chunk in entry.chunks:
            if chunk.digest in sent_with:
                shared += chunk.size
                same_as = sent_with[chunk.digest]
            elif chunk in unsent:
                sent_with[chunk.digest] = entry.path
                new += chunk.size
                again += chunk.size if chunk.digest in before else 0
        found.append(Line(entry.path, entry.size, new, shared, again, same_as))
    return found


def grouped(found: Sequence[Line], limit: int = LINES) -> list[Line]:
    """Return at most *limit* lines, in order, where a directory may stand for what it holds.

    Those with the fewest members are opened first; Snakemake's own never are.
    """
    members: dict[str, dict[str, None]] = defaultdict(dict)
    below: dict[str, list[Line]] = defaultdict(list)
    for line in found:
        parts = line.name.split("/")
        names = ["", *("/".join(parts[:number]) + "/" for number in range(1, len(parts)))]
        for parent, child in zip(names, [*names[1:], line.name], strict=True):
            members[parent][child] = None
            below[child].append(line)
    opened, shut = dict(members[""]), [(len(members[name]), name) for name in members[""]]
    heapq.heapify(shut)
    while shut:
        count, name = heapq.heappop(shut)
        if not name.endswith("/") or f"/{name}".endswith(f"/{snakemake_state.DIRECTORY}/"):
            continue
        if len(opened) + count - 1 > limit:
            break
        del opened[name]
        opened |= members[name]
        for child in members[name]:
            heapq.heappush(shut, (len(members[child]), child))
    whole = [_sum(name, below[name]) for name in sorted(opened)]
    if len(whole) <= limit:
        return whole
    kept = sorted(sorted(whole, key=lambda each: -each.size)[: limit - 1], key=lambda x: x.name)
    others = {line.name for line in whole} - {line.name for line in kept}
    return [*kept, _sum("… others", [line for line in whole if line.name in others])]


def _sum(name: str, found: Sequence[Line]) -> Line:
    if len(found) == 1 and found[0].name == name:
        return found[0]
    files = sum(line.files for line in found)
    return Line(
        name=f"{name} ({counted(files, 'file')})",
        size=sum(line.size for line in found),
        unsent=sum(line.unsent for line in found),
        shared=sum(line.shared for line in found),
        again=sum(line.again for line in found),
        files=files,
    )


def show(gathered: Gathered, ui: Ui) -> None:
    """List what would be sent and what stays here, and sum it up."""
    plan = gathered.plan
    found = lines(plan)
    ui.stage(f"Would send, of {plan.snapshot.root}")
    for line in grouped(found):
        ui.say(f"{shown_bytes(line.size):>12}  {_state(line):<20}  {_name(line)}")
    _show_left_out(plan.snapshot.root, gathered.left_out, ui)
    _show_largest(found, ui)
    _sum_up(plan, found, ui)


def _show_largest(found: Sequence[Line], ui: Ui) -> None:
    """Name the largest of many files once more, if they are larger and together matter."""
    files = [line for line in found if not snakemake_state.is_snakemakes(line.name)]
    files.sort(key=lambda line: -line.size)
    total = sum(line.size for line in files)
    if len(files) <= LISTED or files[0].size == files[-1].size:
        return
    if sum(line.size for line in files[:LISTED]) < total / 10:
        return
    ui.stage("The largest files")
    for line in files[:LISTED]:
        if line.size:
            ui.say(f"{shown_bytes(line.size):>12}  {printable(line.name)}")


def _sum_up(plan: Plan, found: Sequence[Line], ui: Ui) -> None:
    total = _sum("", found)
    ui.stage(f"In all: {counted(len(found), 'file')}, {shown_bytes(total.size)}")
    packs = f", in {counted(len(plan.reused), 'pack')}" if plan.reused else ""
    ui.say(f"In the bucket already: {shown_bytes(total.there)}{packs}.")
    if total.shared:
        ui.say(f"The same as what is sent with another file: {shown_bytes(total.shared)}.")
    packs = f", in {counted(len(plan.new), 'pack')}" if plan.new else ""
    ui.say(f"To be sent: {shown_bytes(total.unsent)} before compression{packs}.")
    if total.again:
        ui.say(f"Of that, {shown_bytes(total.again)} was sent before and is packed anew.")


def show_job(pathogen: Pathogen, words: Sequence[str], options: BuildOptions, ui: Ui) -> None:
    """Tell which job would run."""
    batch = options.batch
    assert batch is not None
    where = pathogen.working_directory or "the build's root"
    ui.say(f"The job would run in {where}: {shlex.join(words)}")
    ui.say(
        f"It would be of {batch.job.value} in the queue {batch.queue.value}, with"
        f" {batch.cpus.value} vCPUs and {batch.memory_mib.value} MiB, in the image"
        f" {options.image.value}."
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
        ordered = sorted(paths, key=lambda each: each.path)
        measured = [(each, _measured(root, [each])) for each in ordered[:LISTED]]
        listed = [(each, text) for each, text in measured if text]
        rest = _measured(root, ordered[LISTED:])
        if listed or rest:
            ui.say(_heading(rule))
        for each, text in listed:
            slash = "/" if each.is_directory else ""
            ui.say(f"{text:>24}  {printable(each.path)}{slash}")
        if rest:
            ui.say(f"{rest:>24}  … {len(ordered) - LISTED:,} more")


def _heading(rule: str) -> str:
    """Return a rule with what cannot be printed as it looks in the names below it."""
    return rule if rule.isprintable() else shown(rule)[1:-1]


def _measured(root: Path, left_out: Iterable[LeftOut]) -> str:
    """Return what left-out things hold, as far as this user may look; nothing for no file."""
    files = size = 0
    for each in left_out:
        full = root / each.path
        if not each.is_directory:
            files, size = files + 1, size + _size(full)
            continue
        for found in walk(full, lambda _path, _is_directory: False, problem=lambda _error: None):
            if not stat.S_ISDIR(found.status.st_mode):
                files, size = files + 1, size + found.status.st_size
    return f"{counted(files, 'file')}, {shown_bytes(size)}" if files else ""


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _state(line: Line) -> str:
    if not line.size:
        return ""
    if line.there == line.size:
        return "in the bucket"
    if line.unsent == line.size:
        return "to be sent again" if line.again == line.unsent else "to be sent"
    if line.unsent:
        return f"{shown_bytes(line.unsent)} to be sent"
    return SENT_WITH_ANOTHER if line.same_as else "sent with others"


def _name(line: Line) -> str:
    """Return a line's name, with that of the file that it is sent with."""
    if _state(line) != SENT_WITH_ANOTHER:
        return printable(line.name)
    return f"{printable(line.name)}  (same as {printable(line.same_as)})"
