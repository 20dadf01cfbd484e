"""A sandbox that tests break, and clients that do not try again, so that faults are seen."""

import os
import time

import pytest
from botocore.config import Config
from botocore.session import Session

from nextstrain_batch.sandbox import manager

QUEUE, DEFINITION, GROUP = "nextstrain-job-queue", "nextstrain-job", "/aws/batch/job"


class Sandbox:
    """A running sandbox, and what tests do with it."""

    def __init__(self, home):
        self.endpoint = manager.ensure(home, {"PATH": os.environ["PATH"], "HOME": str(home)})
        self.bucket = self.endpoint.bucket
        self.clients = {}

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = self._make(service)
        return self.clients[service]

    def _make(self, service):
        return Session().create_client(
            service,
            endpoint_url=self.endpoint.url,
            region_name=self.endpoint.region,
            aws_access_key_id=self.endpoint.access_key,
            aws_secret_access_key=self.endpoint.secret_key,
            config=Config(
                proxies={},
                s3={"addressing_style": "path"},
                retries={"mode": "standard", "total_max_attempts": 1},
            ),
        )

    def submit(self, script, name="test", **request):
        answer = self.client("batch").submit_job(
            jobName=name,
            jobQueue=QUEUE,
            jobDefinition=DEFINITION,
            containerOverrides={"command": ["sh", "-c", script]},
            **request,
        )
        return answer["jobId"]

    def job(self, job_id):
        (job,) = self.client("batch").describe_jobs(jobs=[job_id])["jobs"]
        return job

    def until(self, job_id, *statuses):
        batch = self.client("batch")
        limit = time.monotonic() + 20
        while time.monotonic() < limit:
            (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
            if job["status"] in statuses:
                return job
            time.sleep(0.02)
        pytest.fail(f"the job is still {job['status']}")

    def run(self, script, **request):
        return self.until(self.submit(script, **request), "SUCCEEDED", "FAILED")

    def lines(self, job):
        stream = job["container"]["logStreamName"]
        answer = self.client("logs").get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]
