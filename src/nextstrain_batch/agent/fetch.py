"""Brings a run's files, program and environment from the bucket into the job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.errors import CorruptError, MissingObjectError, PathogenError, StoreError
from nextstrain_batch.materialise import materialise
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store import codec, keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextstrain_batch.agent.context import Context
    from nextstrain_batch.runs import Run
    from nextstrain_batch.store.manifest import Manifest
    from nextstrain_batch.store.transport import Transport


@dataclass(frozen=True, slots=True)
class Fetched:
    """A run, ready to go on."""

    run: Run
    environment: dict[str, str | None]
    """The user's variables for the program, and those it shall not have."""
    manifest: Manifest
    """What now lies in the build directory."""
    cache: StatCache
    """Knows the content of the files as they were written."""


def fetch(context: Context, transport: Transport, run: Run, say: Callable[[str], None]) -> Fetched:
    """Fill the build directory with the run's files, exactly as they were sent.

    An attempt after the first starts from what the newest earlier one stored, if any did.
    Raises the transport's errors, ``CorruptError``, ``LocalFilesError``, and ``PathogenError`` when
    the directory to run in is not among the files.
    """
    if not run.program:
        message = "The run's record names no program to run."
        raise CorruptError(message)
    environment = fetch_environment(context, transport) if run.has_environment else {}
    manifest = _earlier_output(context, transport, say)
    if manifest is None:
        key = keys.input_manifest(context.run_id)
        manifest = codec.retrieve(transport, key, run.input_manifest_digest)
    context.root.mkdir(parents=True, exist_ok=True)
    cache = StatCache()
    materialise(manifest, transport, context.root, cache)
    _check_working_directory(context.root / run.working_directory)
    return Fetched(run, environment, manifest, cache)


def fetch_environment(context: Context, transport: Transport) -> dict[str, str | None]:
    """Return the user's variables for the program. Raises ``CorruptError`` and the transport's."""
    key = keys.environment(context.run_id)
    try:
        values = json.loads(transport.get(key))
    except MissingObjectError as error:
        message = (
            f"The run's environment variables ({transport.url}/{key}) are gone.\n\n"
            "They are removed when a run is over. Was this job started a second time?\n\n"
            "Run the build again."
        )
        raise MissingObjectError(message) from error
    except ValueError as error:
        message = f"The run's environment variables ({transport.url}/{key}) are damaged: {error}."
        raise CorruptError(message) from error
    if not isinstance(values, dict) or not all(
        value is None or isinstance(value, str) for value in values.values()
    ):
        message = f"{transport.url}/{key} does not map names to values."
        raise CorruptError(message)
    return values


def _earlier_output(
    context: Context, transport: Transport, say: Callable[[str], None]
) -> Manifest | None:
    for number in range(context.attempt - 1, 0, -1):
        try:
            manifest = codec.retrieve(
                transport,
                keys.output_manifest(context.run_id, number),
                _digest_of(context, transport, number),
            )
        except MissingObjectError:
            continue
        except StoreError as error:
            say(f"What attempt {number} stored cannot be used: {error}")
            continue
        say(f"This is attempt {context.attempt}; it goes on from what attempt {number} stored.")
        return manifest
    return None


def _check_working_directory(directory: Path) -> None:
    if not directory.is_dir():
        message = (
            f"The directory {directory}, where the program is to run, is not among the run's files."
            "\n\nWas it left out with --exclude-from-upload?"
        )
        raise PathogenError(message)


def _digest_of(context: Context, transport: Transport, number: int) -> str | None:
    try:
        data = transport.get(keys.result(context.run_id, number))
        return AttemptResult.from_json(data).output_manifest
    except StoreError:
        # Killed before it could write its result: the manifest checks itself well enough.
        return None
