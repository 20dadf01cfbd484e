"""What the sandbox has acknowledged outlives its server, however that ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

import chaos
from nextstrain_batch.sandbox import leftovers, manager
from nextstrain_batch.sandbox.layout import Layout
from sandbox_account import clients_of

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@pytest.fixture
def home(tmp_path):
    yield tmp_path
    manager.stop(tmp_path)


def start(home):
    endpoint = manager.ensure(home, {"PATH": os.environ["PATH"], "HOME": str(home)})
    return endpoint, clients_of(endpoint)


def kill(home):
    pid = manager.status(home).pid
    os.kill(pid, signal.SIGKILL)
    while manager.status(home) is not None:
        time.sleep(0.01)


def test_objects_outlive_a_killed_server(home):
    """Objects, deletions, copies, parts and settings of buckets are there after SIGKILL."""
    endpoint, client = start(home)
    s3, named = client("s3"), {"Bucket": endpoint.bucket}
    big = os.urandom(200_000)
    s3.put_object(**named, Key="small", Body=b"1")
    s3.put_object(**named, Key="small", Body=b"2")
    s3.put_object(**named, Key="big", Body=big)
    s3.put_object(**named, Key="gone", Body=big)
    s3.delete_object(**named, Key="gone")
    s3.copy_object(**named, Key="copy", CopySource={**named, "Key": "big"})
    upload = s3.create_multipart_upload(**named, Key="parts")["UploadId"]
    part = s3.upload_part(**named, Key="parts", UploadId=upload, PartNumber=1, Body=big)
    admin = clients_of(manager.administrator(home))("s3")
    admin.put_bucket_tagging(**named, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    kill(home)
    endpoint, client = start(home)
    s3 = client("s3")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**named, Key="parts", UploadId=upload, MultipartUpload=parts)
    kill(home)
    _, client = start(home)
    s3 = client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(**named)["Contents"]]
    assert keys == ["big", "copy", "parts", "small"]
    assert s3.get_object(**named, Key="small")["Body"].read() == b"2"
    for key in ("big", "copy", "parts"):
        assert s3.get_object(**named, Key=key)["Body"].read() == big
    admin = clients_of(manager.administrator(home))("s3")
    assert admin.get_bucket_tagging(**named)["TagSet"] == [{"Key": "a", "Value": "b"}]


def test_contents_of_objects_that_are_gone_are_removed(home):
    """Overwriting and deleting frees the disk, also across a killed server."""
    endpoint, client = start(home)
    s3, named = client("s3"), {"Bucket": endpoint.bucket}
    for _ in range(3):
        s3.put_object(**named, Key="big", Body=os.urandom(100_000))
    kill(home)
    _, client = start(home)
    s3 = client("s3")
    s3.put_object(**named, Key="other", Body=os.urandom(100_000))
    s3.delete_object(**named, Key="other")
    manager.stop(home)
    files = [path for path in Layout(home).objects.rglob("*") if path.is_file()]
    assert len(files) == 1
    assert not list(Layout(home).state.glob("*.log.*"))


def test_a_log_that_was_cut_short_is_read_up_to_there(home):
    """A server that dies while it writes loses what it had not acknowledged, and nothing else."""
    endpoint, client = start(home)
    client("s3").put_object(Bucket=endpoint.bucket, Key="whole", Body=b"1")
    kill(home)
    (log,) = Layout(home).state.glob("s3.log.*")
    with log.open("ab") as file:
        file.write(log.read_bytes()[:20])
    endpoint, client = start(home)
    assert client("s3").get_object(Bucket=endpoint.bucket, Key="whole")["Body"].read() == b"1"


def test_a_state_that_cannot_be_read_is_kept_whole(home):
    """With what was written down since, and with the contents that it names, until it is back."""
    endpoint, client = start(home)
    named = {"Bucket": endpoint.bucket}
    contents = {"saved": os.urandom(100_000), "since": os.urandom(100_000)}
    client("s3").put_object(**named, Key="saved", Body=contents["saved"])
    manager.save(home)
    client("s3").put_object(**named, Key="since", Body=contents["since"])
    kill(home)
    state = Layout(home).state
    saved = (state / "s3.pickle").read_bytes()
    (state / "s3.pickle").write_bytes(saved[:1000])
    for _ in range(2):  # whether it has just been set aside, or before
        assert clients_of(manager.administrator(home))("s3").list_buckets()["Buckets"] == []
        manager.save(home)
        manager.stop(home)
    assert (state / "s3.unreadable").read_bytes() == saved[:1000]
    assert len(list(state.glob("s3.unreadable.log.*"))) == 1
    (state / "s3.pickle").write_bytes(saved)
    for log in state.glob("s3.unreadable.log.*"):
        log.rename(state / f"s3.log{log.suffix}")
    _, client = start(home)
    for key, content in contents.items():
        assert client("s3").get_object(**named, Key=key)["Body"].read() == content


def test_jobs_that_cannot_be_read_are_set_aside(home):
    """The sandbox starts without them."""
    start(home)
    manager.stop(home)
    state = Layout(home).state
    (state / "jobs.pickle").write_bytes(b"no pickle")
    start(home)
    assert (state / "jobs.unreadable").read_bytes() == b"no pickle"


def test_jobs_of_a_killed_server(home):
    """A job that ran fails for its host; one that is over stays as it is; ids stay known."""
    _, client = start(home)
    batch = client("batch")

    def submit(script):
        return batch.submit_job(
            jobName="test",
            jobQueue="nextstrain-job-queue",
            jobDefinition="nextstrain-job",
            containerOverrides={"command": ["sh", "-c", script]},
        )["jobId"]

    def status(job_id):
        return batch.describe_jobs(jobs=[job_id])["jobs"][0]["status"]

    running, done = submit("sleep 300"), submit("true")
    limit = time.monotonic() + 20
    while (status(running), status(done)) != ("RUNNING", "SUCCEEDED"):
        assert time.monotonic() < limit
        time.sleep(0.05)
    last = submit("sleep 300")
    kill(home)
    _, client = start(home)
    batch = client("batch")
    jobs = {each["jobId"]: each for each in batch.describe_jobs(jobs=[running, done])["jobs"]}
    assert jobs[done]["status"] == "SUCCEEDED"
    assert jobs[running]["status"] == "FAILED"
    assert jobs[running]["statusReason"].startswith("Host EC2")
    assert "exitCode" not in jobs[running]["attempts"][0]["container"]
    assert batch.describe_jobs(jobs=[last])["jobs"]


@linux_only
def test_killing_at_random(tmp_path):
    """Killed again and again at random moments, it loses and leaves nothing (``make chaos``)."""
    killed = chaos.run(tmp_path, rounds=4, seed=3)
    assert sum(killed.values()) == 4


@linux_only
def test_plain_processes_do_not_outlive_a_killed_server(tmp_path):
    """Without bubblewrap, what a job left running is ended when the sandbox starts again."""
    task = tmp_path / "task"
    (task / "tmp").mkdir(parents=True)
    environment = {**os.environ, "TMPDIR": str(task / "tmp")}
    script = "setsid sleep 300 & echo $!; exec sleep 300"
    with subprocess.Popen(
        ["sh", "-c", script], env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        process.stdout.readline()
        assert leftovers.end(task) >= 2
        assert process.wait(10) == -signal.SIGKILL
    assert leftovers.end(task) == 0
