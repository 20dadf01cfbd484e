"""A job as AWS describes it."""

from datetime import UTC, datetime

import pytest

from fakes_aws import FakeBatch, attempt_detail, client_error
from fakes_aws import job_detail as detail
from nextstrain_batch.errors import AccessDeniedError
from nextstrain_batch.job import Attempt, UnknownJobError, cancel, describe, describe_all


def described(*arguments, **changes):
    return describe(FakeBatch(states=[(-1, detail(*arguments, **changes))]), "job-1")


def test_the_fields_of_a_job():
    """Everything that is asked of a job is in it, with instants in UTC."""
    job = described(
        "FAILED",
        statusReason="Essential container in task exited",
        container={"exitCode": 2, "reason": "why", "logStreamName": "stream"},
        createdAt=1_763_870_400_500,
        timeout={"attemptDurationSeconds": 14400},
        attempts=[attempt_detail("stream", 2, 1_763_870_401_000, statusReason="Essential")],
    )
    assert (job.id, job.name, job.status) == ("job-1", "zika-1", "FAILED")
    assert (job.reason, job.container_reason) == ("Essential container in task exited", "why")
    assert (job.exit_code, job.log_stream, job.log_group) == (2, "stream", "/aws/batch/job")
    assert (job.cpus, job.memory_mib, job.timeout) == (4, 7200, 14400)
    assert job.run_url == "s3://jobs/runs/zika-1"
    assert job.created == datetime(2025, 11, 23, 4, 0, 0, 500_000, UTC)
    stopped = datetime(2025, 11, 23, 4, 0, 1, tzinfo=UTC)
    assert job.attempts == (Attempt(1, 2, "Essential", None, "stream", None, stopped),)
    assert job.is_over
    assert not job.succeeded


def test_a_job_of_which_aws_says_little():
    """A job that has just been submitted lacks nearly everything, and is no error."""
    job = describe(FakeBatch(states=[(-1, {"jobId": "job-1", "status": "SUBMITTED"})]), "job-1")
    assert not job.is_over
    assert job.run_url is None
    assert job.attempt_number == 1


@pytest.mark.parametrize(
    ("status", "attempts", "stream", "number"),
    [
        ("RUNNABLE", [], None, 1),
        ("RUNNING", [], "one", 1),
        ("RUNNING", [attempt_detail("one")], "one", 1),
        ("RUNNABLE", [attempt_detail("one")], "one", 2),
        ("RUNNING", [attempt_detail("one")], "two", 2),
        ("FAILED", [attempt_detail("one"), attempt_detail("two")], "two", 2),
        ("FAILED", [], None, 1),
    ],
)
def test_the_attempts_number(status, attempts, stream, number):
    """The attempt's number is right whether AWS lists the running attempt or not."""
    container = {"logStreamName": stream} if stream else {}
    assert described(status, attempts=attempts, container=container).attempt_number == number


def test_the_exit_code_of_the_last_attempt_that_has_one():
    """A job whose last attempt lost its machine has the exit code of the one before."""
    job = described("FAILED", attempts=[attempt_detail("one", 7), {"container": {}}])
    assert job.exit_code == 7


def test_an_unknown_job_names_the_region():
    """The error for an unknown job says where it was looked for, and why it may be gone."""
    with pytest.raises(UnknownJobError, match="job-2 in the region us-east-1") as raised:
        describe(FakeBatch(states=[(-1, detail())]), "job-2")
    assert "forgets" in str(raised.value)


def test_an_unknown_job_says_what_else_leads_to_its_run():
    """Where Batch has forgotten a job, its run's id does as well, and a command finds that."""
    with pytest.raises(UnknownJobError) as raised:
        describe(FakeBatch(), "job-2")
    step = str(raised.value).split("\n\n")[-1]
    for words in ("30 days", "--attach takes the run's id as well", "`nextstrain storage usage`"):
        assert words in step


def test_many_jobs_are_asked_for_a_hundred_at_a_time():
    """DescribeJobs takes a hundred ids at most; unknown jobs are left out."""
    batch = FakeBatch(states=[(-1, detail())])
    found = describe_all(batch, [f"job-{number}" for number in range(250)])
    assert list(found) == ["job-1"]
    assert [len(request["jobs"]) for request in batch.requests("describe_jobs")] == [100, 100, 50]


def test_cancelling_terminates():
    """A cancel is TerminateJob, which works in every state, with the reason."""
    batch = FakeBatch(answers={"terminate_job": [{}]})
    cancel(batch, "job-1", "Cancelled by ada")
    assert batch.requests("terminate_job") == [{"jobId": "job-1", "reason": "Cancelled by ada"}]


def test_a_denied_cancel_names_the_policy():
    """Whoever may not cancel a job is told which policy lacks."""
    denial = client_error("AccessDeniedException", operation="TerminateJob")
    with pytest.raises(AccessDeniedError, match="NextstrainJobsAccessToBatch"):
        cancel(FakeBatch(answers={"terminate_job": [denial]}), "job-1", "x")
