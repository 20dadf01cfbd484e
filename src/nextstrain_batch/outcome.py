"""How a run ended, by what Batch says of its job and by what its attempts left in the bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.failure import failure
from nextstrain_batch.quantities import shown_seconds
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.store import codec, keys

if TYPE_CHECKING:
    from datetime import datetime

    from nextstrain_batch.job import Job
    from nextstrain_batch.store.manifest import Manifest
    from nextstrain_batch.store.transport import Transport

FAILED_WITHOUT_CODE = 1
"""The exit code of a build that failed and has none of its own: its host was lost, say."""


@dataclass(frozen=True)
class Attempts:
    """What the attempts of a run left in the bucket, by their numbers."""

    results: dict[int, AttemptResult]
    manifests: tuple[int, ...]
    """Those with an output manifest, in order."""
    numbers: tuple[int, ...] = ()
    """Those that stored anything, such as a log, in order."""
    written: datetime | None = None
    """When one of them wrote something last, by the bucket's clock."""

    @classmethod
    def of(cls, run_id: str, bucket: Transport) -> Attempts:
        """Ask the bucket."""
        found: dict[str, datetime] = {}
        numbers: set[int] = set()
        for each in bucket.list(keys.attempts(run_id)):
            if number := keys.attempt_number(run_id, each.key):
                numbers.add(number)
                found[each.key] = each.modified
        return cls(
            {
                number: AttemptResult.from_json(bucket.get(keys.result(run_id, number)))
                for number in sorted(numbers)
                if keys.result(run_id, number) in found
            },
            tuple(n for n in sorted(numbers) if keys.output_manifest(run_id, n) in found),
            tuple(sorted(numbers)),
            max(found.values(), default=None),
        )

    @property
    def last_result(self) -> AttemptResult | None:
        """The last attempt's result, if any attempt came so far as to write one."""
        return self.results[max(self.results)] if self.results else None

    @property
    def not_stored(self) -> str | None:
        """Which files ``last_output`` lacks, for people; None where it is not known to lack any."""
        result = self.results.get(self.manifests[-1]) if self.manifests else None
        return result.not_stored if result else None

    def last_output(
        self, run_id: str, bucket: Transport, like: Manifest | None = None
    ) -> Manifest | None:
        """Return the build directory as the last attempt that stored it left it.

        *like* is a manifest that resembles it: see ``codec.retrieve``.
        """
        if not self.manifests:
            return None
        number = self.manifests[-1]
        result = self.results.get(number)
        digest = result.output_manifest if result else None
        return codec.retrieve(bucket, keys.output_manifest(run_id, number), digest, like=like)


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    exit_code: int
    """The build's own, where it has one."""
    summary: str
    """One line for people."""
    attempts: Attempts
    problem: str | None = None
    """What went wrong apart from the program, and what to do about it: the job side's own words,
    or what Batch's reason means."""


def outcome_of(job: Job | None, attempts: Attempts) -> Outcome:
    """Return the outcome of a run that is over; *job* is None when Batch has forgotten it."""
    result = attempts.last_result
    problem = result.error if result else None
    if job is not None:
        return Outcome(_exit_code(job), _summary(job), attempts, failure(job) or problem)
    if result is None:
        summary = (
            "AWS Batch has forgotten the job, and it left no result: cannot tell how it ended."
        )
        return Outcome(FAILED_WITHOUT_CODE, summary, attempts, problem)
    took = shown_seconds((result.finished - result.started).total_seconds())
    ended = f"ended with exit code {result.exit_code} after {took}"
    summary = f"AWS Batch has forgotten the job; it {ended}."
    return Outcome(result.exit_code, summary, attempts, problem)


def _exit_code(job: Job) -> int:
    if job.succeeded:
        return 0
    return job.exit_code or FAILED_WITHOUT_CODE


def _summary(job: Job) -> str:
    parts = [f"Job {job.status}"]
    if job.started and job.stopped:
        took = (job.stopped - job.started).total_seconds()
        parts.append(f"after {shown_seconds(took)}")
    if not job.succeeded:
        details = [f"exit code {job.exit_code}"] if job.exit_code is not None else []
        details += [reason for reason in (job.reason, job.container_reason) if reason]
        parts.append(
            f"({'; '.join(details)})" if details else "(for a reason that AWS does not say)"
        )
    return " ".join(parts)
