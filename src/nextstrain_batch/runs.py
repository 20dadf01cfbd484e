"""Who ran what, when and how: a record in the bucket, and a ledger on the user's computer.

The record (``runs/<run-id>/run.json``) is written before the job exists, and tells the job what
to do and whoever attaches later, from wherever, what it was. The ledger remembers the runs that
were started here, with the directories and buckets that they belong to. Both are described in
``docs/internals/storage.md``.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_type_hints

from nextstrain_batch import atomic
from nextstrain_batch.errors import CorruptError, LocalFilesError
from nextstrain_batch.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextstrain_batch.store.transport import Transport

FORMAT = "nextstrain-batch run"
VERSION = 1
LONGEST_NAME = 128
"""Of a Batch job: letters, digits, hyphens and underscores; the first is no hyphen."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program on AWS Batch: what was asked for, and by whom."""

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
    attempts: int | None = None
    """How often Batch starts the job at most; None leaves it to the definition."""
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

    def to_json(self) -> bytes:
        """Return the bytes to store."""
        values = {**asdict(self), "created": self.created.astimezone(UTC).isoformat()}
        return _encode({"format": FORMAT, "version": VERSION, **values})

    @classmethod
    def from_json(cls, data: bytes) -> Run:
        """Read stored bytes; what later versions add is ignored. Raises ``CorruptError``."""
        return _run(_decode(data, "The record of the run"))


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
        record = json.loads(entry.run.to_json())
        place = {field.name: getattr(entry, field.name) for field in fields(entry)[1:]}
        try:
            atomic.write(self._path(entry.run.id), _encode({**place, "run": record}))
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
        data = path.read_bytes()
        values = _object(data, "The ledger")
        endpoint = values.get("endpoint")
        return LedgerEntry(
            run=_run(_checked(values["run"], "The ledger's run")),
            bucket=str(values["bucket"]),
            region=str(values["region"]),
            directory=str(values["directory"]),
            endpoint=str(endpoint) if endpoint else None,
        )
    except (OSError, CorruptError, KeyError):
        return None


def _encode(values: Mapping[str, object]) -> bytes:
    # ASCII: what cannot be decoded in a file name travels as escaped surrogates.
    return json.dumps(values, indent=2).encode("ascii") + b"\n"


def _decode(data: bytes, what: str) -> dict[str, Any]:
    return _checked(_object(data, what), what)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except ValueError as error:
        raise CorruptError(f"{what} is damaged: {error}.") from error
    if not isinstance(values, dict):
        raise CorruptError(f"{what} is damaged: it is no JSON object.")
    return values


def _checked(values: object, what: str) -> dict[str, Any]:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CorruptError(f'{what} is damaged: it does not say "{FORMAT}".')
    if values.get("version") != VERSION:
        raise CorruptError(
            f"{what} has the format version {values.get('version')!r}, and this program"
            f" reads version {VERSION}. A newer nextstrain-batch may have written it: update"
            " this one."
        )
    return values


def _run(values: Mapping[str, Any]) -> Run:
    """Make a run out of checked JSON. Raises ``CorruptError`` naming the field that is wrong."""
    hints = get_type_hints(Run, include_extras=False)
    given: dict[str, Any] = {}
    for field in fields(Run):
        if field.name in values:
            given[field.name] = _value(field.name, hints[field.name], values[field.name])
    try:
        return Run(**given)
    except TypeError as error:
        raise CorruptError(f"The record of the run is damaged: {error}.") from error


def _value(name: str, kind: object, value: object) -> object:
    """Return *value* as the field's type has it."""
    if kind is datetime:
        return _instant(name, value)
    if kind == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
    elif type(value) in _allowed(kind):
        return value
    raise CorruptError(f"The record of the run is damaged: {name} is {value!r}.")


def _allowed(kind: object) -> tuple[type, ...]:
    if isinstance(kind, type):
        return (kind,)
    return tuple(getattr(kind, "__args__", ()))


def _instant(name: str, value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise CorruptError(f"The record of the run is damaged: {name} is {value!r}.")
    return instant
