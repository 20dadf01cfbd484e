"""The S3 server that transfers are measured against: SeaweedFS, on loopback; and a slow link to it.

The server itself counts requests and bytes (its Prometheus metrics), so counting costs nobody
anything. The slow link is a proxy that delays every byte and lets through so many a second,
whatever the number of connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from measure import own

KEY, SECRET = "bench", "bench-secret"
_TRIES = 3
_METRICS = {
    "requests": re.compile(r"^SeaweedFS_s3_request_total\{.*\} (\S+)$", re.MULTILINE),
    "received": re.compile(
        r"^SeaweedFS_s3_bucket_traffic_received_bytes_total\{.*\} (\S+)$", re.MULTILINE
    ),
    "sent": re.compile(r"^SeaweedFS_s3_bucket_traffic_sent_bytes_total\{.*\} (\S+)$", re.MULTILINE),
}

# In a process of its own: what is measured would otherwise seem to need as much memory as this one,
# because Linux counts a process's peak from before it has become another program.
_MAKE_BUCKET = [
    sys.executable,
    "-c",
    """
import sys, time, botocore.session
from botocore.config import Config
endpoint, name, patience, key, secret = sys.argv[1:]
client = botocore.session.Session().create_client(
    "s3", endpoint_url=endpoint, region_name="us-east-1",
    aws_access_key_id=key, aws_secret_access_key=secret,
    config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
)
end = time.monotonic() + float(patience)
while True:
    try:
        client.create_bucket(Bucket=name)
        client.put_object(Bucket=name, Key="ready", Body=b"ready")
        break
    except Exception:
        if time.monotonic() > end:
            raise
        time.sleep(0.1)
client.delete_object(Bucket=name, Key="ready")
""",
]


@dataclass(frozen=True)
class Traffic:
    """What the server has counted since it started."""

    requests: int
    received: int
    """Bytes of requests."""
    sent: int
    """Bytes of answers."""

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.requests - other.requests, self.received - other.received, self.sent - other.sent
        )


class Server:
    """One server with an empty store below *directory*, while the ``with`` lasts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    def __enter__(self) -> Self:
        for left in reversed(range(_TRIES)):
            try:
                self._start()
            except RuntimeError:
                if not left:  # Somebody else may have taken a port meanwhile.
                    raise
            else:
                break
        return self

    def _start(self) -> None:
        self._directory.mkdir(parents=True)
        self._ports = {name: free_port() for name in ("master", "volume", "filer", "s3", "metrics")}
        identity = {
            "name": "bench",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        settings = self._directory / "s3.json"
        settings.write_text(json.dumps({"identities": [identity]}))
        ports = self._ports
        command = [str(own("weed")), f"-logdir={self._directory}", "server"]
        command += [f"-dir={self._directory}", "-ip=127.0.0.1"]
        command += ["-ip.bind=127.0.0.1", "-master.telemetry=false", "-master.port=%d"]
        command += ["-master.volumeSizeLimitMB=1024", "-master.volumePreallocate=false"]
        command += ["-volume.max=0", "-volume.port=%d", "-filer", "-filer.port=%d"]
        command += ["-s3", "-s3.port=%d", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-s3.config={settings}", "-metricsPort=%d"]
        command += ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
        numbers = iter(ports.values())
        command = [part % next(numbers) if "%d" in part else part for part in command]
        with (self._directory / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._directory, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        # It takes 18 s to end when asked politely.
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
        for port in self._ports.values():  # What no option puts anywhere but into /tmp.
            for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + 10_000}.sock"):
                path.unlink(missing_ok=True)

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        subprocess.run([*_MAKE_BUCKET, self.endpoint, name, "1", KEY, SECRET], check=True)

    def traffic(self) -> Traffic:
        """Return what has been counted so far."""
        url = f"http://127.0.0.1:{self._ports['metrics']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        counts = {
            name: sum(int(float(number)) for number in pattern.findall(text))
            for name, pattern in _METRICS.items()
        }
        return Traffic(**counts)

    def cpu(self) -> float:
        """Return the CPU seconds that it has used; 0 where the system does not tell."""
        try:
            words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def reclaim(self) -> None:
        """Free the space of deleted objects: big trees would fill the disk otherwise."""
        url = f"http://127.0.0.1:{self._ports['master']}/vol/vacuum?garbageThreshold=0.05"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=300) as answer:
            answer.read()

    def _wait(self) -> None:
        done = subprocess.run(
            [*_MAKE_BUCKET, self.endpoint, "ready", "20", KEY, SECRET],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            log = (self._directory / "server.log").read_text()[-2000:]
            message = f"the S3 server does not start: {done.stderr[-500:]}\n{log}"
            raise RuntimeError(message)


def free_port() -> int:
    """Return a free port, of which the one 10,000 above is free, too: the server's for gRPC."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 20_000 + secrets.randbelow(12_000)))
            second = stack.enter_context(socket.socket())
            second.bind(("127.0.0.1", first.getsockname()[1] + 10_000))
            return first.getsockname()[1]


# --- the slow link --------------------------------------------------------------------------------


class Link:
    """A link to *endpoint* while the ``with`` lasts: *delay* seconds one way, *rate* bytes/s."""

    def __init__(self, endpoint: str, delay: float, rate: float) -> None:
        host, _, port = endpoint.removeprefix("http://").rpartition(":")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        # Forked, so that the listener goes along; the proxy shares no interpreter with anybody.
        context = multiprocessing.get_context("fork")
        self._process = context.Process(
            target=_serve, args=(self._listener, host, int(port), delay, rate), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._listener.close()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()


class _Direction:
    """One direction of the link, which all connections share."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        self._free = 0.0
        """When the line has sent all that was given to it so far."""

    def arrival(self, size: int) -> tuple[float, float]:
        """Send *size* bytes; return when the line is free again, and when they arrive."""
        now = asyncio.get_running_loop().time()
        self._free = max(self._free, now) + size / self._rate
        return self._free, self._free + self._delay


def _serve(listener: socket.socket, host: str, port: int, delay: float, rate: float) -> None:
    async def run() -> None:
        up, down = _Direction(delay, rate), _Direction(delay, rate)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(2 * delay)  # the handshake, which the listener answered at once
            try:
                there_reader, there_writer = await asyncio.open_connection(host, port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(
                _carry(reader, there_writer, up), _carry(there_reader, writer, down)
            )

        server = await asyncio.start_server(connected, sock=listener)
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: _Direction
) -> None:
    """Carry bytes until their end: taken up at the line's rate, handed over after its delay."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def deliver() -> None:
        while True:
            arrives, data = await queue.get()
            await asyncio.sleep(max(0.0, arrives - loop.time()))
            with contextlib.suppress(OSError):
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()

    task = asyncio.ensure_future(deliver())
    data = b"-"
    while data:
        try:
            data = await reader.read(16 * 1024)
        except OSError:
            data = b""
        free, arrives = direction.arrival(len(data))
        queue.put_nowait((arrives, data))
        await asyncio.sleep(max(0.0, free - loop.time()))
    await task
    writer.close()
