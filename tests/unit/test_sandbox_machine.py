"""The sandbox's job machine, driven by hand: no processes, no threads, a clock of the test's."""

import itertools
import pickle
import signal
from dataclasses import replace

import pytest

from nextstrain_batch.sandbox.capacity import (
    INVALID,
    NO_INSTANCES,
    OVER_MAXIMUM,
    TOO_BIG,
    UNDETERMINED,
)
from nextstrain_batch.sandbox.jobs import (
    EXITED,
    NOT_STARTED,
    OVERRIDES_TOO_LONG,
    TIMED_OUT,
    Exit,
    Retry,
    Rule,
)
from nextstrain_batch.sandbox.machine import (
    Environment,
    Machine,
    Signal,
    Start,
    TimeLimit,
    Timing,
)
from sandbox_jobs import CONTAINER, SPECIFICATION


class Queues:
    """One or more queues with environments that a test changes."""

    def __init__(self, **environments):
        self.known = environments or {"queue": [Environment("ce", "arn:ce", 8, enabled=True)]}
        self.priorities = {}
        self.limits = []

    def priority(self, region, queue):
        del region
        return self.priorities.get(queue, 1)

    def environments(self, region, queue):
        del region
        return self.known.get(queue, [])

    def time_limits(self, region, queue):
        del region, queue
        return self.limits


@pytest.fixture
def queues():
    return Queues()


@pytest.fixture
def machine(queues):
    numbers = itertools.count(1)
    return Machine(queues, new_id=lambda: f"id-{next(numbers)}")


def running(machine, specification=SPECIFICATION, now=0.0):
    """Submit a job and get it to run."""
    job = machine.submit(specification, now)
    (start,) = machine.advance(now)
    machine.started(start.task.id, now)
    return job


def with_retry(attempts, *rules, **changes):
    return replace(SPECIFICATION, retry=Retry(attempts, rules), **changes)


def test_a_job_goes_through_its_states_to_success(machine):
    """A job is SUBMITTED, STARTING, RUNNING and SUCCEEDED, with the time of each."""
    job = machine.submit(SPECIFICATION, 10.0)
    assert job.status == "SUBMITTED"
    (start,) = machine.advance(11.0)
    assert isinstance(start, Start)
    assert job.status == "STARTING"
    assert start.task.log_stream == f"definition/default/{start.task.id}"
    machine.started(start.task.id, 12.0)
    assert job.status == "RUNNING"
    machine.exited(start.task.id, Exit(0), 13.0)
    assert (job.status, job.status_reason) == ("SUCCEEDED", EXITED)
    assert (job.created, job.started, job.stopped) == (10.0, 12.0, 13.0)
    (attempt,) = job.attempts
    assert (attempt.exit_code, attempt.started, attempt.stopped) == (0, 12.0, 13.0)


def test_a_failed_job_keeps_its_exit_code(machine):
    """A job whose program fails is FAILED and its attempt has the code."""
    job = running(machine)
    machine.exited(job.task.id, Exit(3), 1.0)
    assert (job.status, job.status_reason) == ("FAILED", EXITED)
    assert job.attempts[0].exit_code == 3


def test_a_container_that_cannot_start_has_no_exit_code(machine):
    """A job whose container cannot start fails with the container's reason and no code."""
    job = machine.submit(SPECIFICATION, 0.0)
    machine.advance(0.0)
    machine.exited(job.task.id, Exit(None, "CannotStartContainerError: no"), 1.0)
    assert (job.status, job.status_reason) == ("FAILED", NOT_STARTED)
    assert job.attempts[0].exit_code is None
    assert job.attempts[0].reason == "CannotStartContainerError: no"
    assert job.attempts[0].log_stream is None


def test_overrides_over_the_limit_fail_the_job_after_it_was_accepted(machine):
    """SubmitJob takes overrides that are too long, and the job fails for them."""
    job = machine.submit(replace(SPECIFICATION, overrides_length=8193), 0.0)
    assert machine.advance(0.0) == []
    assert (job.status, job.status_reason) == ("FAILED", OVERRIDES_TOO_LONG)


def test_overrides_at_the_limit_run(machine):
    """Overrides of exactly 8192 characters are good."""
    machine.submit(replace(SPECIFICATION, overrides_length=8192), 0.0)
    assert len(machine.advance(0.0)) == 1


def test_jobs_wait_for_room(machine):
    """Jobs beyond the maximum of vCPUs wait in RUNNABLE until others end."""
    jobs = [machine.submit(SPECIFICATION, float(number)) for number in range(3)]
    assert [action.job for action in machine.advance(3.0)] == jobs[:2]
    assert (jobs[2].status, jobs[2].status_reason) == ("RUNNABLE", None)
    machine.exited(jobs[0].task.id, Exit(0), 4.0)
    assert [action.job for action in machine.advance(4.0)] == jobs[2:]


def test_nobody_overtakes_in_a_queue(machine):
    """A small job does not go before a big one that was there first."""
    running(machine)
    big = machine.submit(replace(SPECIFICATION, container=replace(CONTAINER, vcpus=8)), 1.0)
    machine.submit(replace(SPECIFICATION, container=replace(CONTAINER, vcpus=1)), 2.0)
    assert machine.advance(3.0) == []
    assert big.status == "RUNNABLE"


def test_a_queue_of_higher_priority_goes_first():
    """Where two queues share an environment, the higher priority gets the room."""
    environment = Environment("ce", "arn:ce", 4, enabled=True)
    queues = Queues(low=[environment], high=[environment])
    queues.priorities = {"low": 1, "high": 10}
    numbers = itertools.count()
    machine = Machine(queues, new_id=lambda: f"id-{next(numbers)}")
    machine.submit(replace(SPECIFICATION, queue="low"), 0.0)
    high = machine.submit(replace(SPECIFICATION, queue="high"), 1.0)
    assert [action.job for action in machine.advance(2.0)] == [high]


@pytest.mark.parametrize(
    ("environments", "reason"),
    [
        ([Environment("ce", "arn:ce", 2, enabled=True)], OVER_MAXIMUM),
        ([Environment("ce", "arn:ce", 64, True, ("m5.large", "c5.large"))], TOO_BIG),
        ([Environment("ce", "arn:ce", 64, True, ("c5.xlarge",), valid=False)], INVALID),
        ([Environment("ce", "arn:ce", 8, enabled=False)], UNDETERMINED),
        ([], UNDETERMINED),
    ],
)
def test_a_job_that_cannot_run_says_why(machine, queues, environments, reason):
    """A job that no environment can ever run waits with the reason."""
    queues.known["queue"] = environments
    job = machine.submit(SPECIFICATION, 0.0)
    assert machine.advance(0.0) == []
    assert (job.status, job.status_reason) == ("RUNNABLE", reason)


def test_the_second_environment_is_used_when_the_first_is_full(machine, queues):
    """A queue's environments are tried in their order."""
    queues.known["queue"] = [
        Environment("first", "arn:first", 4, enabled=True),
        Environment("second", "arn:second", 4, enabled=True),
    ]
    first, second = (machine.submit(SPECIFICATION, 0.0) for _ in range(2))
    machine.advance(0.0)
    assert (first.task.environment, second.task.environment) == ("first", "second")


def test_a_failed_attempt_is_followed_by_another(machine):
    """With two attempts a job fails once, and runs again in a stream of its own."""
    job = running(machine, with_retry(2))
    first = job.task
    machine.exited(first.id, Exit(1), 1.0)
    assert job.status == "RUNNABLE"
    machine.advance(1.0)
    assert job.task.number == 2
    assert job.task.log_stream != first.log_stream
    machine.started(job.task.id, 2.0)
    machine.exited(job.task.id, Exit(0), 3.0)
    assert job.status == "SUCCEEDED"
    assert [attempt.exit_code for attempt in job.attempts] == [1, 0]


def test_the_last_attempt_ends_the_job(machine):
    """There are no more attempts than asked for."""
    job = running(machine, with_retry(2))
    machine.exited(job.task.id, Exit(1), 1.0)
    machine.advance(1.0)
    machine.exited(job.task.id, Exit(1), 2.0)
    assert job.status == "FAILED"


@pytest.mark.parametrize(
    ("rules", "end", "again"),
    [
        ((), Exit(1), True),
        ((Rule("EXIT", on_exit_code="1"),), Exit(1), False),
        ((Rule("EXIT", on_exit_code="1"),), Exit(2), True),  # no match means retry
        ((Rule("EXIT", on_exit_code="1*"),), Exit(143), False),
        ((Rule("RETRY", on_exit_code="143"), Rule("EXIT", on_exit_code="*")), Exit(143), True),
        ((Rule("RETRY", on_exit_code="143"), Rule("EXIT", on_exit_code="*")), Exit(1), False),
        ((Rule("EXIT", on_reason="Out*"),), Exit(137, "OutOfMemoryError: x"), False),
        ((Rule("EXIT", on_reason="Out*"),), Exit(137), True),
        ((Rule("RETRY", on_status_reason="Host EC2*"), Rule("EXIT")), Exit(1), False),
        (
            (Rule("RETRY", on_status_reason="Host EC2*"), Rule("EXIT")),
            Exit(None, None, "Host EC2 (instance i-0) terminated."),
            True,
        ),
    ],
)
def test_the_first_rule_that_matches_decides_about_another_attempt(machine, rules, end, again):
    """``evaluateOnExit`` works as documented; where nothing matches, Batch retries."""
    job = running(machine, with_retry(3, *rules))
    machine.exited(job.task.id, end, 1.0)
    assert job.status == ("RUNNABLE" if again else "FAILED")


def test_a_timeout_stops_an_attempt_and_is_not_retried(machine):
    """An attempt over its time gets SIGTERM, then SIGKILL, and ends the job."""
    job = running(machine, with_retry(3, timeout=60))
    assert machine.next_due(20.0) == 40.0
    assert machine.advance(59.9) == []
    assert machine.advance(60.0) == [Signal(job.task.id, signal.SIGTERM)]
    assert job.status == "RUNNING"
    assert machine.next_due(60.0) == 30.0
    assert machine.advance(89.9) == []
    assert machine.advance(90.0) == [Signal(job.task.id, signal.SIGKILL)]
    assert machine.advance(200.0) == []
    machine.exited(job.task.id, Exit(137), 91.0)
    assert (job.status, job.status_reason) == ("FAILED", TIMED_OUT)
    assert (job.attempts[0].exit_code, job.attempts[0].status_reason) == (137, TIMED_OUT)


def test_each_attempt_has_the_whole_time(machine):
    """The timeout counts from the start of each attempt."""
    job = running(machine, with_retry(2, timeout=60))
    machine.exited(job.task.id, Exit(1), 50.0)
    machine.advance(50.0)
    machine.started(job.task.id, 55.0)
    assert machine.advance(100.0) == []
    assert len(machine.advance(115.0)) == 1


def test_terminating_a_running_job_is_gentle_first(machine):
    """TerminateJob sends SIGTERM, and the job fails with its reason and the program's code."""
    job = running(machine, with_retry(5))
    machine.terminate(job.id, "enough", 5.0)
    assert machine.advance(5.0) == [Signal(job.task.id, signal.SIGTERM)]
    assert machine.advance(6.0) == []
    machine.exited(job.task.id, Exit(143), 7.0)
    assert (job.status, job.status_reason) == ("FAILED", "enough")
    assert job.attempts[0].exit_code == 143


def test_terminating_again_does_not_begin_again(machine):
    """A second TerminateJob changes neither reason nor deadline."""
    job = running(machine)
    machine.terminate(job.id, "first", 5.0)
    machine.advance(5.0)
    machine.terminate(job.id, "second", 20.0)
    assert machine.advance(20.0) == []
    assert machine.advance(35.0) == [Signal(job.task.id, signal.SIGKILL)]
    machine.exited(job.task.id, Exit(137), 35.0)
    assert job.status_reason == "first"


def test_terminating_a_job_that_starts_waits_until_it_runs(machine):
    """A job that is just starting gets SIGTERM once there is a process to get it."""
    job = machine.submit(SPECIFICATION, 0.0)
    machine.advance(0.0)
    machine.terminate(job.id, "enough", 0.0)
    assert machine.advance(0.0) == []
    machine.started(job.task.id, 1.0)
    assert machine.advance(1.0) == [Signal(job.task.id, signal.SIGTERM)]


@pytest.mark.parametrize("end", ["terminate", "cancel"])
def test_a_waiting_job_ends_at_once(machine, queues, end):
    """Both calls end a job that waits, with the reason and no attempt."""
    queues.known["queue"] = []
    job = machine.submit(SPECIFICATION, 0.0)
    machine.advance(0.0)
    getattr(machine, end)(job.id, "not needed", 1.0)
    assert (job.status, job.status_reason, job.attempts) == ("FAILED", "not needed", [])
    assert machine.advance(2.0) == []


def test_cancelling_does_not_touch_a_running_job(machine):
    """CancelJob leaves a job that has got to STARTING alone."""
    job = running(machine)
    machine.cancel(job.id, "no", 1.0)
    assert machine.advance(1.0) == []
    assert job.status == "RUNNING"


@pytest.mark.parametrize("end", ["terminate", "cancel"])
def test_a_finished_or_unknown_job_stays_as_it_is(machine, end):
    """Both calls are silent about jobs that are over, and ids that nobody knows."""
    job = running(machine)
    machine.exited(job.task.id, Exit(0), 1.0)
    getattr(machine, end)(job.id, "late", 2.0)
    getattr(machine, end)("nobody", "late", 2.0)
    assert (job.status, job.status_reason) == ("SUCCEEDED", EXITED)


def test_losing_the_hosts_fails_what_runs_without_an_exit_code(machine):
    """A job on a lost host fails for it; one that waits goes on waiting."""
    job = running(machine, with_retry(3))
    waiting = machine.submit(replace(SPECIFICATION, queue="none"), 0.0)
    machine.lose_hosts("Host EC2 (instance i-0) terminated.", 5.0)
    assert (job.status, job.attempts[0].exit_code) == ("FAILED", None)
    assert job.status_reason == "Host EC2 (instance i-0) terminated."
    assert not waiting.is_over


def test_late_news_of_a_task_is_ignored(machine):
    """An exit that arrives after the job is over changes nothing."""
    job = running(machine)
    task_id = job.task.id
    machine.lose_hosts("gone", 5.0)
    machine.exited(task_id, Exit(0), 6.0)
    machine.started(task_id, 6.0)
    assert job.status == "FAILED"


def test_each_status_has_its_time(machine):
    """A job remembers when it came into each status."""
    machine.timing.step = 10
    job = machine.submit(SPECIFICATION, 0.0)
    for now, status in [(5.0, "SUBMITTED"), (10.0, "PENDING"), (19.0, "PENDING")]:
        assert machine.advance(now) == []
        assert job.status == status
    assert machine.next_due(19.0) == 1
    (start,) = machine.advance(20.0)
    machine.started(start.task.id, 21.0)
    machine.exited(start.task.id, Exit(0), 30.0)
    assert dict(job.history) == {
        "SUBMITTED": 0,
        "PENDING": 10,
        "RUNNABLE": 20,
        "STARTING": 20,
        "RUNNING": 21,
        "SUCCEEDED": 30,
    }


def test_an_instance_takes_its_time_to_start(machine):
    """A job waits in RUNNABLE for its instance, and for a while reads that it can never run."""
    machine.timing.instance_start = 60
    job = machine.submit(SPECIFICATION, 0.0)
    assert machine.advance(0.0) == []
    assert (job.status, job.status_reason) == ("RUNNABLE", None)
    assert machine.next_due(0.0) == 30
    assert machine.advance(30.0) == []
    assert job.status_reason == TOO_BIG
    assert machine.next_due(30.0) == 30
    assert len(machine.advance(60.0)) == 1
    assert (job.status, job.status_reason) == ("STARTING", None)


def test_jobs_that_wait_for_an_instance_hold_their_room(machine):
    """Two small jobs share a starting instance, and no third gets more than there is."""
    machine.timing.instance_start = 60
    small = replace(SPECIFICATION, container=replace(CONTAINER, vcpus=1, memory=1000))
    jobs = [machine.submit(small, float(number)) for number in range(3)]
    machine.advance(3.0)
    assert jobs[0].instance == jobs[1].instance != jobs[2].instance


def test_an_idle_instance_is_used_again_at_once(machine):
    """A job that comes soon after another does not wait; a later one does."""
    machine.timing.instance_start = machine.timing.instance_idle = 60
    machine.submit(SPECIFICATION, 0.0)
    machine.advance(0.0)
    (start,) = machine.advance(60.0)
    machine.exited(start.task.id, Exit(0), 61.0)
    machine.advance(61.0)
    second = machine.submit(SPECIFICATION, 100.0)
    (start,) = machine.advance(100.0)
    machine.exited(second.task.id, Exit(0), 110.0)
    machine.advance(110.0)
    machine.submit(SPECIFICATION, 171.0)
    assert machine.advance(171.0) == []


def test_memory_decides_about_the_instance(machine):
    """A job with much memory gets a machine that has it, though its vCPUs are few."""
    job = machine.submit(replace(SPECIFICATION, container=replace(CONTAINER, memory=25_000)), 0.0)
    machine.advance(0.0)
    assert machine.fleet.instances[job.instance].type.name == "r6i.xlarge"


def test_without_capacity_a_job_waits_for_it(machine):
    """When EC2 has no instance, the reason names the type; when it has, the job starts."""
    machine.timing.instances = 0
    job = machine.submit(SPECIFICATION, 0.0)
    assert machine.advance(0.0) == []
    assert job.status_reason == NO_INSTANCES.format(name="c6i.xlarge")
    machine.timing.instances = 1
    assert len(machine.advance(1.0)) == 1


def test_a_queue_cancels_what_waits_too_long_for_its_reason(machine, queues):
    """``jobStateTimeLimitActions`` count from when the reason began, and for no other reason."""
    queues.limits = [TimeLimit("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", 600)]
    machine.timing.instances = 0
    job = machine.submit(SPECIFICATION, 0.0)
    machine.advance(0.0)
    assert machine.next_due(0.0) == 600
    machine.advance(599.0)
    assert job.status == "RUNNABLE"
    machine.advance(600.0)
    words = "Canceled by JobStateTimeLimit action due to reason: CAPACITY:"
    assert (job.status, job.status_reason) == ("FAILED", f"{words}INSUFFICIENT_INSTANCE_CAPACITY")


def test_a_lost_instance_ends_an_attempt_and_not_the_job(machine):
    """Where the retry strategy allows it, another attempt runs on another instance."""
    job = running(machine, with_retry(2, Rule("RETRY", on_status_reason="Host EC2*")))
    task_id, instance = job.task.id, job.instance
    assert machine.lose_host(instance, "Host EC2 (instance i-1) terminated.", 5.0) == [task_id]
    assert (job.status, job.attempts[0].exit_code) == ("RUNNABLE", None)
    machine.advance(6.0)
    assert job.task.instance != instance


def test_finished_jobs_are_forgotten():
    """Batch forgets a job some time after its end, and not before."""
    machine = Machine(Queues(), new_id=iter("ab").__next__, timing=Timing(forget=100))
    job = running(machine)
    machine.exited(job.task.id, Exit(0), 10.0)
    machine.advance(109.0)
    assert job.id in machine.jobs
    machine.advance(110.0)
    assert machine.jobs == {}


def test_jobs_survive_pickling(machine):
    """All of a machine's state is its jobs, and they pickle."""
    job = running(machine, with_retry(2, Rule("EXIT", on_exit_code="1")))
    assert pickle.loads(pickle.dumps(machine.jobs)) == {job.id: job}
