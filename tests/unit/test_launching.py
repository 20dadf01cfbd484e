"""From a recorded run to its job, and back to either."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes_aws import FakeBatch, client_error, job_detail
from memory_transport import MemoryTransport
from nextstrain_batch import runs
from nextstrain_batch.config import BucketUrl, Setting
from nextstrain_batch.errors import (
    AccessDeniedError,
    AwsError,
    JobError,
    MissingObjectError,
    StoreError,
    UnreachableError,
)
from nextstrain_batch.job import UnknownJobError
from nextstrain_batch.local_state import LocalState
from nextstrain_batch.pathogen import Pathogen
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.runtimes.aws_batch import launching
from nextstrain_batch.runtimes.aws_batch.context import Batch
from nextstrain_batch.store import keys
from nextstrain_batch.store.manifest import Manifest
from nextstrain_batch.submit import MayExistError
from nextstrain_batch.ui import Ui

DIRECTORY = Path("/there/zika")
RUN = runs.Run(
    id="zika-20261123T041500Z-1a2b3c4d",
    created=datetime(2026, 11, 23, 4, 15, tzinfo=UTC),
    pathogen="zika",
    working_directory="",
    program=("true",),
    queue="queue",
    job_definition="job",
    input_manifest_digest="0" * 64,
    has_environment=True,
    agent="0" * 64,
)
ENVIRONMENT = {"TOKEN": "s3cret"}
MADE = {"jobId": "job-1"}
NAMED = {"jobSummaryList": [{"jobName": RUN.id, "jobId": "job-1"}]}
THERE = {
    "submit_job": [client_error("InternalError", operation="SubmitJob", status=500)],
    "list_jobs": [client_error("AccessDeniedException", operation="ListJobs")],
}


class Place:
    """A batch, a bucket and a computer, of which each may fail."""

    def __init__(self, home, **answers):
        self.home = home
        self.aws = FakeBatch(answers={"submit_job": [MADE], **answers})
        self.bucket = MemoryTransport()
        self.err = io.StringIO()
        aws = SimpleNamespace(
            batch=self.aws, bucket=lambda _url: self.bucket, region="us-east-1", endpoint=None
        )
        settings = SimpleNamespace(
            required_bucket=BucketUrl.parse("s3://memory/prefix"),
            tag_jobs=Setting(value=False),
            sandbox=Setting(value=False),
            queue=Setting("queue"),
            job=Setting("job"),
            cpus=Setting(1),
            memory_mib=Setting(1),
        )
        self.batch = Batch(aws, settings, LocalState(home), Ui(io.StringIO(), self.err))

    def fill_disk(self):
        """Have the ledger fail."""
        (self.home / "runs").write_text("")

    def lose(self, verb, *, error=None):
        """Have requests for run records fail."""

        def before(asked, key):
            if asked == verb and key == keys.run_record(RUN.id):
                raise error or UnreachableError("No network.")

        self.bucket.before = before

    def launch(self):
        return launching.launch(self.batch, RUN, ENVIRONMENT, DIRECTORY)

    def has_environment(self):
        return keys.environment(RUN.id) in self.bucket.objects

    def describes(self, status="RUNNING"):
        variables = [{"name": "NEXTSTRAIN_BATCH_RUN", "value": f"{self.bucket.url}/runs/{RUN.id}"}]
        detail = job_detail(status, container={"environment": variables})
        self.aws.states = [(-1, detail)]


def raised(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        function(*arguments)
    return str(caught.value)


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


# --- attaching ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["job-1", RUN.id])
def test_another_computer_attaches_by_either_id(tmp_path, name):
    """The bucket knows the job of a run, so that this computer need not."""
    place = Place(tmp_path)
    runs.write_record(replace(RUN, job_id="job-1"), place.bucket)
    place.describes()
    launched = launching.attach(place.batch, name)
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
    assert launching.attach(place.batch, RUN.id).job_id == "job-1"
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
    assert words in raised(kind, launching.attach, place.batch, RUN.id)


@pytest.mark.parametrize("name", ["job-1", RUN.id])
def test_a_run_that_was_pruned_says_so(tmp_path, name):
    """A run that is not in the bucket any more names the likely causes, and the next step."""
    place = Place(tmp_path)
    place.describes("SUCCEEDED")
    text = raised(MissingObjectError, launching.attach, place.batch, name)
    for words in (RUN.id, "nextstrain storage prune", "expired", "build again"):
        assert words in text


def test_a_job_that_is_over_is_known_to_be(tmp_path):
    """Whether a job had ended is known as soon as it is attached to."""
    place = Place(tmp_path)
    runs.write_record(replace(RUN, job_id="job-1"), place.bucket)
    place.describes("FAILED")
    assert launching.attach(place.batch, "job-1").is_over


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
        return launching.attach(place.batch, RUN.id, clock=lambda: now)

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
    launched = launching.attach(place.batch, RUN.id, clock=lambda: soon)
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
    text = raised(UnknownJobError, lambda: launching.attach(place.batch, "job-1", lambda: now))
    assert "AWS_REGION=us-west-2" in text.partition("\n")[0]
