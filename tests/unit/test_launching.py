"""From a recorded run to its job, and back to either."""

from types import SimpleNamespace

import pytest

from batch_place import ENVIRONMENT, RUN, THERE, Place, raised
from fakes_aws import client_error
from nextstrain_batch import runs
from nextstrain_batch.config import Setting
from nextstrain_batch.errors import (
    AwsError,
    StoreError,
)
from nextstrain_batch.pathogen import Pathogen
from nextstrain_batch.runtimes.aws_batch import launching
from nextstrain_batch.store import keys
from nextstrain_batch.store.manifest import Manifest
from nextstrain_batch.submit import MayExistError


def test_a_new_job_is_known_here_and_in_the_bucket(tmp_path):
    """The job's id is in the record and in the ledger, and its environment in the bucket."""
    place = Place(tmp_path)
    assert place.launch().job_id == "job-1"
    assert runs.read_record(RUN.id, place.bucket).job_id == "job-1"
    assert place.batch.state.ledger.read(RUN.id).run.job_id == "job-1"
    assert place.has_environment()


def test_a_job_is_told_its_run_and_its_region(tmp_path):
    """AWS tells a container on an instance neither."""
    place = Place(tmp_path)
    place.launch()
    (request,) = place.aws.requests("submit_job")
    told = {each["name"]: each["value"] for each in request["containerOverrides"]["environment"]}
    assert told == {
        "NEXTSTRAIN_BATCH_RUN": f"s3://memory/prefix/runs/{RUN.id}",
        "NEXTSTRAIN_BATCH_REGION": "us-east-1",
    }


def test_a_full_disk_loses_no_job(tmp_path):
    """Where this computer cannot note the job's id, the bucket has it, and that is no error."""
    place = Place(tmp_path)
    place.fill_disk()
    assert place.launch().job_id == "job-1"
    assert runs.read_record(RUN.id, place.bucket).job_id == "job-1"
    assert "warning: Cannot note the run" in place.err.getvalue()


def test_a_record_that_cannot_be_written_loses_no_job(tmp_path):
    """Where the bucket cannot be told the job's id, the user and this computer are; it goes on."""
    place = Place(tmp_path)
    place.lose("put")
    assert place.launch().job_id == "job-1"
    assert place.batch.state.ledger.by_job("job-1") is not None
    assert place.err.getvalue() == (
        "warning: No network. The job does not need that; its id is job-1.\n"
    )


def test_an_interrupt_after_the_submission_says_how_to_take_the_job_up(tmp_path):
    """Control-C while the bucket is told the job's id: the user and this computer know it."""
    place = Place(tmp_path)
    place.lose("put", error=KeyboardInterrupt())
    text = raised(KeyboardInterrupt, place.launch)
    assert "nextstrain build --aws-batch --attach job-1 /there/zika" in text
    assert place.batch.state.ledger.by_job("job-1") is not None


def test_an_interrupted_submission_says_how_to_find_out(tmp_path):
    """After Control-C before AWS has answered, the run's own id leads to its job."""
    place = Place(tmp_path)

    def submit_job(**_):
        raise KeyboardInterrupt

    place.aws.submit_job = submit_job
    text = raised(KeyboardInterrupt, place.launch)
    assert "may exist" in text
    assert f"--attach {RUN.id} /there/zika" in text
    assert place.has_environment()


def test_an_interrupt_before_the_submission_leaves_no_doubt(tmp_path):
    """While the values of --env are written there is no job yet."""
    place = Place(tmp_path)

    def before(verb, key):
        if verb == "put" and key == keys.environment(RUN.id):
            raise KeyboardInterrupt

    place.bucket.before = before
    text = raised(KeyboardInterrupt, place.launch)
    assert "No job was submitted" in text
    assert "may exist" not in text


def test_a_job_that_may_exist_keeps_its_environment(tmp_path):
    """When it cannot be told whether the job exists, its environment stays."""
    place = Place(tmp_path, **THERE)
    assert f"--attach {RUN.id} /there/zika" in raised(MayExistError, place.launch)
    assert place.has_environment()


@pytest.mark.parametrize("code", ["AccessDeniedException", "TooManyRequestsException"])
def test_a_job_that_does_not_exist_leaves_no_environment(tmp_path, code):
    """When the job certainly does not exist, nobody needs its environment any more."""
    place = Place(tmp_path, submit_job=[client_error(code, operation="SubmitJob")])
    raised(AwsError, place.launch)
    assert not place.has_environment()


def record(place):
    options = SimpleNamespace(environment=ENVIRONMENT, image=Setting("i"), exclude_from_upload=())
    uploaded = SimpleNamespace(manifest=Manifest((), {}, {}))
    pathogen = Pathogen(place.home, place.home)
    return launching.record(place.batch, pathogen, ("true",), uploaded, options)


def test_a_run_that_cannot_be_recorded_leaves_no_environment(tmp_path):
    """Values given with --env are in the bucket only when a job is about to be made."""
    place = Place(tmp_path)

    def before(verb, key):
        if verb == "put" and key.endswith("/run.json"):
            raise StoreError("Denied.")

    place.bucket.before = before
    with pytest.raises(StoreError):
        record(place)
    assert not [key for key in place.bucket.objects if key.endswith("/env")]


def test_a_full_disk_keeps_no_build_from_being_submitted(tmp_path):
    """What this computer notes of a run is a convenience, and all else is in the bucket by then."""
    place = Place(tmp_path)
    place.fill_disk()
    run = record(place)
    assert runs.read_record(run.id, place.bucket) == run
    assert "warning: Cannot note the run" in place.err.getvalue()
