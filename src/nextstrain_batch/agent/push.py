"""Stores what an attempt leaves behind: files, log, manifest, result, in this order.

The manifest is what makes the files count, so it comes after all of them; the result comes last of
all, and tells that nothing more will come.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nextstrain_batch import snakemake_state
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.reading import ChangedError
from nextstrain_batch.snapshot import take
from nextstrain_batch.store import codec, keys
from nextstrain_batch.upload import execute, read_and_plan
from nextstrain_batch.walk import never_travels, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from nextstrain_batch.agent.context import Context
    from nextstrain_batch.agent.fetch import Fetched
    from nextstrain_batch.agent.joblog import JobLog
    from nextstrain_batch.results import AttemptResult
    from nextstrain_batch.snapshot import Sink, Snapshot
    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store.manifest import Manifest
    from nextstrain_batch.store.transport import Transport

LEVEL = 1
"""Of zstd: next to S3, the time to make bytes fewer is worth more than the bytes."""
TRIES = 3
REPORTED = 20
"""How many of the files that cannot be stored are named, at most."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The files of an attempt are in the bucket; nothing says so yet."""

    manifest: Manifest
    changed: int
    """Files and symlinks that are new or not as they were fetched."""
    bytes_sent: int
    problem: str | None = None
    """Why they are not all, for people."""


def _read(
    root: Path, cache: StatCache, problem: Callable[[PathogenError], None], sink: Sink | None
) -> Snapshot:
    return take(root, walk(root, skip, problem=problem), cache, problem=problem, sink=sink)


def skip(path: str, is_directory: bool) -> bool:
    """Tell what never leaves the job: version control, bytecode, Snakemake's own environments.

    Nor what downloads have not finished or have kept, by its name.
    """
    return never_travels(path, is_directory, snakemake_state.STORED)


def store_files(
    context: Context,
    transport: Transport,
    fetched: Fetched,
    say: Callable[[str], None],
    now: Callable[[], datetime],
) -> Stored:
    """Send what the build directory holds now and the bucket does not.

    A single file that cannot be stored is named in the log, and does not keep the others from it.
    Raises the transport's errors.
    """
    for tries_left in reversed(range(TRIES)):
        problems: list[PathogenError] = []
        read = partial(_read, context.root, fetched.cache, problems.append)
        try:
            planned = read_and_plan(
                read, transport, known=(fetched.manifest,), now=now, level=LEVEL
            )
            # The run's own are kept: so a job that is being ended never waits for a pruning.
            kept = fetched.manifest.packs.keys()
            uploaded = execute(planned, transport, kept=kept, now=now, level=LEVEL)
        except PathogenError as error:
            # Something that outlived the program wrote to a file between reading and sending; or
            # what is remembered of it is not right.
            if isinstance(error, ChangedError):
                fetched.cache.forget(error.path)
            if not tries_left:
                raise
        else:
            break
    new = set(uploaded.manifest.entries) - set(fetched.manifest.entries)
    changed = sum(entry.kind != "directory" for entry in new)
    return Stored(uploaded.manifest, changed, uploaded.bytes_sent, _report(problems, say))


def _report(problems: list[PathogenError], say: Callable[[str], None]) -> str | None:
    """Name the *problems* in the log; return a summary, or None where there are none."""
    lines = [str(problem).splitlines()[0] for problem in problems]
    for line in lines[:REPORTED]:
        say(f"Not stored: {line}")
    if len(lines) > REPORTED:
        say(f"Not stored: {len(lines) - REPORTED} more.")
    if not lines:
        return None
    more = f" There are {len(lines) - 1} more; see the job's log." if len(lines) > 1 else ""
    return f"The results are not complete. {lines[0]}{more}"


def store_log(context: Context, transport: Transport, log: JobLog) -> None:
    """Write the log object."""
    transport.put(keys.log(context.run_id, context.attempt), log.content())


def commit(context: Context, transport: Transport, stored: Stored) -> str:
    """Write the output manifest and return the SHA-256 of its bytes."""
    key = keys.output_manifest(context.run_id, context.attempt)
    return codec.publish(stored.manifest, transport, key)


def store_result(context: Context, transport: Transport, result: AttemptResult) -> None:
    """Write the last object of the attempt."""
    transport.put(keys.result(context.run_id, context.attempt), result.to_json())


def forget_environment(context: Context, transport: Transport, exit_code: int) -> None:
    """Delete the user's environment values if no later attempt can need them.

    A failure may be followed by another one, where nobody says that this is the last: the client
    deletes them then, or the bucket's expiry does.
    """
    is_last = context.attempts is not None and context.attempt >= context.attempts
    if exit_code == 0 or is_last:
        transport.delete(keys.environment(context.run_id))
