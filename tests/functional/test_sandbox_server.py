"""The embedded AWS as a real server with real jobs, spoken to with botocore."""

import contextlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from nextstrain_batch.errors import SandboxError, UserError
from nextstrain_batch.sandbox import adjust, breaking, manager, member, remote
from nextstrain_batch.sandbox.layout import Layout
from sandbox_account import clients_of

QUEUE, DEFINITION, GROUP = "nextstrain-job-queue", "nextstrain-job", "/aws/batch/job"
HOST_GONE = "Host EC2 (instance i-00000000000000000) terminated."


class Sandbox:
    """A sandbox in a home of its own, and what tests do with it."""

    def __init__(self, home):
        self.home = home
        self.clients = {}
        self.start()

    def start(self):
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        self.endpoint = manager.ensure(self.home, environ)
        self.clients.clear()

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = botocore.session.Session().create_client(
                service,
                endpoint_url=self.endpoint.url,
                region_name=self.endpoint.region,
                aws_access_key_id=self.endpoint.access_key,
                aws_secret_access_key=self.endpoint.secret_key,
                config=Config(proxies={}, s3={"addressing_style": "path"}),
            )
        return self.clients[service]

    def administrator(self, service):
        """Return a client for what the sandbox's user may not do."""
        return clients_of(manager.administrator(self.home))(service)

    def submit(self, *command, **request):
        answer = self.client("batch").submit_job(
            jobName=request.pop("name", "test"),
            jobQueue=QUEUE,
            jobDefinition=DEFINITION,
            containerOverrides={"command": list(command), **request.pop("overrides", {})},
            **request,
        )
        return answer["jobId"]

    def job(self, job_id):
        (job,) = self.client("batch").describe_jobs(jobs=[job_id])["jobs"]
        return job

    def until(self, job_id, *statuses):
        return eventually(lambda: (job := self.job(job_id))["status"] in statuses and job)

    def run(self, *command, **request):
        return self.until(self.submit(*command, **request), "SUCCEEDED", "FAILED")

    def lines(self, stream):
        answer = self.client("logs").get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]

    def output(self, job):
        return self.lines(job["container"]["logStreamName"])

    def control(self, method, action, token="", body=b""):
        connection = http.client.HTTPConnection(self.endpoint.url.removeprefix("http://"))
        with contextlib.closing(connection):
            headers = {"X-Sandbox-Token": token}
            connection.request(method, f"/_sandbox/control/{action}", body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


def eventually(what, seconds=20):
    """Return the first true value of *what*; what is tested here are real processes."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if found := what():
            return found
        time.sleep(0.02)
    pytest.fail("it did not happen in time")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    found = Sandbox(home)
    yield found
    manager.stop(home)


@pytest.fixture
def own_sandbox(tmp_path):
    found = Sandbox(tmp_path)
    yield found
    manager.stop(tmp_path)


def test_the_account_is_set_up(sandbox):
    """A new sandbox has the bucket, the queue and the definition that builds ask for."""
    batch = sandbox.client("batch")
    (queue,) = batch.describe_job_queues(jobQueues=[QUEUE])["jobQueues"]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    (definition,) = batch.describe_job_definitions(jobDefinitionName=DEFINITION)["jobDefinitions"]
    assert definition["containerProperties"]["image"] == "nextstrain/base:latest"
    assert definition["timeout"] == {"attemptDurationSeconds": 14400}
    assert sandbox.client("s3").list_objects_v2(Bucket=manager.BUCKET)["KeyCount"] == 0
    user = sandbox.client("sts").get_caller_identity()["Arn"]
    assert user.endswith(f"user/{member.USER}")


def test_a_job_succeeds_with_its_output_in_the_log(sandbox):
    """The job's lines, from stdout and stderr, are in the stream that DescribeJobs names."""
    job = sandbox.run("sh", "-c", "echo one; echo two >&2; echo; printf three")
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
    assert job["statusReason"] == "Essential container in task exited"
    assert sandbox.output(job) == ["one", "two", "three"]
    assert job["container"]["logStreamName"].startswith(f"{DEFINITION}/default/")
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]


def test_each_status_has_its_time(sandbox):
    """What Batch itself does not tell is to be had for tests and reports."""
    job = sandbox.run("true")
    server = remote.find(Layout(sandbox.home))
    history = server.tell("history", id=job["jobId"])["history"]
    statuses = ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert [status for status, _ in history] == statuses
    times = [time for _, time in history]
    assert times == sorted(times)


def test_settings_change_a_running_sandbox(sandbox):
    """A start-up delay holds the next job back in RUNNABLE, until the clock has passed it."""
    adjust.change(sandbox.home, {"instance-start": 300, "instance-idle": 0})
    try:
        job_id = sandbox.submit("true")
        manager.advance_clock(sandbox.home, 200)
        waiting = eventually(lambda: "statusReason" in (job := sandbox.job(job_id)) and job)
        assert waiting["status"] == "RUNNABLE"
        assert waiting["statusReason"].startswith("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")
        manager.advance_clock(sandbox.home, 101)
        assert sandbox.until(job_id, "SUCCEEDED", "FAILED")["status"] == "SUCCEEDED"
    finally:
        adjust.change(sandbox.home, {"instance-start": 0, "instance-idle": 60})
    with pytest.raises(SandboxError, match="no setting"):
        adjust.change(sandbox.home, {"nothing": 1})


def archive(**files):
    """Return a ZIP archive of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return buffer.getvalue()


def test_the_stock_images_protocol_works(sandbox):
    """The entry point fetches and puts back a ZIP archive, and fills the environment first."""
    s3, bucket = sandbox.client("s3"), manager.BUCKET
    s3.put_object(Bucket=bucket, Key="stock.zip", Body=archive(given="text"))
    s3.put_object(Bucket=bucket, Key="env.d.zip", Body=archive(TOKEN="a b\n"))
    variables = {
        "NEXTSTRAIN_AWS_BATCH_WORKDIR_URL": f"s3://{bucket}/stock.zip",
        "NEXTSTRAIN_ENVD_URL": f"s3://{bucket}/env.d.zip",
    }
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    script = 'cat given; echo " $TOKEN"; pwd > made; exit 5'
    job = sandbox.run(
        "/sbin/entrypoint-aws-batch", "sh", "-c", script, overrides={"environment": environment}
    )
    assert job["container"]["exitCode"] == 5
    assert sandbox.output(job) == ["text a b"]
    body = s3.get_object(Bucket=bucket, Key="stock.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        assert sorted(opened.namelist()) == ["given", "made"]
        assert opened.read("made").decode().rstrip().endswith("/nextstrain/build")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="env.d")


def test_a_failed_job_has_its_exit_code(sandbox):
    """The program's code passes through."""
    job = sandbox.run("sh", "-c", "exit 7")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 7)


def test_a_program_that_does_not_exist_fails_to_start(sandbox):
    """As a container engine would say it."""
    job = sandbox.run("no-such-program")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert "exitCode" not in job["container"]


def test_lines_can_be_read_while_the_job_runs(sandbox):
    """A line is readable soon after it is printed."""
    job_id = sandbox.submit("sh", "-c", "echo early; sleep 60")
    job = sandbox.until(job_id, "RUNNING")
    stream = job["container"]["logStreamName"]
    assert job["attempts"] == []
    assert eventually(lambda: sandbox.lines(stream)) == ["early"]
    assert sandbox.job(job_id)["status"] == "RUNNING"
    sandbox.client("batch").terminate_job(jobId=job_id, reason="seen")
    manager.advance_clock(sandbox.home, 31)
    sandbox.until(job_id, "FAILED")


def test_the_job_has_a_place_of_its_own(sandbox):
    """A home, a working directory and the variables of the platform, and nobody else's."""
    script = 'pwd; touch "$HOME/x" /tmp/x y && ls "$HOME"; env | cut -d= -f1 | sort; ls "$OLD"'
    overrides = {"environment": [{"name": "OLD", "value": str(sandbox.home)}]}
    job = sandbox.run("sh", "-c", script, overrides=overrides)
    output = sandbox.output(job)
    assert output[0].endswith("/nextstrain/build")
    assert output[1:3] == ["build", "x"]
    assert {f"AWS_BATCH_{name}" for name in ("JOB_ID", "JOB_ATTEMPT", "JQ_NAME", "CE_NAME")} <= {
        *output
    }
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"}.isdisjoint(output)
    assert list(Layout(sandbox.home).tasks.iterdir()) == []


def test_a_job_has_the_credentials_of_its_role(sandbox):
    """SDKs in the job find the job role's credentials, and the endpoint, by themselves."""
    sandbox.client("s3").put_object(Bucket=manager.BUCKET, Key="a b/ü", Body=b"content")
    script = """
import botocore.session, os
session = botocore.session.Session()
print(session.get_credentials().method)
print(session.create_client("sts").get_caller_identity()["Arn"])
s3 = session.create_client("s3")
print(s3.get_object(Bucket="nextstrain-jobs", Key="a b/ü")["Body"].read().decode())
"""
    job = sandbox.run(sys.executable, "-c", script)
    method, arn, content = sandbox.output(job)
    assert (method, content) == ("container-role", "content")
    assert "assumed-role/NextstrainJobsRole/" in arn


def test_credentials_want_the_tasks_token(sandbox):
    """Whoever only knows the address gets none."""
    job_id = sandbox.submit("sh", "-c", "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; sleep 60")
    stream = sandbox.until(job_id, "RUNNING")["container"]["logStreamName"]
    (uri,) = eventually(lambda: sandbox.lines(stream))
    connection = http.client.HTTPConnection(sandbox.endpoint.url.removeprefix("http://"))
    with contextlib.closing(connection):
        connection.request("GET", uri.removeprefix(sandbox.endpoint.url))
        assert connection.getresponse().status == 403
    sandbox.client("batch").terminate_job(jobId=job_id, reason="seen")
    manager.advance_clock(sandbox.home, 31)


def test_a_job_that_handles_sigterm_ends_with_its_own_code(sandbox):
    """TerminateJob lets the program clean up; the job fails with the caller's reason."""
    script = "trap 'echo bye; exit 143' TERM; echo ready; while :; do sleep 0.05; done"
    job_id = sandbox.submit("sh", "-c", script)
    stream = sandbox.until(job_id, "RUNNING")["container"]["logStreamName"]
    eventually(lambda: sandbox.lines(stream))
    sandbox.client("batch").terminate_job(jobId=job_id, reason="enough")
    job = sandbox.until(job_id, "FAILED")
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 143)
    assert sandbox.output(job) == ["ready", "bye"]
    assert job["isTerminated"]


def test_a_job_that_ignores_sigterm_is_killed_after_its_grace(sandbox):
    """After thirty seconds, which the test's clock jumps over, there is SIGKILL and 137."""
    job_id = sandbox.submit("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    stream = sandbox.until(job_id, "RUNNING")["container"]["logStreamName"]
    eventually(lambda: sandbox.lines(stream))
    sandbox.client("batch").terminate_job(jobId=job_id, reason="enough")
    assert sandbox.job(job_id)["status"] == "RUNNING"
    manager.advance_clock(sandbox.home, 31)
    job = sandbox.until(job_id, "FAILED")
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 137)


def test_a_job_over_its_time_is_stopped(sandbox):
    """The attempt fails with Batch's reason, after SIGTERM and the grace."""
    job_id = sandbox.submit("sleep", "1000", timeout={"attemptDurationSeconds": 60})
    sandbox.until(job_id, "RUNNING")
    manager.advance_clock(sandbox.home, 61)
    manager.advance_clock(sandbox.home, 31)
    job = sandbox.until(job_id, "FAILED")
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(job["attempts"]) == 1


def test_attempts_have_a_stream_each(sandbox):
    """A job that fails is tried again, and each attempt keeps its code and log."""
    script = "echo attempt $AWS_BATCH_JOB_ATTEMPT; exit $AWS_BATCH_JOB_ATTEMPT"
    job = sandbox.run("sh", "-c", script, retryStrategy={"attempts": 3})
    containers = [attempt["container"] for attempt in job["attempts"]]
    assert [container["exitCode"] for container in containers] == [1, 2, 3]
    lines = [sandbox.lines(container["logStreamName"]) for container in containers]
    assert lines == [["attempt 1"], ["attempt 2"], ["attempt 3"]]


def test_rules_end_the_attempts(sandbox):
    """``evaluateOnExit`` is honoured."""
    rules = [{"onExitCode": "7", "action": "EXIT"}]
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    job = sandbox.run("sh", "-c", "exit 7", retryStrategy=strategy)
    assert len(job["attempts"]) == 1
    assert job["retryStrategy"] == strategy


def test_what_a_job_leaves_running_ends_with_it(sandbox):
    """No process outlives its job."""
    job = sandbox.run("sh", "-c", f"sleep 987654{os.getpid()} & echo started")
    assert sandbox.output(job) == ["started"]
    found = subprocess.run(
        ["pgrep", "-f", f"sleep 987654{os.getpid()}"], check=False, capture_output=True
    )
    assert found.stdout == b""


def test_overrides_are_applied(sandbox):
    """Resources and variables of the request replace the definition's."""
    overrides = {
        "environment": [{"name": "GREETING", "value": "hello"}],
        "resourceRequirements": [
            {"type": "VCPU", "value": "2"},
            {"type": "MEMORY", "value": "1000"},
        ],
    }
    job = sandbox.run("sh", "-c", "echo $GREETING", overrides=overrides)
    assert sandbox.output(job) == ["hello"]
    resources = {each["type"]: each["value"] for each in job["container"]["resourceRequirements"]}
    assert resources == {"VCPU": "2", "MEMORY": "1000"}


def test_overrides_that_are_too_long_fail_the_job(sandbox):
    """AWS accepts the submission; the job then fails."""
    job = sandbox.run("echo", "x" * 8192)
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Container Overrides length must be at most 8192"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"jobQueue": "nobody"}, "JobQueue nobody not found."),
        (
            {"jobDefinition": "nobody"},
            "JobDefinition name nobody does not exist or is not in ACTIVE status",
        ),
        ({"jobName": "not good!"}, "Job name should match valid pattern"),
        ({"timeout": {"attemptDurationSeconds": 5}}, "at least 60 seconds"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"arrayProperties": {"size": 3}}, "does not support arrayProperties"),
    ],
)
def test_a_bad_submission_is_a_client_exception(sandbox, request_, message):
    """With AWS's words where they are known."""
    good = {"jobName": "test", "jobQueue": QUEUE, "jobDefinition": DEFINITION}
    with pytest.raises(ClientError, match=message) as caught:
        sandbox.client("batch").submit_job(**good | request_)
    assert caught.value.response["Error"]["Code"] == "ClientException"


def test_unknown_ids_are_no_error(sandbox):
    """They are left out of DescribeJobs, and both ends of jobs are silent about them."""
    batch = sandbox.client("batch")
    assert batch.describe_jobs(jobs=["nobody"])["jobs"] == []
    batch.terminate_job(jobId="nobody", reason="why not")
    batch.cancel_job(jobId="nobody", reason="why not")


def test_jobs_are_listed_by_status_name_and_page(sandbox):
    """RUNNING by default; a name filter looks at every status; pages follow each other."""
    batch = sandbox.administrator("batch")
    ids = {sandbox.run("true", name=f"Listed-{n}")["jobId"] for n in range(3)}
    running = batch.list_jobs(jobQueue=QUEUE)["jobSummaryList"]
    assert ids.isdisjoint(each["jobId"] for each in running)
    named = {"jobQueue": QUEUE, "filters": [{"name": "JOB_NAME", "values": ["listed-*"]}]}
    pages = batch.get_paginator("list_jobs").paginate(**named, PaginationConfig={"PageSize": 2})
    found = [[each["jobId"] for each in page["jobSummaryList"]] for page in pages]
    assert [len(page) for page in found] == [2, 1]
    assert ids == {each for page in found for each in page}
    done = batch.list_jobs(jobQueue=QUEUE, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert ids <= {each["jobId"] for each in done}


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("VCPU", "1000", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"),
        ("MEMORY", "2000000", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"),
    ],
)
def test_a_job_too_big_for_the_account_waits_and_says_so(sandbox, kind, value, reason):
    """It stays RUNNABLE with a reason, is in the queue's snapshot, and can be cancelled."""
    batch = sandbox.administrator("batch")
    overrides = {"resourceRequirements": [{"type": kind, "value": value}]}
    job_id = sandbox.submit("true", overrides=overrides)
    job = eventually(lambda: "statusReason" in (job := sandbox.job(job_id)) and job)
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith(f"{reason} - ")
    front = batch.get_job_queue_snapshot(jobQueue=QUEUE)["frontOfQueue"]["jobs"]
    assert [each["jobArn"] for each in front] == [job["jobArn"]]
    batch.cancel_job(jobId=job_id, reason="too big")
    job = sandbox.job(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "too big")


def test_s3_keeps_what_it_is_given(sandbox):
    """Small and big objects, ranges, listings, copies, conditional writes, deletes."""
    s3, bucket = sandbox.client("s3"), {"Bucket": manager.BUCKET}
    big = os.urandom(3_000_000)
    s3.put_object(**bucket, Key="s3/big", Body=big)
    s3.put_object(**bucket, Key="s3/small", Body=b"small")
    assert s3.get_object(**bucket, Key="s3/big")["Body"].read() == big
    part = s3.get_object(**bucket, Key="s3/big", Range="bytes=1000000-1999999")["Body"].read()
    assert part == big[1_000_000:2_000_000]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(**bucket, Key="s3/small", Body=b"other", IfNoneMatch="*")
    source = {**bucket, "Key": "s3/big"}
    s3.copy_object(**bucket, Key="s3/copy", CopySource=source)
    s3.delete_object(**bucket, Key="s3/big")
    keys = [each["Key"] for each in s3.list_objects_v2(**bucket, Prefix="s3/")["Contents"]]
    assert keys == ["s3/copy", "s3/small"]
    assert s3.get_object(**bucket, Key="s3/copy")["Body"].read() == big
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(**bucket, Key="s3/big")


def test_of_conditional_writes_at_once_one_succeeds(sandbox):
    """Whoever writes an object if it is absent can rely on it."""
    s3 = sandbox.client("s3")

    def write(number):
        try:
            s3.put_object(Bucket=manager.BUCKET, Key="once", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return number

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(16)))
    (winner,) = [answer for answer in answers if isinstance(answer, int)]
    assert set(answers) == {winner, "PreconditionFailed"}
    assert s3.get_object(Bucket=manager.BUCKET, Key="once")["Body"].read() == b"%d" % winner


def test_an_empty_object_is_kept(sandbox):
    """A client that asks before it sends nothing is answered."""
    sandbox.client("s3").put_object(Bucket=manager.BUCKET, Key="empty", Body=b"")
    head = sandbox.client("s3").head_object(Bucket=manager.BUCKET, Key="empty")
    assert head["ContentLength"] == 0


def test_a_disabled_queue_takes_no_jobs(sandbox):
    """SubmitJob says so, and works again once the queue is enabled."""
    batch = sandbox.administrator("batch")
    batch.update_job_queue(jobQueue=QUEUE, state="DISABLED")
    with pytest.raises(ClientError, match="disabled"):
        sandbox.submit("true")
    batch.update_job_queue(jobQueue=QUEUE, state="ENABLED")
    assert sandbox.run("true")["status"] == "SUCCEEDED"


def test_a_waiting_job_starts_when_its_environment_is_enabled(sandbox):
    """A change of a compute environment is noticed at once."""
    batch = sandbox.administrator("batch")
    (environment,) = batch.describe_compute_environments()["computeEnvironments"]
    name = environment["computeEnvironmentName"]
    batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
    job_id = sandbox.submit("true")
    eventually(lambda: "statusReason" in sandbox.job(job_id))
    assert sandbox.job(job_id)["status"] == "RUNNABLE"
    batch.update_compute_environment(computeEnvironment=name, state="ENABLED")
    assert sandbox.until(job_id, "SUCCEEDED", "FAILED")["status"] == "SUCCEEDED"


def test_services_that_are_not_there_say_so(sandbox):
    """A call to any other service is answered here, with an error."""
    with pytest.raises(ClientError, match="no service named 'sqs'"):
        sandbox.client("sqs").list_queues()


def test_only_the_user_controls_the_server(sandbox):
    """All of its own addresses want the token, before they look at anything else."""
    token = json.loads(Layout(sandbox.home).server_file.read_text())["token"]
    for action in ("shutdown", "save", "clock", "fault-list", "settings", "history", "health", ""):
        for wrong in ("", "guess", "\u00e4"):
            assert sandbox.control("POST", action, wrong, b"no JSON")[0] == 403
        assert sandbox.control("GET", action, token)[0] == 403
    assert sandbox.control("POST", "health", token)[0] == 404
    assert sandbox.control("POST", "save", token)[0] == 200
    assert manager.status(sandbox.home) is not None


def test_what_the_sandbox_does_not_have_below_its_own_addresses_is_no_bucket(sandbox):
    """They pass the guard, so nothing that it ought to have judged is answered there."""
    connection = http.client.HTTPConnection(sandbox.endpoint.url.removeprefix("http://"))
    with contextlib.closing(connection):
        for path in (
            "/_sandbox/other",
            "/_sandbox/",
            "/_sandbox/controls",
            "/_sandbox/v1/submitjob",
        ):
            connection.request("POST", path)
            answer = connection.getresponse()
            assert (answer.status, "NotFound" in answer.read().decode()) == (404, True)


def test_ensuring_twice_is_one_server(sandbox):
    """A running server is found again, with the same keys."""
    assert manager.ensure(sandbox.home) == sandbox.endpoint
    assert manager.running(sandbox.home) == sandbox.endpoint


def of_another_moto(home):
    """Let the account seem to be one that another version of moto has saved."""
    file = Layout(home).account_file
    file.write_text(json.dumps({**json.loads(file.read_text()), "moto": "0"}))


def test_another_version_of_moto_makes_new_keys_as_often_as_it_likes(own_sandbox):
    """The member has one key at any time, the last one."""
    seen = {own_sandbox.endpoint.access_key}
    for _ in range(3):
        of_another_moto(own_sandbox.home)
        own_sandbox.start()
        seen.add(own_sandbox.endpoint.access_key)
        (only,) = own_sandbox.administrator("iam").list_access_keys(UserName=member.USER)[
            "AccessKeyMetadata"
        ]
        assert only["AccessKeyId"] == own_sandbox.endpoint.access_key
        assert own_sandbox.client("s3").list_objects_v2(Bucket=manager.BUCKET)["KeyCount"] == 0
    assert len(seen) == 4


def test_what_hinders_setting_the_account_up_is_explained(own_sandbox):
    """As for any account, and not by a traceback."""
    breaking.Breaking(own_sandbox.home).add("expire", api="iam:CreateAccessKey")
    of_another_moto(own_sandbox.home)
    with pytest.raises(UserError, match="set up the sandbox's account"):
        manager.ensure(own_sandbox.home)


def test_commands_that_start_it_at_once_share_a_server(tmp_path):
    """Four processes that need it at the same moment get the same one."""
    script = (
        "import sys; from pathlib import Path; from nextstrain_batch.sandbox import manager; "
        "print(manager.ensure(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    answers = {process.communicate()[0] for process in processes}
    manager.stop(tmp_path)
    assert len(answers) == 1
    assert b"Endpoint" in answers.pop()


def test_a_stop_keeps_everything_but_running_jobs(own_sandbox):
    """Objects, logs, history and the address survive; what ran has lost its host."""
    body = os.urandom(100_000)
    own_sandbox.client("s3").put_object(Bucket=manager.BUCKET, Key="kept", Body=body)
    done = own_sandbox.run("echo", "kept")
    running = own_sandbox.submit("sleep", "1000")
    own_sandbox.until(running, "RUNNING")
    before = own_sandbox.endpoint
    assert manager.stop(own_sandbox.home)
    assert manager.status(own_sandbox.home) is None
    assert not manager.stop(own_sandbox.home)
    own_sandbox.start()
    assert own_sandbox.endpoint == before
    kept = own_sandbox.client("s3").get_object(Bucket=manager.BUCKET, Key="kept")
    assert kept["Body"].read() == body
    assert own_sandbox.output(own_sandbox.job(done["jobId"])) == ["kept"]
    lost = own_sandbox.job(running)
    assert (lost["status"], lost["statusReason"]) == ("FAILED", HOST_GONE)
    assert "exitCode" not in lost["container"]
    assert own_sandbox.run("true")["status"] == "SUCCEEDED"


def test_a_killed_server_leaves_no_job_and_starts_again(own_sandbox):
    """Its jobs die with it; after a restart they have failed for their lost host."""
    marker = f"123{os.getpid()}"
    job_id = own_sandbox.submit("sh", "-c", f"echo up; sleep {marker}")
    stream = own_sandbox.until(job_id, "RUNNING")["container"]["logStreamName"]
    eventually(lambda: own_sandbox.lines(stream))
    manager.save(own_sandbox.home)
    os.kill(manager.status(own_sandbox.home).pid, signal.SIGKILL)
    eventually(lambda: manager.status(own_sandbox.home) is None)
    pgrep = ["pgrep", "-f", f"^sleep {marker}"]
    eventually(lambda: subprocess.run(pgrep, check=False, capture_output=True).stdout == b"")
    own_sandbox.start()
    job = own_sandbox.job(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", HOST_GONE)


def test_a_server_of_another_version_is_replaced(own_sandbox):
    """An upgrade of this package does not leave its users with the old server."""
    server_file = Layout(own_sandbox.home).server_file
    found = json.loads(server_file.read_text())
    server_file.write_text(json.dumps({**found, "version": "0.0.1", "unheard": "of"}))
    before = manager.status(own_sandbox.home)
    own_sandbox.start()
    after = manager.status(own_sandbox.home)
    assert (before.version, before.pid == after.pid) == ("0.0.1", False)
    assert own_sandbox.run("true")["status"] == "SUCCEEDED"


def test_a_reset_forgets_everything(own_sandbox):
    """Afterwards there is a new account and an empty bucket."""
    own_sandbox.client("s3").put_object(Bucket=manager.BUCKET, Key="gone", Body=b"")
    manager.reset(own_sandbox.home)
    assert not Layout(own_sandbox.home).root.exists()
    before = own_sandbox.endpoint
    own_sandbox.start()
    assert own_sandbox.endpoint.access_key != before.access_key
    listed = own_sandbox.client("s3").list_objects_v2(Bucket=manager.BUCKET)
    assert listed["KeyCount"] == 0
