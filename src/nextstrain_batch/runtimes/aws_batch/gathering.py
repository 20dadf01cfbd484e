"""The first steps of a build on AWS Batch: what travels, what of it is new, and sending that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.pathogen import LeftOut, UploadFilter
from nextstrain_batch.runtimes.aws_batch.context import now
from nextstrain_batch.snapshot import ChangedError, Sink, Snapshot, take
from nextstrain_batch.upload import Plan, Uploaded, execute, read_and_plan
from nextstrain_batch.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.aws_batch.context import Batch
    from nextstrain_batch.ui import Ui


@dataclass(frozen=True)
class Gathered:
    """What travels of a build directory, and what does not."""

    plan: Plan
    """Of sending it."""
    left_out: tuple[LeftOut, ...]


def gather(
    batch: Batch, pathogen: Pathogen, exclude: tuple[str, ...], *, dry_run: bool = False
) -> Gathered:
    """Find out what travels, and what of it is not in the bucket yet.

    What has to be read for that and fills packs is sent at once, unless it is a *dry_run*.
    Raises the bucket's errors before any file is read: it is missing, elsewhere, denied. Raises
    ``PathogenError`` for a file that cannot travel.
    """
    root, bucket = pathogen.root, batch.bucket
    cache = batch.state.stat_cache(root)
    skip = UploadFilter(root, exclude)
    with batch.ui.progress() as progress:

        def read(sink: Sink | None) -> Snapshot:
            return take(root, walk(root, skip), cache, sink=sink, progress=progress)

        known = batch.state.manifests(root, bucket.url)
        planned = read_and_plan(
            read, bucket, known=known, now=now, ahead=not dry_run, progress=progress
        )
    batch.state.keep_stat_cache(root, cache)
    return Gathered(planned, tuple(skip.left_out))


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
