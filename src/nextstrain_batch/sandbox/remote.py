"""The running server, seen from another process: is it there, who is it, telling it things."""

from __future__ import annotations

import fcntl
import http.client
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .layout import Layout

TIMEOUT = 60.0
"""Seconds that the server may take to answer; saving a big state takes some."""


@dataclass(frozen=True)
class Server:
    """What a server says of itself in ``server.json``."""

    pid: int
    port: int
    token: str
    """Who has it may stop the server."""
    started: float = 0.0
    """Seconds since 1970."""
    version: str = ""
    """Of this package."""
    moto: str = ""
    """Of moto: what saved the state."""

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int | None:
        """Its resident bytes; None where the system does not tell."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        except OSError:
            return None
        sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        return int(sizes[0]) * 1024 if sizes else None

    def tell(self, action: str, **request: object) -> dict[str, Any]:
        """Send a control request. Raises ``OSError`` or ``HTTPException`` when it is not there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            headers = {"X-Sandbox-Token": self.token, "Content-Type": "application/json"}
            body = json.dumps(request)
            connection.request("POST", f"/_sandbox/control/{action}", body, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


def announce(layout: Layout, server: Server) -> None:
    """Say who the server is; the file appears whole, and only its user can read it."""
    write_private(layout.server_file, asdict(server))


def write_private(path: Path, value: dict[str, Any]) -> None:
    """Write JSON that only the user can read, so that it appears whole."""
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(value))
    part.replace(path)


def find(layout: Layout) -> Server | None:
    """Return the running server; None when there is none, or it has not said who it is yet."""
    if not is_alive(layout):
        return None
    try:
        found = json.loads(layout.server_file.read_text())
        # One of another version of this package must be understood well enough to be stopped.
        known = {field.name for field in fields(Server)}
        return Server(**{name: value for name, value in found.items() if name in known})
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_alive(layout: Layout) -> bool:
    """Tell whether a server holds its lock; a process id alone may be somebody else's by now."""
    try:
        file = layout.server_lock.open("a+")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
