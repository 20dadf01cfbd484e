"""A job's lines: paced, complete, each one once and in order.

GetLogEvents is what follows a stream: it neither samples nor drops, and its tokens resume
exactly. The account's quota (10 calls a second in most regions) is shared by everyone who
watches a job, so one watcher asks once a second at most while lines come, and more rarely while
they do not. The whole is explained in ``docs/explanation/watching.md``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from nextstrain_batch.aws_errors import error_code, explaining
from nextstrain_batch.errors import AccessDeniedError
from nextstrain_batch.events import LogLine, Notice
from nextstrain_batch.job import region_of
from nextstrain_batch.kept_log import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.clients import LogsClient
    from nextstrain_batch.job import Job
    from nextstrain_batch.kept_log import KeptLog

FASTEST = 1.0
SLOWEST = 5.0
"""Seconds between two calls while the job runs; a tenth of the silence so far, between these."""
CATCHING_UP = 0.25
"""Seconds between two calls while lines wait to be read, and the least between any two."""
SETTLING = 0.5
"""Seconds between two calls once the attempt is over and no line came."""
MANY = 500
"""Lines in one answer that mean more are waiting."""
GRACE_FOR_KEPT = 1.0
"""Seconds for CloudWatch to deliver the end of a log whose lines the bucket has."""
GRACE = 6.0
"""Seconds for CloudWatch to deliver the end of a log where nothing tells whether it is whole.

The container engine sends what it has every five seconds, and at the container's end.
"""
LONG_OVER = timedelta(minutes=2)
"""After an attempt's end, nothing is delivered any more."""


class LogTail:
    """One log stream, from its beginning: each line once, across restarts of its token."""

    def __init__(self, logs: LogsClient, group: str, stream: str, attempt: int) -> None:
        self._logs = logs
        self._group = group
        self._stream = stream
        self._attempt = attempt
        self._token: str | None = None
        self._last = 0
        self._at_last = 0
        self._skip = 0
        self.at_end = False
        """Whether the last answer was the stream's end, for now."""

    def poll(self) -> list[LogLine]:
        """Return the next lines, by one call. A stream that does not exist yet has none.

        An empty answer is not the end; see ``at_end``. Raises the errors of ``aws_errors``.
        """
        from botocore.exceptions import ClientError

        with explaining("read the job's log", region_of(self._logs)):
            try:
                return self._read()
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    self.at_end = True
                    return []
                if error_code(error) == "InvalidParameterException" and self._token:
                    self._token = None  # A day's sleep has outdated it.
                    return self._read()
                raise

    def _read(self) -> list[LogLine]:
        parameters: dict[str, Any] = {
            "logGroupName": self._group,
            "logStreamName": self._stream,
            "startFromHead": True,
        }
        if self._token:
            parameters["nextToken"] = self._token
        elif self._last:
            parameters["startTime"] = self._last
        answer = self._logs.get_log_events(**parameters)
        if not self._token:
            # The lines of the last instant come again, and are left out again.
            self._skip, self._at_last = self._at_last, 0
        token = answer.get("nextForwardToken")
        events = answer.get("events", [])
        self.at_end = not events and token in (None, self._token)
        self._token = token or self._token
        lines = [line for event in events for line in self._lines(event)]
        skipped, self._skip = lines[: self._skip], max(0, self._skip - len(lines))
        return lines[len(skipped) :]

    def _lines(self, event: dict[str, Any]) -> list[LogLine]:
        milliseconds = int(event["timestamp"])
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
        texts = event["message"].removesuffix("\n").split("\n")
        if milliseconds != self._last:
            self._last, self._at_last = milliseconds, 0
        self._at_last += len(texts)
        return [LogLine(text.removesuffix("\r"), when, self._attempt) for text in texts]


class _AttemptLog:
    """The log of one attempt, from CloudWatch and, for what is missing there, from the bucket."""

    def __init__(self, number: int, tail: LogTail | None, kept: KeptLog | None) -> None:
        self.number = number
        self.live = tail is not None
        self.over_since: float | None = None
        self.long_over = False
        self.done = False
        self._tail = tail
        self._kept = kept
        self._seen = Seen()

    def poll(self, now: float) -> list[LogLine]:
        """Return the next lines; sets ``done`` once there are no more to come."""
        lines = self._tail.poll() if self._tail and self.live else []
        for line in lines:
            self._seen.add(line.text)
        if self.over_since is not None:
            lines += self._ending(now - self.over_since)
        return lines

    def _ending(self, waited: float) -> list[LogLine]:
        missing = self._kept.missing(self.number, self._seen) if self._kept else None
        whole = missing is not None and missing.is_final
        complete = whole and missing is not None and not missing.lines
        self.done = complete or self._is_late(waited, GRACE_FOR_KEPT if whole else GRACE)
        if not self.done or missing is None:
            return []
        return [LogLine(text.removesuffix("\r"), None, self.number) for text in missing.lines]

    def _is_late(self, waited: float, grace: float) -> bool:
        """Tell whether CloudWatch will not deliver any more, or not soon enough."""
        if not self.live or self._tail is None:
            return True
        return self._tail.at_end and (self.long_over or waited >= grace)


class JobLogs:
    """The lines of all attempts of a job, one attempt after the other.

    *kept* is the log in the bucket, for runs that have one. *clock* counts seconds; *now* is the
    time of day, aware.
    """

    def __init__(
        self,
        logs: LogsClient,
        kept: KeptLog | None,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._logs = logs
        self._kept = kept
        self._clock = clock
        self._now = now
        self._attempts: dict[int, _AttemptLog] = {}
        self._job_is_over = False
        self._live = True
        self._due = 0.0
        self._last_call = -math.inf
        self._last_line = clock()

    @property
    def due(self) -> float:
        """When to ``poll`` next, by the clock; infinite while there is nothing to ask for."""
        current = self._current()
        if current is None or (current.over_since is None and not current.live):
            return math.inf
        return self._due

    @property
    def finished(self) -> bool:
        """Whether the job is over and its last line was given."""
        return self._job_is_over and self._current() is None

    def update(self, job: Job) -> None:
        """Take note of the job's state: which attempts there are, and which are over."""
        newest = job.attempt_number
        for attempt in job.attempts:
            if attempt.log_stream:
                self._note(job, attempt.number, attempt.log_stream)
            if attempt.stopped or attempt.number < newest or job.is_over:
                self._end(attempt.number, attempt.stopped)
        known = {attempt.log_stream for attempt in job.attempts}
        if job.log_stream and job.log_stream not in known:
            self._note(job, newest, job.log_stream)
        if job.is_over:
            self._job_is_over = True
            # All that was ever heard of: should the last answer name fewer, nothing more comes.
            for number in self._attempts:
                self._end(number, job.stopped)

    def poll(self) -> list[LogLine | Notice]:
        """Return the next lines, by one call to CloudWatch at most.

        Raises the errors of ``aws_errors`` other than a denial, which costs liveliness only.
        """
        current = self._current()
        if current is None:
            return []
        self._last_call = self._clock()
        try:
            lines = current.poll(self._last_call)
        except AccessDeniedError as error:
            return [self._denied(error)]
        self._pace(current, len(lines))
        complaint = self._kept.complaint() if self._kept and current.done else None
        return [*lines, Notice(complaint)] if complaint else list(lines)

    def delay(self, seconds: float) -> None:
        """Do not ask again for some seconds."""
        self._due = self._clock() + seconds

    def give_up_live(self, why: str) -> Notice:
        """Ask CloudWatch no more, and say so: each attempt's log is given once it is over."""
        self._live = False
        self._due = 0.0
        for attempt in self._attempts.values():
            attempt.live = False
        later = "It is shown once the job is over." if self._kept else ""
        return Notice(f"{why} The log cannot be shown as it grows. {later}".rstrip())

    def _denied(self, error: AccessDeniedError) -> Notice:
        return self.give_up_live(
            f"AWS denies {error.action or 'logs:GetLogEvents'}, which the policy"
            " NextstrainJobsAccessToLogs grants."
        )

    def _current(self) -> _AttemptLog | None:
        waiting = (number for number, log in self._attempts.items() if not log.done)
        first = min(waiting, default=None)
        return None if first is None else self._attempts[first]

    def _note(self, job: Job, number: int, stream: str) -> None:
        if number in self._attempts:
            return
        tail = LogTail(self._logs, job.log_group, stream, number) if job.log_group else None
        log = self._attempts[number] = _AttemptLog(number, tail, self._kept)
        log.live = log.live and self._live
        self._hurry()
        self._last_line = self._clock()

    def _end(self, number: int, stopped: datetime | None) -> None:
        log = self._attempts.get(number)
        if log is None or log.over_since is not None:
            return
        log.over_since = self._clock()
        log.long_over = stopped is not None and self._now() - stopped > LONG_OVER
        self._hurry()

    def _hurry(self) -> None:
        """Ask as soon as the quota allows: there is news to expect."""
        self._due = min(self._due, max(self._clock(), self._last_call + CATCHING_UP))

    def _pace(self, current: _AttemptLog, lines: int) -> None:
        now = self._clock()
        if lines:
            self._last_line = now
        over = current.over_since is not None
        if lines >= MANY or (over and (lines or current.done)):
            interval = CATCHING_UP
        elif over:
            interval = SETTLING
        else:
            interval = min(max((now - self._last_line) / 10, FASTEST), SLOWEST)
        self._due = now + interval
