"""What an attempt of a job came to: the last object that the agent writes, read by the client.

``runs/<run-id>/attempts/<n>/result.json``; described in ``docs/explanation/job-side.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nextstrain_batch.errors import CorruptError

FORMAT = "nextstrain-batch result"
VERSION = 1

# The exit codes that the job side adds to the program's own. They are a program's to use as well,
# so the result's ``error`` is what tells the two apart. The numbers follow BSD's sysexits.h as far
# as it goes, and the shell's from 126 on.
NO_RUN = 64
"""The job was started without saying, or with nonsense about, which run it is."""
FETCH_FAILED = 66
"""The run's files could not be fetched, or its working directory is not among them."""
INTERNAL_ERROR = 70
"""A bug in the agent."""
NO_PYTHON = 71
"""The image has no Python 3.11 or newer."""
NO_S3_CLIENT = 72
"""The image has neither the AWS CLI nor botocore, so the agent cannot be fetched."""
AGENT_UNAVAILABLE = 73
"""The agent could not be fetched from the bucket."""
PUSH_FAILED = 74
"""The program succeeded, and its results could not be stored."""
AGENT_CORRUPT = 75
"""The agent in the bucket is not the one that the client sent."""
NOT_EXECUTABLE = 126
"""The program exists and cannot be run."""
NOT_FOUND = 127
"""The program does not exist in the image."""
TERMINATED = 143
"""AWS Batch asked the job to end: it was cancelled, ran out of time or lost its machine."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How one attempt ended, and what it stored."""

    attempt: int
    """Counted from 1."""
    exit_code: int
    """What the container exits with."""
    started: datetime
    """When the agent began; aware, by the job's clock."""
    finished: datetime
    """When this was written; aware, by the job's clock."""
    log_lines: int
    """Lines of the whole log that are not empty: CloudWatch Logs does not keep empty ones."""
    output_manifest: str | None = None
    """SHA-256 of the output manifest's bytes; none when results were not stored."""
    error: str | None = None
    """What went wrong on the job side, for people; none when only the program can have failed."""
    not_stored: str | None = None
    """Which files the results lack, for people; none when they are complete, or not there."""

    def to_json(self) -> bytes:
        """Return the bytes to store."""
        fields: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "attempt": self.attempt,
            "exit_code": self.exit_code,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat(),
            "log_lines": self.log_lines,
            "output_manifest": self.output_manifest,
            "error": self.error,
            "not_stored": self.not_stored,
        }
        return json.dumps(fields, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> AttemptResult:
        """Read stored bytes; fields of later versions are ignored.

        Raises ``CorruptError`` when they are no result, or one whose version is not known here.
        """
        try:
            fields = json.loads(data)
            _check_format(fields)
            return cls(
                attempt=_integer(fields["attempt"]),
                exit_code=_integer(fields["exit_code"]),
                started=_instant(fields["started"]),
                finished=_instant(fields["finished"]),
                log_lines=_integer(fields["log_lines"]),
                output_manifest=_text_or_none(fields["output_manifest"]),
                error=_text_or_none(fields["error"]),
                not_stored=_text_or_none(fields.get("not_stored")),
            )
        except (ValueError, KeyError, TypeError) as error:
            message = f"The job's result is damaged: {type(error).__name__}: {error}."
            raise CorruptError(message) from error


def _check_format(fields: object) -> None:
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        message = f'it does not say "{FORMAT}"'
        raise ValueError(message)
    if fields.get("version") != VERSION:
        message = (
            f"its version is {fields.get('version')!r} and this program reads version {VERSION};"
            " a newer nextstrain-batch may have written it"
        )
        raise ValueError(message)


def _integer(value: object) -> int:
    if type(value) is not int:
        message = f"{value!r} is not a whole number"
        raise TypeError(message)
    return value


def _instant(value: object) -> datetime:
    instant = datetime.fromisoformat(str(value))
    if instant.tzinfo is None:
        message = f"{value!r} has no time zone"
        raise ValueError(message)
    return instant


def _text_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        message = f"{value!r} is not text"
        raise TypeError(message)
    return value
