"""Faults of jobs and their logs: killed, reclaimed, out of disk; lines lost, late, out of order."""

import json
import time

import pytest

from faulty_sandbox import Sandbox
from nextstrain_batch.sandbox import manager
from nextstrain_batch.sandbox.breaking import Breaking


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def sandbox(home):
    yield Sandbox(home)
    manager.stop(home)


@pytest.fixture
def broken(home, sandbox):
    assert sandbox.endpoint
    with Breaking(home) as found:
        yield found


def test_the_agent_is_killed(sandbox, broken):
    """A killed first process ends its job with 137; ``line`` says when, ``job`` whose."""
    fault = broken.add("kill-agent", job="victim*", line="ready")
    other = sandbox.submit("echo ready; sleep 1", name="other")
    job = sandbox.run("echo ready; sleep 60", name="victim-1")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)
    assert fault.struck == 1
    assert sandbox.until(other, "SUCCEEDED", "FAILED")["status"] == "SUCCEEDED"


def test_the_agent_is_killed_while_it_runs(sandbox, broken):
    """A fault that waits for nothing meets the jobs that are running already."""
    job_id = sandbox.submit("sleep 60", name="running")
    sandbox.until(job_id, "RUNNING")
    broken.add("kill-agent", job="running")
    assert sandbox.until(job_id, "FAILED")["container"]["exitCode"] == 137


METADATA = """\
import os, time, urllib.error, urllib.request
base = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"].rstrip("/") + "/latest/"
def ask(path, method="GET"):
    try:
        return urllib.request.urlopen(urllib.request.Request(base + path, method=method)).read()
    except urllib.error.HTTPError as error:
        return error.code
print(bool(ask("api/token", "PUT")), ask("meta-data/instance-life-cycle").decode(), flush=True)
print(ask("meta-data/spot/instance-action"), flush=True)
while ask("meta-data/spot/instance-action") == 404:
    time.sleep(0.02)
print(ask("meta-data/spot/instance-action").decode(), flush=True)
time.sleep(60)
"""


def test_the_host_is_reclaimed(sandbox, broken):
    """The notice is in the instance's metadata, the loss has no exit code and Batch's reason."""
    fault = broken.add("reclaim-host", line="404", seconds=0.5)
    begun = time.time()
    job = sandbox.run(
        f"python3 -c '{METADATA}'",
        retryStrategy={
            "attempts": 2,
            "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "EXIT"}],
        },
    )
    assert fault.struck == 1
    assert job["status"] == "FAILED"
    assert job["statusReason"].startswith("Host EC2 (instance i-")
    assert "exitCode" not in job["attempts"][0]["container"]
    first, second, notice = sandbox.lines(job)
    assert (first, second) == ("True spot", "404")
    assert json.loads(notice)["action"] == "terminate"
    when = time.strptime(json.loads(notice)["time"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(begun - time.mktime(when) + time.timezone) < 60


def test_a_reclaimed_job_is_tried_again(sandbox, broken):
    """The retry strategy may follow a lost host by another attempt."""
    broken.add("reclaim-host", line="ready", seconds=0)
    job = sandbox.run(
        'echo ready; [ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || sleep 60', retryStrategy={"attempts": 2}
    )
    assert job["status"] == "SUCCEEDED"
    assert len(job["attempts"]) == 2


def test_the_disk_is_full(sandbox, broken):
    """A job with a small disk gets what a full disk gives; others have theirs."""
    fault = broken.add("fill-disk", job="small", size=4 * 1024**2)
    script = "head -c 6000000 /dev/zero > file || echo full; pwd; ls -ld /tmp | cut -c1-10"
    job = sandbox.run(script, name="small")
    if not fault.struck:
        pytest.skip("bubblewrap does not work here")
    lines = sandbox.lines(job)
    assert any("No space left on device" in line for line in lines)
    assert lines[-3:] == ["full", "/nextstrain/build", "drwxrwxrwt"]
    assert "full" not in sandbox.lines(sandbox.run(script, name="other"))


def test_log_events_are_lost(sandbox, broken):
    """Some lines of a job never arrive in its stream."""
    fault = broken.add("lose-log", line="*[24]*")
    job = sandbox.run("for i in 1 2 3 4 5; do echo $i; done")
    assert sandbox.lines(job) == ["1", "3", "5"]
    assert fault.struck == 2


def test_log_events_are_late(sandbox, broken):
    """A line arrives after its job is over."""
    broken.add("delay-log", line="2", seconds=1.5)
    job = sandbox.run("echo 1; echo 2; echo 3")
    assert sandbox.lines(job) == ["1", "3"]
    time.sleep(1.6)
    assert sorted(sandbox.lines(job)) == ["1", "2", "3"]


def test_log_events_change_places(sandbox, broken):
    """A line arrives after the one that follows it; the last one, once the job is over."""
    fault = broken.add("reorder-log", line="[14]")
    job = sandbox.run("for i in 1 2 3 4; do echo $i; sleep 0.05; done")
    assert sorted(sandbox.lines(job)) == ["1", "2", "3", "4"]
    assert fault.struck == 2
