"""The first steps of a build on AWS Batch: what travels, what of it is new, and sending that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import snakemake, unfinished
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.pathogen import UNFINISHED, LeftOut, UploadFilter, check_travels
from nextstrain_batch.quantities import counted, shown_bytes
from nextstrain_batch.reading import ChangedError
from nextstrain_batch.runtimes.aws_batch.context import now
from nextstrain_batch.shown_paths import printable, shown
from nextstrain_batch.snapshot import Sink, Snapshot, take
from nextstrain_batch.upload import Plan, Uploaded, execute, read_and_plan
from nextstrain_batch.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.aws_batch.context import Batch
    from nextstrain_batch.ui import Ui
    from nextstrain_batch.walk import Found


MUCH = 64 * 1024 * 1024
"""Bytes to be read and sent that it would be a pity to have sent in vain: minutes on a slow link.

For less, a look at the job queue first would take longer than it could save.
"""


NAMED = 10
"""Things that cannot be sent, and are named in an error; the others are counted."""


@dataclass(frozen=True)
class Gathered:
    """What travels of a build directory, and what does not."""

    plan: Plan
    """Of sending it."""
    left_out: tuple[LeftOut, ...]


def gather(
    batch: Batch,
    pathogen: Pathogen,
    exclude: tuple[str, ...],
    *,
    program: Sequence[str] = (),
    dry_run: bool = False,
    clock: Callable[[], datetime] = now,
) -> Gathered:
    """Find out what travels, and what of it is not in the bucket yet.

    What has to be read for that and fills packs is sent at once, and what downloads have left here
    that were killed is removed, unless it is a *dry_run*. Warns, before anything is read, where the
    *program*, a command, will not find what it begins with, and of a pattern to *exclude* that
    matches nothing.

    Raises the bucket's errors before any file is read: it is missing, elsewhere, denied.
    ``PathogenError`` where the working directory does not travel, before anything is sent, and for
    a file that cannot. ``JobError``, before much is sent, where there is no such queue or job
    definition.
    """
    root, bucket = pathogen.root, batch.bucket
    cache = batch.state.stat_cache(root)
    skip = UploadFilter(root, exclude)
    obstacles = _Obstacles()
    with batch.ui.progress() as progress:

        def read(sink: Sink | None) -> Snapshot:
            found = skip.travelling(walk(root, skip, problem=obstacles.add))
            check_travels(pathogen, found, skip.left_out)
            if not dry_run:
                _clear(root, skip.left_out, clock(), batch.ui)
            unmatched = _unmatched(pathogen, skip.unmatched())
            for warning in (*_missing(pathogen, found, program), *unmatched):
                batch.ui.warn(warning)
            return take(
                root,
                found,
                cache,
                sink=sink,
                progress=progress,
                problem=obstacles.add,
                ready=obstacles.refuse,
            )

        planned = read_and_plan(
            read,
            bucket,
            known=batch.state.manifests(root, bucket.url),
            now=clock,
            ahead=not dry_run,
            progress=progress,
            expecting=lambda size: _check_job(batch, size),
        )
    batch.state.keep_stat_cache(root, cache)
    if not dry_run:
        # Again, as what is to be sent need not have been read: a dry run before has.
        _check_job(batch, sum(pack.size for pack in planned.new))
    return Gathered(planned, tuple(skip.left_out))


class _Obstacles:
    """What cannot be sent: told together, as far as it shows before files are read."""

    def __init__(self) -> None:
        self._found: list[PathogenError] = []
        self._is_late = False

    def add(self, problem: PathogenError) -> None:
        """Keep *problem*, or raise it if ``refuse`` was called before."""
        if self._is_late:
            raise problem
        self._found.append(problem)

    def refuse(self) -> None:
        """Raise ``PathogenError`` if anything was found."""
        self._is_late = True
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            lines = [f"  {str(each).splitlines()[0]}" for each in self._found[:NAMED]]
            if (rest := len(self._found) - NAMED) > 0:
                lines.append(f"  … and {rest:,} more")
            listed = "\n".join(lines)
            raise PathogenError(
                f"The build directory cannot be sent as it is:\n\n{listed}\n\n"
                "Mend or remove them, or leave them out with --exclude-from-upload or a"
                " .nextstrainignore."
            )


def _clear(root: Path, left_out: Sequence[LeftOut], moment: datetime, ui: Ui) -> None:
    """Remove what downloads have left behind that were killed long ago."""
    paths = [each.path for each in left_out if each.reason == UNFINISHED]
    if sizes := unfinished.clear(root, paths, moment):
        files = f"{counted(len(sizes), 'file')}, {shown_bytes(sum(sizes))}"
        ui.say(f"Removed what a download that was killed had left here: {files}.")


def _check_job(batch: Batch, size: int) -> None:
    """Raise ``JobError`` where much would be sent for a job that cannot be."""
    if size < MUCH:
        return
    from nextstrain_batch.submit import check

    check(batch.aws.batch, batch.settings.queue.value, batch.settings.job.value)


def _missing(pathogen: Pathogen, found: Sequence[Found], program: Sequence[str]) -> list[str]:
    """Return what the program will hardly find among the files that travel, as warnings."""
    where = pathogen.working_directory
    if not program:
        return []
    if not found:
        return [f"Nothing in {pathogen.root} travels: the program will find an empty directory."]
    if program[0] != "snakemake" or not snakemake.looks_for_snakefile(program[1:]):
        return []
    paths = {each.path for each in found}
    if any(f"{where}/{name}".lstrip("/") in paths for name in snakemake.SNAKEFILES):
        return []
    names = ", ".join(snakemake.SNAKEFILES)
    place = shown(where) if where else "the build directory"
    warning = (
        f"There is no Snakefile for Snakemake to find: none of {names} travels in {place}. Is it"
        " the right directory? -s names a workflow elsewhere, --exec another program."
    )
    return [warning]


def _unmatched(pathogen: Pathogen, patterns: Sequence[str]) -> list[str]:
    """Return what to warn of: *patterns* that match nothing, which their author does not expect."""
    where = printable(pathogen.working_directory)
    # Who names a directory below the root easily writes what lies in it from there on.
    root = f" Patterns are relative to {pathogen.root}, not to {where}." if where else ""
    return [
        f"--exclude-from-upload {printable(each)} matches nothing, besides what stays here"
        f" anyway.{root}"
        for each in patterns
    ]


def send(batch: Batch, planned: Plan) -> Uploaded:
    """Put into the bucket what is not there yet."""
    bucket = batch.bucket
    with batch.ui.progress() as progress:
        pause = _pause_for_pruning(batch.ui)
        try:
            uploaded = execute(planned, bucket, now=now, pause=pause, progress=progress)
        except ChangedError as error:
            batch.state.forget_file(planned.snapshot.root, error.path)
            raise
    batch.state.keep_manifest(planned.snapshot.root, bucket.url, "input", uploaded.manifest)
    return uploaded


def _pause_for_pruning(ui: Ui) -> Callable[[float], None]:
    said: list[bool] = []

    def pause(seconds: float) -> None:
        if not said:
            said.append(True)
            ui.say("Somebody is pruning the bucket; waiting for that to end.")
        time.sleep(seconds)

    return pause
