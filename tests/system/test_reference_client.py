"""Other people's programs on the sandbox, as they are: the reference client, and the AWS CLI.

Each is installed from its package into an environment of its own, which takes a minute or two:
`make peers` runs these tests, and plain pytest leaves them out.
"""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from measure import peer
from nextstrain_batch.sandbox import manager

pytestmark = pytest.mark.peers


class Peer:
    """A program with the sandbox's keys and address in its environment, and nothing of ours."""

    def __init__(self, program, home):
        self.program = program
        endpoint = manager.running(home / ".nextstrain")
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "NEXTSTRAIN_HOME": str(home / ".reference"),
            "NEXTSTRAIN_CLI_LATEST_VERSION": "1.0",  # it would ask nextstrain.org
            "NEXTSTRAIN_AWS_BATCH_S3_BUCKET": endpoint.bucket,
            "AWS_ENDPOINT_URL": endpoint.url,
            "AWS_ACCESS_KEY_ID": endpoint.access_key,
            "AWS_SECRET_ACCESS_KEY": endpoint.secret_key,
            "AWS_REGION": endpoint.region,
            "AWS_DEFAULT_REGION": endpoint.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def __call__(self, *arguments):
        return subprocess.run(
            [self.program, *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=180,
            check=False,
        )

    def json(self, *arguments):
        """Run it, and return what it prints as JSON."""
        done = self(*arguments, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}


@pytest.fixture(scope="session")
def programs():
    """Return the programs, installed where they are not yet."""
    return {
        name: peer(package, name)
        for name, package in (("nextstrain", "nextstrain-cli"), ("aws", "awscli"))
    }


@pytest.fixture
def reference(programs, nextstrain):
    return Peer(programs["nextstrain"], Path(nextstrain.environment["HOME"]))


@pytest.fixture
def aws(programs, nextstrain):
    return Peer(programs["aws"], Path(nextstrain.environment["HOME"]))


def test_the_reference_client_finds_its_account(reference):
    """Its own checks of the job definition, the queue and the bucket pass."""
    done = reference("check-setup", "aws-batch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Supported Nextstrain runtimes: aws-batch" in done.stdout.replace("\n", " ")


def test_the_reference_client_builds(reference, pathogen):
    """The stock protocol: a ZIP up, the image's entry point, a ZIP down, log lines in between."""
    done = reference("build", "--aws-batch", pathogen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (pathogen / "results/count.txt").read_text() == "n=3\n"
    assert re.search(r"^\[batch\].* sorting$", done.stdout, re.MULTILINE)


def test_the_reference_client_sends_an_environment(reference, pathogen):
    """Its archive of variables reaches the program, and is removed by who reads it."""
    command = ("--exec", "sh", pathogen, "-c", 'echo "the value is $TOKEN"; exit 7')
    done = reference("build", "--aws-batch", "--env", "TOKEN=a b", *command)
    assert done.returncode == 7
    assert "the value is a b" in done.stdout


def test_the_reference_client_detaches_and_attaches(reference, pathogen):
    """The job goes on alone, and its results come with a later command."""
    detached = reference("build", "--aws-batch", "--detach", pathogen)
    assert detached.returncode == 0, detached.stderr
    job = re.search(r"--attach (\S+)", detached.stdout)[1]
    attached = reference("build", "--aws-batch", "--attach", job, pathogen)
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert (pathogen / "results/count.txt").exists()


def test_the_reference_client_cancels(reference, pathogen, aws):
    """A detached job that is cancelled fails, and its program is told to end."""
    command = ("--exec", "sleep", pathogen, "600")
    detached = reference("build", "--aws-batch", "--detach", *command)
    job = re.search(r"--attach (\S+)", detached.stdout)[1]
    cancelled = reference("build", "--aws-batch", "--attach", job, "--cancel", "--no-download")
    assert "FAILED" in cancelled.stdout + cancelled.stderr, cancelled
    (found,) = aws.json("batch", "describe-jobs", "--jobs", job)["jobs"]
    assert found["status"] == "FAILED"


def test_the_aws_cli_submits_describes_and_reads(aws):
    """Submit, describe, list, the log, and the end of a job."""
    queue, definition = "nextstrain-job-queue", "nextstrain-job"
    overrides = json.dumps({"command": ["sh", "-c", "echo hello"]})
    where = ("--job-queue", queue, "--job-definition", definition, "--job-name", "cli")
    job = aws.json("batch", "submit-job", *where, "--container-overrides", overrides)["jobId"]
    found = over(aws, job)
    assert (found["status"], found["container"]["exitCode"]) == ("SUCCEEDED", 0)
    stream = ("--log-group-name", "/aws/batch/job", "--log-stream-name")
    log = aws.json("logs", "get-log-events", *stream, found["container"]["logStreamName"])
    assert [event["message"] for event in log["events"]] == ["hello"]
    queues = aws.json("batch", "describe-job-queues", "--job-queues", queue)["jobQueues"]
    assert queues[0]["status"] == "VALID"
    aws.json("batch", "terminate-job", "--job-id", job, "--reason", "over anyway")


def test_the_aws_cli_moves_files(aws, tmp_path):
    """A file goes up, is listed, and comes back as it was; a big one in parts."""
    bucket = aws.environment["NEXTSTRAIN_AWS_BATCH_S3_BUCKET"]
    for size in (10, 20_000_000):
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(b"x" * size)
        for command in (
            ("s3", "cp", source, f"s3://{bucket}/cli/x"),
            ("s3", "ls", f"s3://{bucket}/cli/"),
            ("s3", "cp", f"s3://{bucket}/cli/x", target),
            ("s3", "rm", f"s3://{bucket}/cli/x"),
        ):
            done = aws(*command)
            assert done.returncode == 0, done.stderr
        assert target.read_bytes() == source.read_bytes()


def over(aws, job):
    """Return a job once it is over."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        (found,) = aws.json("batch", "describe-jobs", "--jobs", job)["jobs"]
        if found["status"] in {"SUCCEEDED", "FAILED"}:
            return found
        time.sleep(0.2)
    pytest.fail("the job does not end")
