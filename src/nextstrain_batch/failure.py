"""Why a job failed, in plain words and with the next step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nextstrain_batch.job import Job

_ADMIN = "whoever administers the AWS account"

# A pattern in the reasons of Batch and of the container engine, and what it means.
_FAILURES: tuple[tuple[str, str], ...] = (
    (
        r"OutOfMemory",
        (
            "The job used more memory than it had, and was killed. Give it more (--memory, or"
            " --aws-batch-memory), or let fewer of its steps run at once."
        ),
    ),
    (
        r"attempt duration exceeded timeout",
        (
            "The job ran for longer than the job definition's timeout allows, and was ended. Ask"
            f" {_ADMIN} for a longer timeout, or give the job more CPUs."
        ),
    ),
    (
        r"\bHost EC2\b",
        (
            "The machine under the job was taken away: a spot machine reclaimed by AWS, or one that"
            " failed. What that attempt had made is lost. Build again; with more attempts in"
            " the job definition, Batch does it by itself."
        ),
    ),
    (
        r"CannotPull|pull access denied|manifest unknown|ImagePull",
        (
            "The image could not be pulled. Check its name (--image), that it exists for the"
            " machine's processor, and that the machines reach its registry."
        ),
    ),
    (
        r"executable file not found|no such file or directory.*exec",
        "The image has no such program to start with: a POSIX shell is needed.",
    ),
    (
        r"no space left on device|CannotCreateContainer",
        (
            "The machine could not create the container; a full disk is the most likely cause. Ask"
            f" {_ADMIN} for bigger disks in the compute environment's launch template."
        ),
    ),
    (
        r"Overrides length",
        "The job's command and environment are longer than AWS Batch accepts.",
    ),
    (
        r"CannotStartContainer|DockerTimeout|ResourceInitialization|TaskFailedToStart",
        (
            "The container could not be started. Often another attempt helps; else show this to"
            f" {_ADMIN}."
        ),
    ),
    (
        r"unable to assume the role|role .*not (exist|authori)",
        (
            "The job's role cannot be used. Ask whoever administers the AWS account to check that"
            " NextstrainJobsRole exists and that ecs-tasks.amazonaws.com may assume it."
        ),
    ),
)


def failure(job: Job) -> str | None:
    """Return why a job failed, as far as Batch's reasons tell, and the next step.

    None for one that did not fail, or whose program merely exited with an error: its log says
    more than we can.
    """
    if job.status != "FAILED":
        return None
    last = job.attempts[-1] if job.attempts else None
    reason = " ".join(filter(None, (job.reason, last.reason if last else None)))
    container = job.container_reason or (last.container_reason if last else None) or ""
    for pattern, text in _FAILURES:
        if re.search(pattern, f"{container} {reason}", re.IGNORECASE):
            said = container or reason
            return f"{text} (AWS Batch's reason: {said.strip()})"
    if job.cancel_requested:
        return f"The job was ended on request: {job.reason or 'no reason was given'}."
    return _by_exit_code(job, container or reason)


def _by_exit_code(job: Job, reason: str) -> str | None:
    if job.exit_code == 137:
        return (
            "The job was killed (exit code 137). Most often it had too little memory: give it"
            " more with --memory or --aws-batch-memory."
        )
    if job.exit_code is None:
        return f"The job failed before its program ended. AWS Batch's reason: {reason or 'none'}"
    return None
