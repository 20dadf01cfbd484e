"""From the id of a job, or of its run, back to both."""

from dataclasses import replace
from datetime import timedelta

import pytest

from batch_place import DIRECTORY, NAMED, RUN, THERE, Place, raised
from fakes_aws import client_error
from nextstrain_batch import runs
from nextstrain_batch.errors import (
    AccessDeniedError,
    JobError,
    MissingObjectError,
)
from nextstrain_batch.job import UnknownJobError
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.runtimes.aws_batch import attaching
from nextstrain_batch.store import keys


@pytest.mark.parametrize("name", ["job-1", RUN.id])
def test_another_computer_attaches_by_either_id(tmp_path, name):
    """The bucket knows the job of a run, so that this computer need not."""
    place = Place(tmp_path)
    runs.write_record(replace(RUN, job_id="job-1"), place.bucket)
    place.describes()
    launched = attaching.attach(place.batch, name)
    assert (launched.job_id, launched.run.id) == ("job-1", RUN.id)
    assert not launched.is_over


@pytest.mark.parametrize("known_here", [True, False])
def test_a_job_whose_id_was_lost_is_found_by_its_name(tmp_path, known_here):
    """A run whose submission was interrupted finds its job, and notes it in the bucket."""
    place = Place(tmp_path, **THERE)
    runs.write_record(RUN, place.bucket)
    if known_here:
        entry = runs.LedgerEntry(RUN, place.bucket.url, "us-east-1", str(DIRECTORY))
        place.batch.state.ledger.write(entry)
    place.aws.answers["list_jobs"] = [NAMED]
    place.describes()
    assert attaching.attach(place.batch, RUN.id).job_id == "job-1"
    assert runs.read_record(RUN.id, place.bucket).job_id == "job-1"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ({"jobSummaryList": []}, JobError, "Build again"),
        (client_error("AccessDeniedException", operation="ListJobs"), AccessDeniedError, RUN.id),
    ],
)
def test_a_job_that_is_not_found_says_what_to_do(tmp_path, answer, kind, words):
    """No job, and no permission to look for one, are two answers."""
    place = Place(tmp_path, list_jobs=[answer])
    runs.write_record(RUN, place.bucket)
    assert words in raised(kind, attaching.attach, place.batch, RUN.id)


@pytest.mark.parametrize("name", ["job-1", RUN.id])
def test_a_run_that_was_pruned_says_so(tmp_path, name):
    """A run that is not in the bucket any more names the likely causes, and the next step."""
    place = Place(tmp_path)
    place.describes("SUCCEEDED")
    text = raised(MissingObjectError, attaching.attach, place.batch, name)
    for words in (RUN.id, "nextstrain storage prune", "expired", "build again"):
        assert words in text


def test_a_job_that_is_over_is_known_to_be(tmp_path):
    """Whether a job had ended is known as soon as it is attached to."""
    place = Place(tmp_path)
    runs.write_record(replace(RUN, job_id="job-1"), place.bucket)
    place.describes("FAILED")
    assert attaching.attach(place.batch, "job-1").is_over


def result(exit_code):
    return AttemptResult(1, exit_code, RUN.created, RUN.created, 0)


@pytest.mark.parametrize(
    ("exit_code", "days", "is_forgotten"),
    [(0, 0.1, True), (1, 1.1, True), (1, 0.1, False), (None, 7.1, True), (None, 1.1, False)],
)
def test_a_job_that_is_not_known_is_forgotten_once_its_run_is_over(
    tmp_path, exit_code, days, is_forgotten
):
    """Elsewhere, where it is known, it may wait or be tried again, and then needs its values."""
    place = Place(tmp_path)
    runs.write_record(replace(RUN, job_id="job-1"), place.bucket)
    place.bucket.now = RUN.created
    if exit_code is not None:
        place.bucket.put(keys.result(RUN.id, 1), result(exit_code).to_json())
    place.aws.states = []

    def attach():
        now = RUN.created + timedelta(days=days)
        return attaching.attach(place.batch, RUN.id, clock=lambda: now)

    if is_forgotten:
        assert attach().is_forgotten
        assert attach().is_over
    else:
        assert "Likely causes" in raised(UnknownJobError, attach)


def test_a_job_just_submitted_need_not_be_known_yet(tmp_path):
    """Not all of AWS knows it at once; the watching waits for that."""
    place = Place(tmp_path)
    runs.write_record(replace(RUN, job_id="job-1"), place.bucket)
    place.aws.states = []
    soon = RUN.created + timedelta(seconds=20)
    launched = attaching.attach(place.batch, RUN.id, clock=lambda: soon)
    assert (launched.is_new, launched.is_over, launched.is_forgotten) == (True, False, False)


@pytest.mark.parametrize("hours", [0, 30])
def test_a_job_of_another_region_is_said_to_be(tmp_path, hours):
    """Whoever attaches in a shell without the region is told which one it was."""
    place = Place(tmp_path)
    run = replace(RUN, job_id="job-1")
    runs.write_record(run, place.bucket)
    place.batch.state.ledger.write(
        runs.LedgerEntry(run, place.bucket.url, "us-west-2", str(DIRECTORY))
    )
    place.aws.states = []
    now = RUN.created + timedelta(hours=hours)
    text = raised(UnknownJobError, lambda: attaching.attach(place.batch, "job-1", lambda: now))
    assert "AWS_REGION=us-west-2" in text.partition("\n")[0]
