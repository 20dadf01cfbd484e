"""Kills the sandbox's server, its jobs and its clients at random moments, and looks what is left.

    python tests/chaos.py --rounds 100 --seed 1

Each round writes objects, runs a job and a build, kills one of the three somewhere in between,
starts the sandbox again by two commands at once, and checks what was promised:

* an object whose writing was acknowledged is there, whole; one that was deleted is not;
* a job whose submission was acknowledged is known, and is over when its server is gone;
* no process and no listening port is left behind.

The same seed makes the same choices; what the scheduler makes of them differs.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from nextstrain_batch.sandbox import manager

BIN = Path(sys.executable).parent
QUEUE, DEFINITION = "nextstrain-job-queue", "nextstrain-job"
VICTIMS = ("server", "server", "job", "client")
LONGEST = 0.6
"""Seconds until something is killed, at most."""
SIZES = (0, 10, 5_000, 20_000, 300_000)
HOST_GONE = "Host EC2"


class BrokenPromiseError(AssertionError):
    """The sandbox lost or left something."""


@dataclass
class Promised:
    """What the sandbox has acknowledged. Of a key in doubt, either value is right."""

    objects: dict = field(default_factory=dict)
    doubtful: dict = field(default_factory=dict)
    jobs: set = field(default_factory=set)


class Writer(threading.Thread):
    """Writes and deletes objects until it is told to stop, or nobody answers."""

    def __init__(self, client, bucket, promised, chance):
        super().__init__(daemon=True)
        self.client, self.bucket, self.promised, self.chance = client, bucket, promised, chance
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.is_set():
            key = f"chaos/{self.chance.randrange(60)}"
            body = None
            if self.chance.random() < 0.85:
                body = self.chance.randbytes(self.chance.choice(SIZES))
            before = self.promised.objects.get(key)
            try:
                self.write(key, body)
            except (BotoCoreError, ClientError):
                self.promised.doubtful[key] = {before, body}
                return
            self.promised.objects[key] = body

    def write(self, key, body):
        if body is None:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        elif len(body) > 100_000 and self.chance.random() < 0.3:
            named = {"Bucket": self.bucket, "Key": key}
            upload = self.client.create_multipart_upload(**named)["UploadId"]
            part = self.client.upload_part(**named, UploadId=upload, PartNumber=1, Body=body)
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            self.client.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)
        else:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)


class Chaos:
    """One sandbox in a home of its own, and what is done to it."""

    def __init__(self, home, seed):
        self.home = Path(home)
        self.chance = random.Random(seed)
        self.promised = Promised()
        self.killed = dict.fromkeys(VICTIMS, 0)
        self.environ = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "NEXTSTRAIN_HOME": str(self.home),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.build = self.home / "build"
        self.build.mkdir()
        (self.build / "data.txt").write_text("data\n")
        self.start()

    def client(self, service):
        return Session().create_client(
            service,
            endpoint_url=self.endpoint.url,
            region_name=self.endpoint.region,
            aws_access_key_id=self.endpoint.access_key,
            aws_secret_access_key=self.endpoint.secret_key,
            config=Config(
                proxies={},
                connect_timeout=5,
                read_timeout=20,
                retries={"mode": "standard", "total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

    def start(self):
        """Start it by two commands at once; both must find the same."""
        command = [BIN / "nextstrain", "sandbox", "start"]
        both = [
            subprocess.Popen(command, env=self.environ, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = {process.communicate(timeout=60)[0] for process in both}
        if len(said) != 1 or any(process.returncode for process in both):
            raise BrokenPromiseError(f"two commands started it and said {said}")
        self.endpoint = manager.running(self.home)

    def round(self):
        """Do something, kill something, and check."""
        writer = Writer(self.client("s3"), self.endpoint.bucket, self.promised, self.chance)
        writer.start()
        self.submit()
        command = [BIN / "nextstrain", "build", "--aws-batch", "--sandbox", "--exec", "sh"]
        client = subprocess.Popen(
            [*command, self.build, "-c", "date > made; sleep 0.2"],
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        victim = self.chance.choice(VICTIMS)
        time.sleep(self.chance.random() * LONGEST)
        self.kill(victim, client)
        self.killed[victim] += 1
        writer.stopped.set()
        writer.join(30)
        client.kill()
        client.wait(30)
        self.start()
        self.check(over=victim == "server")

    def submit(self):
        script = "(sleep 300) & while :; do echo line; sleep 0.05; done"
        with contextlib.suppress(BotoCoreError, ClientError):
            answer = self.client("batch").submit_job(
                jobName="chaos",
                jobQueue=QUEUE,
                jobDefinition=DEFINITION,
                containerOverrides={"command": ["sh", "-c", script]},
            )
            self.promised.jobs.add(answer["jobId"])

    def kill(self, victim, client):
        if victim == "client":
            client.kill()
        elif victim == "server":
            os.kill(manager.status(self.home).pid, signal.SIGKILL)
        else:
            jobs = [pid for pid in processes_of(self.endpoint) if pid != os.getpid()]
            if jobs:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chance.choice(jobs), signal.SIGKILL)

    def check(self, *, over):
        """Compare what there is with what was promised."""
        s3, bucket = self.client("s3"), self.endpoint.bucket
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="chaos/")
        there = {item["Key"] for page in pages for item in page.get("Contents", ())}
        for key in self.promised.objects.keys() | self.promised.doubtful.keys():
            body = None
            if key in there:
                body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            right = self.promised.doubtful.pop(key, {self.promised.objects.get(key)})
            if body not in right:
                raise BrokenPromiseError(f"{key} is not what was acknowledged")
            self.promised.objects[key] = body
        self.check_jobs(over)

    def check_jobs(self, over):
        batch = self.client("batch")
        ids = sorted(self.promised.jobs)
        found = batch.describe_jobs(jobs=ids)["jobs"] if ids else []
        if {job["jobId"] for job in found} != set(ids):
            raise BrokenPromiseError("a job that was submitted is not known")
        if over:
            for job in found:
                if job["status"] == "RUNNING" and job["startedAt"] / 1000 < self.started:
                    raise BrokenPromiseError(f"a job runs without its server: {job['jobId']}")
                if job["status"] == "FAILED" and not (job.get("statusReason") or ""):
                    raise BrokenPromiseError(f"a job failed for no reason: {job['jobId']}")
        for job in found:
            batch.terminate_job(jobId=job["jobId"], reason="next round")
        self.promised.jobs = {job["jobId"] for job in found if job["status"] != "FAILED"}

    @property
    def started(self):
        return manager.status(self.home).started

    def finish(self):
        """Stop it; nothing may be left."""
        port = int(self.endpoint.url.rpartition(":")[2])
        manager.stop(self.home)
        limit = time.monotonic() + 10
        while left := processes_of(self.endpoint, self.home):
            if time.monotonic() > limit:
                raise BrokenPromiseError(f"processes are left: {left}")
            time.sleep(0.1)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise BrokenPromiseError(f"port {port} is still served")


def processes_of(endpoint, home=None):
    """Return the ids of the processes of jobs, and of all that name *home*; Linux only."""
    mark = f"AWS_ENDPOINT_URL={endpoint.url}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environ = (path / "environ").read_bytes() + b"\0"
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        is_job = mark in environ and b"AWS_BATCH_JOB_ID=" in environ
        named = home is not None and os.fsencode(home) in command
        if (is_job or named) and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def run(home, rounds, seed, say=lambda _: None):
    """Do all rounds; return how often each victim was killed. Raises ``BrokenPromiseError``."""
    chaos = Chaos(home, seed)
    try:
        for number in range(rounds):
            chaos.round()
            say(f"{number + 1}: {json.dumps(chaos.killed)}, {len(chaos.promised.objects)} objects")
        chaos.finish()
    finally:
        manager.stop(chaos.home)
    return chaos.killed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as home:
        print(f"seed {options.seed}")  # noqa: T201
        killed = run(home, options.rounds, options.seed, say=print)
    print(f"nothing was lost or left in {time.monotonic() - begun:.0f} s; killed {killed}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
