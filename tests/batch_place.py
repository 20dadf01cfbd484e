"""AWS Batch, a bucket and a computer, of which each may fail, for tests of the steps of a build."""

import io
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes_aws import FakeBatch, client_error, job_detail
from memory_transport import MemoryTransport
from nextstrain_batch import runs
from nextstrain_batch.config import BucketUrl, Setting
from nextstrain_batch.errors import (
    UnreachableError,
)
from nextstrain_batch.local_state import LocalState
from nextstrain_batch.runtimes.aws_batch import launching
from nextstrain_batch.runtimes.aws_batch.context import Batch
from nextstrain_batch.store import keys
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
