"""Watching a job: its states, its end, its lines, and trouble on the way."""

import math
from itertools import pairwise

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes_aws import STREAM, Clock, FakeBatch, FakeLogs, attempt_detail, client_error
from fakes_aws import job_detail as detail
from nextstrain_batch.diagnose import Diagnosis
from nextstrain_batch.errors import CredentialsError, UnreachableError
from nextstrain_batch.events import LogLine, Notice, StateChange
from nextstrain_batch.job import UnknownJobError
from nextstrain_batch.logs import JobLogs
from nextstrain_batch.watch import FASTEST, SLOWEST, follow


def unreachable():
    return EndpointConnectionError(endpoint_url="https://batch.us-east-1.amazonaws.com/")


def watching(batch, logs=None, wait=None, diagnosis=None, **options):
    clock = batch.clock
    job_logs = JobLogs(logs, None, clock=clock, now=clock.now) if logs else None
    return follow(
        "job-1",
        batch=batch,
        clock=clock,
        wait=wait or clock.wait,
        logs=job_logs,
        diagnosis=diagnosis,
        **options,
    )


def zika(clock, length=34.0, queued=20.0):
    """Return the states of a short build."""
    end = queued + length
    container = {"container": {"logStreamName": STREAM}}
    last = attempt_detail(stopped=clock.milliseconds(end))
    return [
        (-1, detail("RUNNABLE")),
        (queued - 5, detail("STARTING")),
        (queued, detail("RUNNING", **container)),
        (
            end,
            detail("SUCCEEDED", **container, attempts=[last], stoppedAt=clock.milliseconds(end)),
        ),
    ]


def states(events):
    return [event.job.status for event in events if isinstance(event, StateChange)]


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


def test_states_and_lines_to_the_end():
    """Every state comes once, every line comes once, and the end comes last."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock))
    printed = [(20 + number, 20.1 + number, f"line {number}") for number in range(34)]
    events = list(watching(batch, FakeLogs(clock, {STREAM: printed})))
    assert states(events) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    lines = [event.text for event in events if isinstance(event, LogLine)]
    assert lines == [message for _, _, message in printed]
    assert isinstance(events[-1], StateChange)
    assert events[-1].job.is_over
    assert events[-1].previous.status == "RUNNING"


def test_attaching_to_a_finished_job():
    """A job that is over already is told of once, after its whole log."""
    clock = Clock()
    last = attempt_detail(stopped=clock.milliseconds())
    container = {"logStreamName": STREAM, "exitCode": 3}
    over = detail("FAILED", attempts=[last], container=container)
    batch = FakeBatch(clock, [(-1, over)])
    events = list(watching(batch, FakeLogs(clock, {STREAM: [(0, 0, "a"), (0, 0, "b")]})))
    assert [type(event) for event in events] == [LogLine, LogLine, StateChange]
    assert events[-1].previous is None
    assert events[-1].job.exit_code == 3
    assert len(batch.times("describe_jobs")) == 1


def test_a_short_builds_end_is_noticed_within_a_second():
    """The end of a build of 34 seconds is known less than a second later."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock))
    list(watching(batch))
    assert clock() - 54 < 1.0


@settings(max_examples=40)
@given(changes=st.lists(st.floats(0.1, 5_000), min_size=1, max_size=6))
def test_looks_stay_within_the_pace(changes):
    """Looks at the state are never closer than the fastest pace nor rarer than the slowest."""
    clock = Clock()
    batch, when = FakeBatch(clock, [(-1, detail("SUBMITTED"))]), 0.0
    names = ("PENDING", "RUNNABLE", "STARTING", "RUNNING", "RUNNABLE", "STARTING")
    for change, status in zip(changes, names, strict=False):
        when += change
        batch.states.append((when, detail(status)))
    batch.states.append((when + 1, detail("SUCCEEDED")))
    list(watching(batch))
    for before, after in pairwise(batch.times("describe_jobs")):
        assert FASTEST - 1e-6 <= after - before <= SLOWEST + 0.01


def test_a_long_build_is_looked_at_rarely():
    """A build of a day costs some ten looks a minute."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock, length=86_400))
    list(watching(batch))
    assert len(batch.times("describe_jobs")) < 86_400 / SLOWEST + 300


@given(st.lists(st.floats(0, 1), min_size=20, max_size=200))
def test_waking_early_costs_no_more_than_the_pace(naps):
    """However often the waiting is cut short, looks are no closer than the fastest pace."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock))
    rest = iter(naps)

    def wait(seconds):
        clock.wait(min(seconds, next(rest, math.inf)))

    list(watching(batch, wait=wait))
    for before, after in pairwise(batch.times("describe_jobs")):
        assert after - before >= FASTEST - 1e-6


def test_waking_looks_at_the_state_soon():
    """After a signal the state is looked at again at once, because it may have changed it."""
    clock = Clock()
    batch = FakeBatch(clock, [(-1, detail()), (1000.5, detail(isTerminated=True))])
    woken = []

    def wait(seconds):
        # At a thousand seconds, a signal cuts the waiting short.
        early = clock() < 1000 < clock() + seconds
        clock.wait(1000.6 - clock() if early else seconds)
        woken.append(clock()) if early else None

    for event in watching(batch, wait=wait):
        if event.job.cancel_requested:
            break
    assert clock() - woken[0] < FASTEST


def test_a_cancel_is_told_of_as_a_change():
    """That someone asked for the job's end is a change of its own, before the end."""
    clock = Clock()
    over = detail("FAILED", isTerminated=True, statusReason="Cancelled by ada")
    batch = FakeBatch(clock, [(-1, detail()), (5, detail(isTerminated=True)), (30, over)])
    events = list(watching(batch))
    assert [(each.job.status, each.job.cancel_requested) for each in events] == [
        ("RUNNING", False),
        ("RUNNING", True),
        ("FAILED", True),
    ]


def test_what_waiting_raises_comes_out():
    """An exception out of the waiting, such as the wish to detach, ends the watching as it is."""

    class DetachError(Exception):
        pass

    def wait(_seconds):
        raise DetachError

    clock = Clock()
    with pytest.raises(DetachError):
        list(watching(FakeBatch(clock, zika(clock)), wait=wait))


def test_closing_stops_asking():
    """A watching that is closed asks AWS for nothing more."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock))
    events = watching(batch)
    next(events)
    asked = len(batch.calls)
    events.close()
    assert len(batch.calls) == asked


@pytest.mark.parametrize(
    "error", [unreachable(), client_error("TooManyRequestsException", status=429)]
)
def test_passing_trouble_is_ridden_out(error):
    """Minutes without connection, or of throttling, cost one line that says so and no event."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock, length=1000), troubles=[(100, 500, error)])
    events = list(watching(batch))
    assert states(events) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert len(notices(events)) == 2
    assert "Trying again" in notices(events)[0]
    assert notices(events)[1] == "AWS answers again."
    assert len([when for when in batch.times("describe_jobs") if 100 < when < 500]) < 25


def test_lasting_trouble_ends_the_watching():
    """Trouble that lasts is told with what was asked for."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock), troubles=[(30, math.inf, unreachable())])
    with pytest.raises(UnreachableError) as raised:
        list(watching(batch))
    assert "https://batch.us-east-1.amazonaws.com/" in str(raised.value)
    assert 600 < clock() < 700


def test_expired_credentials_end_the_watching():
    """Credentials that expire while a job is watched end that at once."""
    clock = Clock()
    expired = client_error("ExpiredTokenException", "The security token is expired")
    batch = FakeBatch(clock, zika(clock), troubles=[(30, math.inf, expired)])
    with pytest.raises(CredentialsError) as raised:
        list(watching(batch))
    assert "expired" in str(raised.value)
    assert clock() < 32


def test_trouble_with_the_log_alone_does_not_end_the_watching():
    """When CloudWatch Logs is out of reach, the job is watched to its end all the same."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock, length=2000))
    logs = FakeLogs(clock, {STREAM: [(20, 20, "a")]}, troubles=[(0, math.inf, unreachable())])
    events = list(watching(batch, logs))
    assert states(events)[-1] == "SUCCEEDED"
    assert len(notices(events)) == 2
    assert "cannot be shown" in notices(events)[1]


def test_trouble_with_the_log_at_the_end_is_soon_given_up():
    """A job that is over is not held up for minutes by CloudWatch Logs being out of reach."""
    clock = Clock()
    batch = FakeBatch(clock, zika(clock))
    logs = FakeLogs(clock, {STREAM: [(20, 20, "a")]}, troubles=[(50, math.inf, unreachable())])
    events = list(watching(batch, logs))
    assert states(events)[-1] == "SUCCEEDED"
    assert clock() < 54 + 90


def test_an_unknown_job():
    """A job that AWS does not know is an error of its own, at once, with the likely causes."""
    clock = Clock()
    with pytest.raises(UnknownJobError, match="Likely causes"):
        list(watching(FakeBatch(clock)))
    assert clock() < 1


def test_a_job_just_submitted_may_be_unknown_for_a_moment():
    """A job just submitted is waited for."""
    clock = Clock()
    batch = FakeBatch(clock, [(3, detail("SUBMITTED")), (9, detail("SUCCEEDED"))])
    assert states(watching(batch, just_submitted=True)) == ["SUBMITTED", "SUCCEEDED"]


def test_a_job_just_submitted_that_never_appears():
    """A job just submitted that does not appear is unknown after half a minute."""
    clock = Clock()
    with pytest.raises(UnknownJobError):
        list(watching(FakeBatch(clock), just_submitted=True))
    assert 30 <= clock() < 40


def test_a_retry_is_a_change():
    """Another attempt is a change even where the status is the same."""
    clock = Clock()
    second = detail(attempts=[attempt_detail("one", None)], container={"logStreamName": "two"})
    first = detail(container={"logStreamName": "one"})
    batch = FakeBatch(clock, [(-1, first), (10, second), (20, detail("SUCCEEDED"))])
    numbers = [event.job.attempt_number for event in watching(batch)]
    assert numbers[:2] == [1, 2]


def test_a_diagnosis_is_told_between_the_states():
    """What the diagnosis has to say comes as a notice, and ends nothing."""
    clock = Clock()
    waiting = detail("RUNNABLE", statusReason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x")
    batch = FakeBatch(clock, [(-1, waiting), (250, detail("RUNNING")), (300, detail("SUCCEEDED"))])
    events = list(watching(batch, diagnosis=Diagnosis(batch, clock)))
    assert states(events) == ["RUNNABLE", "RUNNING", "SUCCEEDED"]
    assert len(notices(events)) == 1
    assert "no machine type" in notices(events)[0]
