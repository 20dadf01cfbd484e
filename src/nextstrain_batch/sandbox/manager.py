"""Starting, finding and stopping the embedded AWS, from outside its process.

One server per home, however many commands ask for it at once: whoever starts, stops or resets it
holds a lock, and the server holds another one for life. Imports nothing that only the
``sandbox`` extra installs.
"""

from __future__ import annotations

import fcntl
import http.client
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nextstrain_batch import __version__
from nextstrain_batch.errors import SandboxError

from . import member, remote
from .layout import Layout
from .member import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .remote import Server

T = TypeVar("T")

BUCKET = member.BUCKET
REGION = member.REGION

START_SECONDS = 60.0
STOP_SECONDS = 30.0

MALLOC = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "262144"}
"""Has glibc give the memory of transfers back, rather than keep some for each thread."""

MISSING = """\
The embedded AWS is not installed: the Python package {module} is missing.

It is an extra of nextstrain-batch. Install it where this command is installed, for example with

    {python} -m pip install 'nextstrain-batch[sandbox]'
"""

__all__ = [
    "BUCKET",
    "REGION",
    "Endpoint",
    "Status",
    "administrator",
    "advance_clock",
    "directory",
    "ensure",
    "reset",
    "running",
    "save",
    "status",
    "stop",
]


@dataclass(frozen=True)
class Status:
    """The running server."""

    pid: int
    url: str
    started: float
    """Seconds since 1970."""
    version: str
    memory: int | None
    """Resident bytes; None where the system does not tell."""


def ensure(home: Path, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the sandbox of *home*; start it and set its account up where that is needed.

    *environ* says which ``PATH`` jobs get when it has to be started. Raises ``SandboxError``.
    """
    layout = Layout(home)
    with _locked(layout):
        server = _current(layout, environ)
        found = member.known(layout, server)
        if found is not None:
            return found
        try:
            return member.set_up(layout, server)
        except BaseException:
            # Nobody would know of a server that is of no use yet.
            _stop(layout)
            raise


def administrator(home: Path, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Return the sandbox of *home* with an administrator's keys; set no account up.

    Start it where that is needed. Raises ``SandboxError``.
    """
    layout = Layout(home)
    with _locked(layout):
        return member.as_administrator(layout, _current(layout, environ))


def running(home: Path) -> Endpoint | None:
    """Return the sandbox of *home* if it runs and has its account; never start it."""
    layout = Layout(home)
    server = remote.find(layout)
    return None if server is None else member.known(layout, server)


def status(home: Path) -> Status | None:
    """Return what runs, or None."""
    server = remote.find(Layout(home))
    if server is None:
        return None
    return Status(server.pid, server.url, server.started, server.version, server.memory)


def directory(home: Path) -> Path:
    """Return where the sandbox of *home* keeps its things."""
    return Layout(home).root


def stop(home: Path) -> bool:
    """Stop the server; its running jobs fail, everything else is kept. Return if it ran.

    Raises ``SandboxError`` when it does not end.
    """
    layout = Layout(home)
    with _locked(layout):
        return _stop(layout)


def reset(home: Path) -> None:
    """Stop the server and forget everything: bucket, jobs, logs, account."""
    layout = Layout(home)
    with _locked(layout):
        _stop(layout)
        shutil.rmtree(layout.root, ignore_errors=True)
        if layout.root.exists():
            raise SandboxError(
                f"The sandbox's files in {layout.root} cannot all be removed.\n\n"
                "Look at their permissions, remove the directory, and try again."
            )


def advance_clock(home: Path, seconds: float) -> None:
    """Move the job machine's clock on: timeouts and grace periods pass at once."""
    _running(home).tell("clock", advance=seconds)


def save(home: Path) -> None:
    """Have the server save its state now, which it otherwise does every few seconds."""
    _running(home).tell("save")


def _running(home: Path) -> Server:
    server = remote.find(Layout(home))
    if server is None:
        raise SandboxError("The sandbox does not run. `nextstrain sandbox start` starts it.")
    return server


@contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    """Hold the lock of those who start and stop."""
    try:
        layout.start_lock.parent.mkdir(parents=True, exist_ok=True)
        file = layout.start_lock.open("a+")
    except OSError as error:
        raise SandboxError(
            f"The sandbox cannot write to {layout.start_lock.parent}: {error.strerror}.\n\n"
            "Make it writable, or set NEXTSTRAIN_HOME to a directory that is."
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _current(layout: Layout, environ: Mapping[str, str]) -> Server:
    """Return the running server, which is of this version of the package; start it if need be."""
    server = remote.find(layout)
    if server is not None and server.version == __version__:
        return server
    _stop(layout)
    return _start(layout, environ)


def _start(layout: Layout, environ: Mapping[str, str]) -> Server:
    for module in ("moto", "waitress"):
        if importlib.util.find_spec(module) is None:
            raise SandboxError(MISSING.format(module=module, python=sys.executable))
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.server_file.unlink(missing_ok=True)
    _launch(layout, environ)
    return _announced(layout)


def _announced(layout: Layout) -> Server:
    """Wait until a server has said who it is."""
    found = _wait(lambda: remote.find(layout), START_SECONDS, layout)
    assert found is not None
    return found


def _launch(layout: Layout, environ: Mapping[str, str]) -> None:
    home = environ.get("HOME") or str(Path.home())
    command = [
        *(sys.executable, "-m", "nextstrain_batch.sandbox", "--home", str(layout.home.resolve())),
        *("--path", environ.get("PATH", os.defpath), "--user-home", home),
    ]
    with layout.log.open("wb") as log:
        # Returns at once: the server forks away from the process that is started here.
        subprocess.run(
            command,
            env={**os.environ, **MALLOC},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            check=False,
        )


def _wait(found: Callable[[], T], seconds: float, layout: Layout) -> T:
    """Poll until *found* is true. Raises ``SandboxError`` with the end of the server's log."""
    limit = time.monotonic() + seconds
    pause = 0.01
    while not (result := found()):
        tail = _tail(layout.log)
        if time.monotonic() > limit or "Traceback" in tail:
            raise SandboxError(
                "The embedded AWS did not start or stop as it should.\n\n"
                f"The end of its log, {layout.log}:\n\n{tail}\n\n"
                "`nextstrain sandbox reset` lets it start from nothing."
            )
        time.sleep(pause)
        pause = min(pause * 1.2, 0.1)
    return result


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-30:])
    except OSError:
        return "(there is none)"


def _stop(layout: Layout) -> bool:
    if not remote.is_alive(layout):
        return False
    server = _announced(layout)
    try:
        server.tell("shutdown")
    except (OSError, http.client.HTTPException, ValueError):
        os.kill(server.pid, signal.SIGTERM)  # it lives: it holds its lock
    limit = time.monotonic() + STOP_SECONDS
    while remote.is_alive(layout) and time.monotonic() < limit:
        time.sleep(0.02)
    if remote.is_alive(layout):
        os.kill(server.pid, signal.SIGKILL)
        _wait(lambda: not remote.is_alive(layout), STOP_SECONDS, layout)
    return True
