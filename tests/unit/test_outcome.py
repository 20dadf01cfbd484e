"""How a run ended."""

from datetime import timedelta

import pytest

from fakes_aws import FakeBatch, job_detail
from memory_transport import BEGIN, MemoryTransport
from nextstrain_batch.job import describe
from nextstrain_batch.outcome import Attempts, outcome_of
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.store import codec, keys
from nextstrain_batch.store.manifest import Entry, Manifest

RUN = "zika-20261123T041500Z-1a2b3c4d"
NONE = Attempts({}, ())


def ended_job(status, exit_code=None, **changes):
    container = {} if exit_code is None else {"exitCode": exit_code}
    answer = job_detail(status, container=container, **changes)
    return describe(FakeBatch(states=[(-1, answer)]), "job-1")


def store(bucket, number, *, exit_code=0, name=None, with_result=True, error=None, not_stored=None):
    """Leave in the bucket what an attempt leaves; *name* is its one file, if it came so far."""
    digest = None
    if name is not None:
        manifest = Manifest((Entry(name, "file", 0o644, 0),), {}, {})
        digest = codec.publish(manifest, bucket, keys.output_manifest(RUN, number))
    if with_result:
        finished = BEGIN + timedelta(minutes=3)
        result = AttemptResult(number, exit_code, BEGIN, finished, 5, digest, error, not_stored)
        bucket.put(keys.result(RUN, number), result.to_json())


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [("SUCCEEDED", 0, 0), ("FAILED", 7, 7), ("FAILED", None, 1), ("FAILED", 0, 1)],
)
def test_exit_code(status, code, expected):
    """The exit code is the build's own; a failed job without one, or with 0, gives 1."""
    assert outcome_of(ended_job(status, code), NONE).exit_code == expected


def test_a_failure_says_exit_code_and_reason():
    """The summary of a failed job holds its exit code and AWS's reason."""
    outcome = outcome_of(ended_job("FAILED", 7, statusReason="Essential container exited"), NONE)
    assert "exit code 7" in outcome.summary
    assert "Essential container exited" in outcome.summary


def test_a_forgotten_job_ends_as_its_last_attempt_did():
    """When Batch has forgotten the job, the last attempt's result tells the exit code."""
    bucket = MemoryTransport()
    store(bucket, 1, exit_code=137, name="a")
    store(bucket, 2, exit_code=3, name="b")
    outcome = outcome_of(None, Attempts.of(RUN, bucket))
    assert outcome.exit_code == 3
    assert "after 3 min" in outcome.summary


def test_a_forgotten_job_without_a_result_cannot_be_told():
    """Without a result nobody claims to know how a forgotten job ended."""
    outcome = outcome_of(None, Attempts.of(RUN, MemoryTransport()))
    assert outcome.exit_code == 1
    assert "cannot tell" in outcome.summary


def test_an_attempt_that_was_killed_counts_by_its_log():
    """It has no result, but what it said until then can be shown."""
    bucket = MemoryTransport()
    bucket.put(keys.log(RUN, 1), b"until here\n")
    store(bucket, 2, name="b")
    attempts = Attempts.of(RUN, bucket)
    assert (attempts.numbers, tuple(attempts.results), attempts.manifests) == ((1, 2), (2,), (2,))


@pytest.mark.parametrize("name", ["", ".DS_Store", "0/log", "x/log", "1/a/b", "²/log"])
def test_what_somebody_else_put_among_the_attempts_is_passed_over(name):
    """A console makes an object for a directory, and other programs leave theirs."""
    bucket = MemoryTransport()
    bucket.put(f"{keys.attempts(RUN)}{name}", b"")
    assert Attempts.of(RUN, bucket) == NONE


def test_what_the_job_side_says_is_passed_on():
    """An error of the job side, apart from the program, reaches the user."""
    bucket = MemoryTransport()
    store(bucket, 1, exit_code=74, error="The results could not be stored.")
    outcome = outcome_of(ended_job("FAILED", 74), Attempts.of(RUN, bucket))
    assert outcome.problem == "The results could not be stored."


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", None])
def test_what_the_results_lack_is_known_however_the_job_ended(status):
    """It is that of the attempt whose results count, whatever the job's end is put down to."""
    bucket = MemoryTransport()
    store(bucket, 1, name="a", not_stored="Not 'b'.")
    store(bucket, 2, exit_code=143, error="AWS Batch asked the job to end.")
    job = ended_job(status, statusReason="OutOfMemory") if status else None
    assert outcome_of(job, Attempts.of(RUN, bucket)).attempts.not_stored == "Not 'b'."
    store(bucket, 3, name="c")
    assert Attempts.of(RUN, bucket).not_stored is None
    assert NONE.not_stored is None


def test_the_last_stored_output_counts():
    """Results come from the last attempt that stored some, be it an earlier one."""
    bucket = MemoryTransport()
    store(bucket, 2, name="second")
    store(bucket, 10, name="tenth", with_result=False)
    store(bucket, 11)
    (entry,) = Attempts.of(RUN, bucket).last_output(RUN, bucket).entries
    assert entry.path == "tenth"
    assert NONE.last_output(RUN, bucket) is None
