"""What an attempt of a job came to: the last object that the agent writes, read by the client.

``runs/<run-id>/attempts/<n>/result.json``; described in ``docs/explanation/job-side.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nextstrain_batch.records import Record

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
class AttemptResult(Record):
    """How one attempt ended, and what it stored."""

    FORMAT = "nextstrain-batch result"
    VERSION = 1
    CALLED = "The job's result"

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
