"""Which run and attempt this job is, by its environment; and what of that the program gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch import job_variables
from nextstrain_batch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILD_DIRECTORY = "NEXTSTRAIN_BATCH_BUILD_DIR"
ATTEMPT = "AWS_BATCH_JOB_ATTEMPT"
REGIONS = ("AWS_DEFAULT_REGION", "AWS_REGION", job_variables.REGION)
"""What names the region: the job definition or the image, else the client."""
OURS = "NEXTSTRAIN_BATCH_"
DEFAULT_BUILD_DIRECTORY = "/nextstrain/build"


@dataclass(frozen=True, slots=True)
class Context:
    """Where the run lies, and where it is to happen."""

    bucket: str
    prefix: str
    """Of all keys in the bucket, without slashes at its ends; may be empty."""
    run_id: str
    attempt: int
    """Counted from 1."""
    root: Path
    """The build directory in the job."""
    attempts: int | None = None
    """How many there may be at most; None where nobody says."""
    region: str | None = None
    """The one that S3 is asked in at first; None leaves it to botocore."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Context:
        """Read the job's environment. Raises ``UsageError`` naming the variable at fault."""
        url = environ.get(job_variables.RUN, "")
        store, runs, run_id = url.rpartition("/runs/")
        bucket, _, prefix = store.removeprefix("s3://").partition("/")
        if not (runs and store.startswith("s3://") and bucket and run_id.strip("/")):
            message = (
                f"{job_variables.RUN} is {url!r}, which is no s3://bucket/runs/run-id address.\n\n"
                "It is set when `nextstrain build` submits the job. Was the job started by hand?"
            )
            raise UsageError(message)
        return cls(
            bucket=bucket,
            prefix=prefix.strip("/"),
            run_id=run_id.strip("/"),
            attempt=_number(environ, ATTEMPT) or 1,
            root=Path(environ.get(BUILD_DIRECTORY) or DEFAULT_BUILD_DIRECTORY),
            attempts=_number(environ, job_variables.ATTEMPTS),
            region=next(filter(None, map(environ.get, REGIONS)), None),
        )


def program_environment(
    environ: Mapping[str, str], given: Mapping[str, str | None]
) -> dict[str, str]:
    """Return the program's environment: the container's, without our variables, then *given*.

    A variable that *given* maps to None is taken away.
    """
    own = {name: value for name, value in environ.items() if not name.startswith(OURS)}
    changed: dict[str, str | None] = {**own, **given}
    return {name: value for name, value in changed.items() if value is not None}


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageError(f"{name} is {text!r}, which is no number from 1.")
    return int(text)
