"""Runs first in the job: fetches the agent with what the image has, checks it and becomes it.

``bootstrap`` sends this file's text inside the job's command, without its docstrings and
comments. It stands alone: the standard library of Python 3.11, and the image's botocore or AWS
CLI. It says nothing unless it fails.
"""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from typing import Any


def main(digest: str) -> None:
    """Replace this process by the agent whose bytes have the SHA-256 *digest*."""
    # Process 1 gets no signal without a handler, and nothing is worth keeping yet.
    signal.signal(signal.SIGTERM, lambda _signum, _frame: os._exit(143))
    run = os.environ.get("NEXTSTRAIN_BATCH_RUN", "")
    root, runs, _ = run.rpartition("/runs/")
    if not (runs and root.startswith("s3://")):
        fail(64, f"NEXTSTRAIN_BATCH_RUN is {run!r}, which is no s3://.../runs/... address.")
    data = fetch(f"{root}/agents/{digest}")
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        fail(75, f"The agent at {root}/agents/{digest} is damaged: its SHA-256 is {found}.")
    try:
        directory = tempfile.mkdtemp(prefix="nextstrain-batch-")
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            bundle.extractall(directory)
        os.execv(sys.executable, [sys.executable, "-IB", directory])  # noqa: S606
    except OSError as error:
        fail(73, f"The agent cannot be unpacked and started in the job: {error}.")


def fetch(url: str) -> bytes:
    """Return an object's bytes, by the first way that works."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    failures = []
    # botocore first: it is in this process already when the AWS CLI is still starting.
    for way in (with_botocore, with_cli):
        try:
            return way(url, endpoint)
        except (ModuleNotFoundError, FileNotFoundError):
            continue
        except subprocess.CalledProcessError as error:
            failures.append("aws s3 cp: " + error.stderr.decode(errors="replace").strip())
        except Exception as error:  # noqa: BLE001 - whatever an image's botocore may raise
            failures.append(f"botocore: {error}")
    if not failures:
        fail(72, "The job's image has neither the AWS CLI nor Python's botocore or boto3.")
    fail(73, "\n".join([f"The agent cannot be fetched from {url}.", *failures]))
    return b""


def with_botocore(url: str, endpoint: str | None) -> bytes:
    """Fetch with the image's botocore."""
    import botocore.session

    bucket, _, key = url.removeprefix("s3://").partition("/")
    session = botocore.session.Session()
    region = session.get_config_variable("region") or told_region() or "us-east-1"
    client: Any = session.create_client("s3", region_name=region, endpoint_url=endpoint)
    data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def with_cli(url: str, endpoint: str | None) -> bytes:
    """Fetch with the image's AWS CLI."""
    command = ["aws", "s3", "cp", "--only-show-errors", url, "-"]
    if endpoint:
        # Versions before 2.13 do not look at the environment.
        command += ["--endpoint-url", endpoint]
    region = told_region()
    environ = {**({"AWS_DEFAULT_REGION": region} if region else {}), **os.environ}
    return subprocess.run(command, capture_output=True, check=True, env=environ).stdout


def told_region() -> str | None:
    """Return the region that the client has named: in some, keys are good nowhere else."""
    return os.environ.get("NEXTSTRAIN_BATCH_REGION")


def fail(code: int, message: str) -> None:
    """End the job with *code*."""
    for line in message.splitlines():
        print("[nextstrain]", line, file=sys.stderr, flush=True)  # noqa: T201 - nothing else here
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
