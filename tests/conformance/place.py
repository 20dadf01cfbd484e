"""Where cases run: an account with a queue of its own, on the sandbox or on plain moto."""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from nextstrain_batch.sandbox import manager, memory

GROUP = "/aws/batch/job"
PROMPT = 15.0
"""Seconds in which a job that has nothing to do is over."""
PROMPT_IN_PROCESS = 5.0
"""Likewise on plain moto, where no job ever runs without a container engine."""


class CannotError(Exception):
    """What a case needs is not to be had here."""


class Place:
    """An account's clients, and what cases do with them. *advance* moves its clock on.

    Clients try again when they are throttled, unless they are asked for with one attempt.

    *plain* says that there is no server: clients are answered in this process.
    """

    def __init__(self, client, advance, *, plain=False):
        self.plain = plain
        self.client = client
        self.advance = advance
        self.batch, self.logs, self.s3 = (client(each) for each in ("batch", "logs", "s3"))
        self.bucket = f"conformance-{secrets.token_hex(6)}"
        self._made = []
        self._set_up()

    def _set_up(self):
        name = f"conformance-{secrets.token_hex(4)}"
        self.queue = self.definition = self.environment = name
        subnets = self.client("ec2").describe_subnets()["Subnets"]
        groups = self.client("ec2").describe_security_groups()["SecurityGroups"]
        role = self._role(name)
        self.batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            state="ENABLED",
            serviceRole=role,
            computeResources={
                "type": "EC2",
                "minvCpus": 0,
                "maxvCpus": 16,
                "instanceTypes": ["optimal"],
                "subnets": [each["SubnetId"] for each in subnets][:1],
                "securityGroupIds": [each["GroupId"] for each in groups][:1],
                "instanceRole": role.replace(":role/", ":instance-profile/"),
            },
        )
        order = [{"order": 1, "computeEnvironment": name}]
        self.batch.create_job_queue(
            jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order
        )
        self.register(name)
        self.s3.create_bucket(Bucket=self.bucket)
        groups = self.logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
        if not groups:
            self.logs.create_log_group(logGroupName=GROUP)

    def _role(self, name):
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "*"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return role["Arn"]

    def register(self, name, **properties):
        """Register a definition, or another revision of it; return the answer."""
        sizes = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1000"}]
        container = {"image": "nextstrain/base", "command": ["true"], "resourceRequirements": sizes}
        return self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container | properties
        )

    def submit(self, *command, batch=None, **request):
        """Submit a job and return its id."""
        overrides = {"command": list(command), **request.pop("overrides", {})}
        request = {"jobName": "case", "jobDefinition": self.definition} | request
        return (batch or self.batch).submit_job(
            jobQueue=self.queue, containerOverrides=overrides, **request
        )["jobId"]

    def job(self, job_id):
        (found,) = self.batch.describe_jobs(jobs=[job_id])["jobs"]
        return found

    def until(self, what):
        """Return the first true value of *what*; jobs are real processes."""
        limit = time.monotonic() + (PROMPT_IN_PROCESS if self.plain else PROMPT)
        while time.monotonic() < limit:
            if found := what():
                return found
            time.sleep(0.05)
        raise AssertionError("it did not happen in time")

    def status(self, job_id, *statuses):
        """Return the job once it has one of some statuses."""

        def reached():
            job = self.job(job_id)
            if self.plain and job["status"] == "FAILED":
                raise CannotError("jobs need a container engine, which is not here")
            return job["status"] in statuses and job

        return self.until(reached)

    def run(self, *command, **request):
        """Run a job to its end and return its description."""
        return self.status(self.submit(*command, **request), "SUCCEEDED", "FAILED")

    def must_limit_memory(self):
        """Raise ``CannotError`` where jobs have no limit, as on the sandbox of an ordinary user."""
        if not self.plain and memory.find() is None:
            raise CannotError("no control groups for memory here")

    def after_grace(self, job_id):
        """Let the half minute pass that an ended job has, and return the job once it is over."""

        def over():
            # More than once: it begins when the sandbox takes notice.
            self.advance(31)
            job = self.job(job_id)
            return job["status"] in {"FAILED", "SUCCEEDED"} and job

        return self.until(over)

    def end(self, job_id):
        """Get rid of a job that a case leaves running or waiting."""
        self.batch.terminate_job(jobId=job_id, reason="the case is over")
        self.after_grace(job_id)

    def stream(self, name="case"):
        """Make a log stream with a name of its own, and return the name."""
        found = f"{name}/default/{secrets.token_hex(16)}"
        self.logs.create_log_stream(logGroupName=GROUP, logStreamName=found)
        return found

    def put(self, stream, *events):
        """Put events, each a time in seconds from now and a message."""
        now = time.time()
        self.logs.put_log_events(
            logGroupName=GROUP,
            logStreamName=stream,
            logEvents=[{"timestamp": int((now + at) * 1000), "message": m} for at, m in events],
        )

    def get(self, stream, **request):
        return self.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, **request)


def code_of(error):
    return error.response["Error"]["Code"]


@contextmanager
def refused(*codes, says=""):
    """Expect AWS's error, with one of some codes."""
    found = None
    try:
        yield
    except ClientError as error:
        found = error
    assert found is not None, "it was not refused"
    assert code_of(found) in codes, f"the code is {code_of(found)}"
    assert says.lower() in str(found).lower(), f"the message is {found}"


def burst(call, calls=60):
    """Make many calls, as fast as four threads can; return the errors' codes."""

    def code(_):
        try:
            call()
        except ClientError as error:
            return code_of(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        return set(pool.map(code, range(calls)))


def _clients(endpoint):
    made = {}
    address = {} if endpoint is None else {"endpoint_url": endpoint.url}
    keys = ("key", "secret") if endpoint is None else (endpoint.access_key, endpoint.secret_key)

    def client(service, attempts=5):
        key = service, attempts
        if key not in made:
            made[key] = botocore.session.Session().create_client(
                service,
                region_name="us-east-1",
                aws_access_key_id=keys[0],
                aws_secret_access_key=keys[1],
                config=Config(
                    proxies={},
                    s3={"addressing_style": "path"},
                    signature_version="s3v4" if service == "s3" else None,
                    retries={"mode": "standard", "total_max_attempts": attempts},
                ),
                **address,
            )
        return made[key]

    return client


@contextmanager
def sandbox():
    """Yield a place on a sandbox of its own, reached as its administrator."""
    with TemporaryDirectory() as directory:
        home = Path(directory)
        endpoint = manager.administrator(home)
        try:
            yield Place(_clients(endpoint), lambda seconds: manager.advance_clock(home, seconds))
        finally:
            manager.stop(home)


@contextmanager
def moto():
    """Yield a place on moto as it comes."""
    from moto import mock_aws

    def advance(seconds):
        raise CannotError(f"there is no clock to move on by {seconds} s")

    with mock_aws():
        yield Place(_clients(None), advance, plain=True)
