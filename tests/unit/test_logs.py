"""The lines of a job: each one once, in order, complete, within the quota."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_aws import STREAM, Clock, FakeBatch, FakeBucket, FakeLogs, attempt_detail, client_error
from fakes_aws import job_detail as detail
from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.errors import UnreachableError
from nextstrain_batch.events import LogLine, Notice
from nextstrain_batch.job import describe
from nextstrain_batch.kept_log import KeptLog
from nextstrain_batch.logs import CATCHING_UP, FASTEST, GRACE, SLOWEST, JobLogs, LogTail
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.store import keys

GROUP = "/aws/batch/job"


def described(**changes):
    return describe(FakeBatch(states=[(-1, detail(**changes))]), "job-1")


def running(stream=STREAM, attempts=()):
    return described(status="RUNNING", container={"logStreamName": stream}, attempts=list(attempts))


def ended(clock, stream=STREAM, before=()):
    last = attempt_detail(stream, stopped=clock.milliseconds())
    return described(
        status="SUCCEEDED",
        container={"logStreamName": stream},
        attempts=[*before, last],
        stoppedAt=clock.milliseconds(),
    )


def result(clock, lines, attempt=1):
    return AttemptResult(attempt, 0, clock.now(), clock.now(), lines).to_json()


def bucket_with(clock, text, attempt=1, final=True):
    """Return a bucket that has the attempt's whole log."""
    count = sum(1 for line in text.split("\n") if line)
    bucket = FakeBucket({keys.log("zika-1", attempt): text.encode()})
    if final:
        bucket.objects[keys.result("zika-1", attempt)] = result(clock, count, attempt)
    return bucket


class Reader:
    """Polls when it is due until nothing is left, and keeps what came."""

    def __init__(self, clock, logs, bucket=None):
        self.clock, self.logs = clock, logs
        kept = KeptLog(bucket, "zika-1") if bucket else None
        self.job_logs = JobLogs(logs, kept, clock=clock, now=clock.now)
        self.given = []

    def read_until(self, seconds=math.inf):
        while not self.job_logs.finished and self.job_logs.due < seconds:
            self.clock.wait(max(self.job_logs.due - self.clock(), 0))
            self.given += self.job_logs.poll()
        if self.clock() < seconds < math.inf:
            self.clock.wait(seconds - self.clock())

    @property
    def lines(self):
        return [line.text for line in self.given if isinstance(line, LogLine)]

    @property
    def notices(self):
        return [notice.text for notice in self.given if isinstance(notice, Notice)]


def at_once(*messages):
    return [(0, 0, message) for message in messages]


# Few different lines, so that repetition is the rule; and empty ones, which CloudWatch drops.
LINES = st.lists(st.sampled_from(["a", "b", "tick", "", "täglich ", "x" * 5000]), max_size=40)


@given(
    lines=LINES,
    delays=st.lists(st.floats(0, 30), min_size=40, max_size=40),
    page=st.integers(1, 7),
    hollow=st.booleans(),
    lost=st.integers(0, 40),
    length=st.floats(0.5, 100),
)
def test_each_line_once_in_order_complete(lines, delays, page, hollow, lost, length):
    """However CloudWatch pages, delays or loses the end, each line comes once and in order."""
    clock = Clock()
    printed = [line for line in lines if line]
    events, readable = [], 0.0
    for number, line in enumerate(printed):
        when = length * number / len(printed)
        readable = max(readable, when + delays[number])
        events.append((when, readable, line))
    kept = events[: max(len(events) - lost, 0)]
    logs = FakeLogs(clock, {STREAM: kept}, page=page, hollow=hollow)
    bucket = bucket_with(clock, "".join(f"{line}\n" for line in lines))
    reader = Reader(clock, logs, bucket)
    reader.job_logs.update(running())
    reader.read_until(length)
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert [line for line in reader.lines if line] == printed


@given(
    delays=st.lists(st.floats(0, GRACE / 2), max_size=30), page=st.integers(1, 7), h=st.booleans()
)
def test_complete_without_a_kept_log(delays, page, h):
    """Without a log in the bucket, all that CloudWatch delivers within the grace comes once."""
    clock = Clock()
    readable = sorted(delays)
    events = [(0, when, f"line {number}") for number, when in enumerate(readable)]
    reader = Reader(clock, FakeLogs(clock, {STREAM: events}, page=page, hollow=h))
    reader.job_logs.update(running())
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == [f"line {number}" for number in range(len(delays))]


@given(gaps=st.lists(st.floats(0, 60), min_size=1, max_size=40), page=st.integers(1, 1000))
def test_calls_stay_within_the_quota(gaps, page):
    """Two calls are never closer than the pace allows, and silence makes them rarer."""
    clock = Clock()
    events, when = [], 0.0
    for gap in gaps:
        when += gap
        events.append((when, when, "line"))
    logs = FakeLogs(clock, {STREAM: events}, page=page)
    reader = Reader(clock, logs)
    reader.job_logs.update(running())
    reader.read_until(when + 1)
    reader.job_logs.update(ended(clock))
    over = clock()
    reader.read_until()
    calls = [called for _, called in logs.calls]
    for before, after in pairwise(calls):
        least = FASTEST if after < over else CATCHING_UP
        assert after - before >= least - 1e-6
        assert after - before <= SLOWEST + 0.01
    assert reader.lines == ["line"] * len(gaps)


def test_a_stream_that_is_not_there_yet():
    """A log stream that does not exist yet is an empty one."""
    clock = Clock()
    reader = Reader(clock, FakeLogs(clock, {STREAM: [(5, 5, "late")]}))
    reader.job_logs.update(running())
    reader.read_until(3)
    assert reader.lines == []
    reader.read_until(12)
    assert reader.lines == ["late"]


def test_a_whole_log_needs_no_second_call():
    """Where the bucket tells that all lines came, the end is not waited for."""
    clock = Clock()
    logs = FakeLogs(clock, {STREAM: at_once("a", "b")})
    reader = Reader(clock, logs, bucket_with(clock, "a\n\nb\n"))
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == ["a", "b"]
    assert len(logs.calls) == 1
    assert clock() < 0.1


def test_a_killed_attempts_copy_is_not_taken_for_whole():
    """The copy of an attempt that was killed does not cut short what CloudWatch has."""
    clock = Clock()
    logs = FakeLogs(clock, {STREAM: [(0, 0, "a"), (1, 3, "Killed")]})
    reader = Reader(clock, logs, bucket_with(clock, "a\n", final=False))
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == ["a", "Killed"]


@pytest.mark.parametrize("hollow", [False, True])
def test_a_job_that_ended_long_ago_is_not_waited_for(hollow):
    """Nothing is delivered any more for a job that ended long ago; an empty page is not its end."""
    clock = Clock()
    job = ended(clock)
    clock.seconds = 3600
    reader = Reader(clock, FakeLogs(clock, {STREAM: at_once("a", "b")}, page=1, hollow=hollow))
    reader.job_logs.update(job)
    reader.read_until()
    assert reader.lines == ["a", "b"]
    assert clock() < 3604


def test_a_large_log_is_completed_from_its_end():
    """Of a log larger than what is read at first, exactly the missing end comes from the bucket."""
    clock = Clock()
    lines = [f"{number:>100}" for number in range(15_000)]
    logs = FakeLogs(clock, {STREAM: at_once(*lines[:-5])})
    bucket = bucket_with(clock, "".join(f"{line}\n" for line in lines))
    reader = Reader(clock, logs, bucket)
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == lines
    assert bucket.reads.count(keys.log("zika-1", 1)) == 1


def test_a_large_log_that_cloudwatch_does_not_have():
    """A log of which CloudWatch has nothing comes from the bucket, whole."""
    clock = Clock()
    lines = [f"{number:>100}" for number in range(15_000)]
    bucket = bucket_with(clock, "".join(f"{line}\n" for line in lines))
    reader = Reader(clock, FakeLogs(clock), bucket)
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == lines


def test_denied_logs_come_from_the_bucket():
    """Without the permission, one line says so, and the log is given once the job is over."""
    clock = Clock()
    denial = client_error("AccessDeniedException", operation="GetLogEvents")
    logs = FakeLogs(clock, {STREAM: at_once("a")}, troubles=[(0, math.inf, denial)])
    reader = Reader(clock, logs, bucket_with(clock, "a\n\nb\n"))
    reader.job_logs.update(running())
    reader.read_until(100)
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == ["a", "", "b"]
    assert len(reader.notices) == 1
    assert "NextstrainJobsAccessToLogs" in reader.notices[0]
    assert len(logs.calls) == 1


def test_a_copy_that_cannot_be_read_is_told():
    """Where S3 does not answer at the log's end, one line says that lines may be missing."""
    clock = Clock()
    bucket = bucket_with(clock, "a\nb\n")
    bucket.error = UnreachableError("Cannot read it.\n\nIs there a network?")
    reader = Reader(clock, FakeLogs(clock, {STREAM: at_once("a")}), bucket)
    reader.job_logs.update(ended(clock))
    reader.read_until()
    assert reader.lines == ["a"]
    (notice,) = reader.notices
    assert notice.startswith("Cannot read it. The end of the log may be missing")


def test_attempts_come_one_after_the_other():
    """The log of an attempt is complete before the next attempt's begins."""
    clock = Clock()
    logs = FakeLogs(clock, {"one": [(0, 0, "a"), (0, 4, "b")], "two": [(2, 2, "c")]})
    reader = Reader(clock, logs)
    reader.job_logs.update(running("one"))
    reader.read_until(2)
    first = attempt_detail("one", 1, stopped=clock.milliseconds())
    reader.job_logs.update(running("two", [first]))
    reader.read_until(20)
    reader.job_logs.update(ended(clock, "two", [first]))
    reader.read_until()
    assert [(line.text, line.attempt) for line in reader.given] == [("a", 1), ("b", 1), ("c", 2)]


def test_a_retry_that_waits_still_shows_the_first_attempts_stream_once():
    """While a retry waits for a machine, the first attempt's stream is not taken for its own."""
    clock = Clock()
    first = attempt_detail("one", 1, stopped=clock.milliseconds())
    reader = Reader(clock, FakeLogs(clock, {"one": at_once("a")}))
    waiting = described(status="RUNNABLE", container={"logStreamName": "one"}, attempts=[first])
    reader.job_logs.update(waiting)
    reader.read_until(30)
    assert [(line.text, line.attempt) for line in reader.given] == [("a", 1)]


def test_a_job_without_a_log():
    """A job that never started has no lines, and is finished at once."""
    clock = Clock()
    reader = Reader(clock, FakeLogs(clock))
    reader.job_logs.update(described(status="FAILED"))
    assert reader.job_logs.finished


def test_another_log_driver_leaves_the_bucket():
    """A job that does not log to CloudWatch has its log in the bucket alone."""
    clock = Clock()
    logs = FakeLogs(clock)
    reader = Reader(clock, logs, bucket_with(clock, "a\n"))
    last = attempt_detail(stopped=clock.milliseconds())
    configuration = {"logStreamName": STREAM, "logConfiguration": {"logDriver": "json-file"}}
    reader.job_logs.update(described(status="SUCCEEDED", container=configuration, attempts=[last]))
    reader.read_until()
    assert reader.lines == ["a"]
    assert logs.calls == []


@pytest.mark.parametrize("page", [1, 2, 10])
def test_an_outdated_token_loses_and_repeats_nothing(page):
    """When a token has outlived its day, the stream goes on where it was."""
    clock = Clock()
    events = [(0, 0, "a"), (1, 1, "b"), (1, 1, "c"), (1, 9, "d"), (2, 9, "e")]
    logs = FakeLogs(clock, {STREAM: events}, page=page)
    tail = LogTail(logs, GROUP, STREAM, 1)
    lines = []
    clock.seconds = 5
    for _ in range(8):
        lines += tail.poll()
    logs.outdated.add("3/0")
    clock.seconds = 10
    for _ in range(8):
        lines += tail.poll()
    assert [line.text for line in lines] == ["a", "b", "c", "d", "e"]


class Throttled(FakeLogs):
    """Turns down the first calls without a token after one was outdated."""

    left = 2

    def _page(self, events, token, parameters):
        if not token and "startTime" in parameters and self.left:
            self.left -= 1
            raise client_error("ThrottlingException", operation="GetLogEvents")
        return super()._page(events, token, parameters)


def test_an_outdated_token_and_trouble_at_once():
    """As after a night's sleep, when the network is only just back: nothing comes twice, or not."""
    clock = Clock()
    events = [(0, 0, "a"), (1, 1, "b"), (1, 1, "c"), (1, 9, "d"), (2, 9, "e")]
    logs = Throttled(clock, {STREAM: events})
    tail = LogTail(logs, GROUP, STREAM, 1)
    clock.seconds = 5
    lines = [line for _ in range(3) for line in tail.poll()]
    logs.outdated.add("3/0")
    clock.seconds = 10
    for _ in range(2):
        with pytest.raises(BusyError):
            tail.poll()
    lines += [line for _ in range(3) for line in tail.poll()]
    assert [line.text for line in lines] == ["a", "b", "c", "d", "e"]


def test_a_job_that_is_over_with_fewer_attempts_than_were_seen_is_over():
    """Whatever the last description leaves out, nobody waits for it."""
    clock = Clock()
    logs = FakeLogs(clock, {STREAM: [(0, 0, "a")], "second": [(1, 1, "b")]})
    job_logs = JobLogs(logs, None, clock=clock, now=clock.now)
    first = attempt_detail(stopped=clock.milliseconds(1))
    job_logs.update(running("second", [first]))
    fewer = {"attempts": [first], "stoppedAt": clock.milliseconds(2)}
    job_logs.update(described(status="FAILED", **fewer))
    for clock.seconds in range(3, 60):
        job_logs.poll()
    assert job_logs.finished


def test_timestamps_are_when_lines_were_printed():
    """A line carries the instant it was printed at, in UTC."""
    clock = Clock()
    tail = LogTail(FakeLogs(clock, {STREAM: [(0, 0, "two\nlines\n")]}), GROUP, STREAM, 1)
    lines = tail.poll()
    assert [line.text for line in lines] == ["two", "lines"]
    assert {line.timestamp for line in lines} == {clock.now()}
