"""Why a job failed."""

import pytest

from fakes_aws import FakeBatch, attempt_detail
from fakes_aws import job_detail as detail
from nextstrain_batch.failure import failure
from nextstrain_batch.job import describe


def why(status="FAILED", reason=None, container_reason=None, exit_code=None, **changes):
    container = {"reason": container_reason, "exitCode": exit_code}
    container = {name: value for name, value in container.items() if value is not None}
    answer = detail(status, statusReason=reason, container=container, **changes)
    return failure(describe(FakeBatch(states=[(-1, answer)]), "job-1"))


@pytest.mark.parametrize(
    ("reason", "container_reason", "exit_code", "word"),
    [
        ("Essential container in task exited", "OutOfMemoryError: Container killed", 137, "memory"),
        ("Job attempt duration exceeded timeout", None, 137, "timeout"),
        ("Host EC2 (instance i-0) terminated.", None, None, "spot"),
        ("Task failed to start", "CannotPullContainerError: x", None, "pulled"),
        ("Container Overrides length must be at most 8192", None, None, "longer"),
        ("Task failed to start", "CannotCreateContainerError: x", None, "disk"),
        ("Task failed to start", "CannotStartContainerError: x", None, "started"),
        ("ECS was unable to assume the role 'x'", None, None, "NextstrainJobsRole"),
        ("Essential container in task exited", None, 137, "memory"),
        ("Something new", None, None, "Something new"),
        (None, None, None, "none"),
    ],
)
def test_each_failure_in_plain_words(reason, container_reason, exit_code, word):
    """A failure that Batch gives a reason for is said in plain words, with the next step."""
    assert word in why("FAILED", reason, container_reason, exit_code)


def test_a_lost_machine_is_found_in_the_attempt():
    """The reason counts wherever Batch put it: the last attempt's is looked at, too."""
    attempt = attempt_detail(statusReason="Host EC2 (instance i-0) terminated.")
    assert "spot" in why(attempts=[attempt])


def test_a_cancel_is_one():
    """A job that someone cancelled was cancelled, and not killed for want of memory."""
    text = why("FAILED", "Cancelled by ada", None, 137, isTerminated=True)
    assert text == "The job was ended on request: Cancelled by ada."


def test_a_program_that_failed_speaks_for_itself():
    """Where the program merely exited with an error, there is nothing to add to its log."""
    assert why("FAILED", "Essential container in task exited", None, 1) is None


def test_success_is_no_failure():
    """A job that ended well did not fail."""
    assert why("SUCCEEDED", None, None, 0) is None
