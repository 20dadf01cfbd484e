"""Who ran what, when and how: a record in the bucket, and a ledger on the user's computer.

The record (``runs/<run-id>/run.json``) is written before the job exists, and tells the job what
to do and whoever attaches later, from wherever, what it was. The ledger remembers the runs that
were started here, with the directories and buckets that they belong to. Both are described in
``docs/internals/storage.md``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nextstrain_batch import atomic
from nextstrain_batch.errors import CorruptError, LocalFilesError
from nextstrain_batch.records import Record, encode
from nextstrain_batch.store import keys

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.store.transport import Transport

LONGEST_NAME = 128
"""Of a Batch job: letters, digits, hyphens and underscores; the first is no hyphen."""


@dataclass(frozen=True, slots=True)
class Run(Record):
    """One run of a program on AWS Batch: what was asked for, and by whom."""

    FORMAT = "nextstrain-batch run"
    VERSION = 1
    CALLED = "The record of the run"

    id: str
    created: datetime
    """Aware, by the clock of the user's computer."""
    pathogen: str
    """The name of the build root's directory."""
    working_directory: str
    """Where the program runs, relative to the build root; empty for the root itself."""
    program: tuple[str, ...]
    """The program and its arguments."""
    queue: str
    job_definition: str
    input_manifest_digest: str
    """SHA-256 of the input manifest's bytes."""
    image: str | None = None
    """The one asked for; None for the job definition's."""
    cpus: int | None = None
    memory_mib: int | None = None
    has_environment: bool = False
    """Whether an object with the environment's values goes with the run."""
    exclude_from_upload: tuple[str, ...] = ()
    """The globs given with ``--exclude-from-upload``."""
    agent: str | None = None
    """SHA-256 of the job-side program; None where the image's own protocol is used."""
    user: str = ""
    """The login name on the user's computer."""
    host: str = ""
    """The name of the user's computer."""
    client_version: str = ""
    """Of this package, where the run was started."""
    job_id: str | None = None
    """None in the record until the job exists."""


def new_id(pathogen: str, now: datetime, token: str) -> str:
    """Return an id such as ``zika-20261123T041500Z-1a2b3c4d``, which is a valid job name too.

    *token* is 8 random hexadecimal digits, so that two runs in one second differ. By this shape
    the run's objects are told from other people's (``keys.is_ours``), and what a download has kept
    from other files (``beside.is_kept``).
    """
    ending = f"-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{token}"
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", pathogen).strip("-_") or "build"
    return name[: LONGEST_NAME - len(ending)].rstrip("-_") + ending


def write_record(run: Run, transport: Transport) -> None:
    """Store the record in the bucket, in place of an earlier one."""
    transport.put(keys.run_record(run.id), run.to_json())


def read_record(run_id: str, transport: Transport) -> Run:
    """Read the record from the bucket. Raises ``MissingObjectError`` and ``CorruptError``."""
    return Run.from_json(transport.get(keys.run_record(run_id)))


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A run that was started on this computer."""

    run: Run
    bucket: str
    """``s3://bucket/prefix``."""
    region: str
    directory: str
    """The build directory as it was given, absolute."""
    endpoint: str | None = None
    """None for AWS's own."""


class Ledger:
    """The runs that were started here: one small file each, below *directory*.

    It is a convenience: a file that cannot be read counts as none, and nothing in the bucket
    depends on it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, entry: LedgerEntry) -> None:
        """Keep *entry*, in place of an earlier one of the same run. Raises ``LocalFilesError``."""
        place = {field.name: getattr(entry, field.name) for field in fields(entry)[1:]}
        try:
            atomic.write(self._path(entry.run.id), encode({**place, "run": entry.run.to_values()}))
        except OSError as error:
            raise LocalFilesError(
                f"Cannot note the run in {self._directory}: {error.strerror or error}.\n\n"
                "Make it writable, make room, or set NEXTSTRAIN_HOME to another directory."
            ) from error

    def read(self, run_id: str) -> LedgerEntry | None:
        """Return the run's entry, or None."""
        # An id comes from the command line, and must not lead out of the directory.
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", run_id):
            return None
        return _entry(self._path(run_id))

    def by_job(self, job_id: str) -> LedgerEntry | None:
        """Return the entry of the run whose job this is, or None."""
        return next((entry for entry in self.all() if entry.run.job_id == job_id), None)

    def all(self) -> list[LedgerEntry]:
        """Return all entries, the newest first."""
        entries = [_entry(path) for path in self._directory.glob("*.json")]
        known = [entry for entry in entries if entry is not None]
        return sorted(known, key=lambda entry: (entry.run.created, entry.run.id), reverse=True)

    def _path(self, run_id: str) -> Path:
        return self._directory / f"{run_id}.json"


def _entry(path: Path) -> LedgerEntry | None:
    try:
        values = dict(json.loads(path.read_bytes()))
        endpoint = values.get("endpoint")
        return LedgerEntry(
            run=Run.from_values(values["run"]),
            bucket=str(values["bucket"]),
            region=str(values["region"]),
            directory=str(values["directory"]),
            endpoint=str(endpoint) if endpoint else None,
        )
    except (OSError, CorruptError, ValueError, KeyError, TypeError, RecursionError):
        return None
