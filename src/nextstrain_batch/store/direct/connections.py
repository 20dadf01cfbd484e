"""Connections to one server, which several threads share and use again and again."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import weakref
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PIECE = 256 * 1024
"""How many bytes are sent within one timeout: what a link of 4 kB/s manages."""

Phase = Literal["connecting", "waiting", "reading"]

IDLE = 20.0
"""Seconds after which a connection that nobody used is not used again: S3 closes it about then, and
where that did not get here, each one would hang until its timeout."""


class BrokenError(Exception):
    """A request had no whole answer, for *cause*: an ``OSError`` or ``HTTPException``."""

    def __init__(self, phase: Phase, cause: Exception) -> None:
        super().__init__(str(cause))
        self.phase = phase
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect to, and how long to wait."""

    host: str
    port: int | None
    """None for the scheme's own."""
    is_tls: bool
    connect_timeout: float
    """In seconds, the handshake of TLS included."""
    read_timeout: float
    """In seconds, for each piece of an answer."""
    kept: int
    """How many connections are kept open at most while nobody uses them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Connections:
    """Connections to *server*, made when needed. Safe to use from several threads at once.

    *trust* is called once, for the first connection by TLS. *now* is the time of day in seconds,
    which goes on while this computer sleeps.
    """

    def __init__(
        self,
        server: Server,
        trust: Callable[[], ssl.SSLContext] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._server = server
        self._trust = trust or trust_as_botocore
        self._now = now
        self._idle: list[HTTPConnection] = []
        self._last_used = now()
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        weakref.finalize(self, _close_all, self._idle)

    def ask(
        self, method: str, target: str, headers: Callable[[], Mapping[str, str]], body: bytes
    ) -> Answer:
        """Send a request and return the whole answer to it, or raise ``BrokenError``.

        The server may close a connection that nobody uses at any moment. Where that shows only
        now, the request is sent again at once, on a new connection. *headers* is called each
        time: hours may have passed while this computer slept, and a signature is good for minutes.
        """
        connection = self._kept()
        if connection is not None:
            try:
                return self._ask_on(connection, method, target, headers, body)
            except BrokenError as broken:
                closed = isinstance(broken.cause, (ConnectionError, ssl.SSLEOFError))
                if not (broken.phase == "waiting" and closed):
                    raise
        return self._ask_on(self._connected(), method, target, headers, body)

    def _ask_on(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        headers: Callable[[], Mapping[str, str]],
        body: bytes,
    ) -> Answer:
        is_reusable = False
        phase: Phase = "waiting"
        try:
            response = _sent(connection, method, target, headers(), body)
            phase = "reading"
            content = response.read()
            is_reusable = not response.will_close
        except (OSError, HTTPException) as error:
            raise BrokenError(phase, error) from error
        finally:
            # After a signal, too: an answer that was not read must not be taken for the next.
            self._put_back(connection, is_reusable=is_reusable)
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, content)

    def _kept(self) -> HTTPConnection | None:
        with self._lock:
            if self._now() - self._last_used > IDLE:
                _close_all(self._idle)
                self._idle.clear()
            return self._idle.pop() if self._idle else None

    def _put_back(self, connection: HTTPConnection, *, is_reusable: bool) -> None:
        with self._lock:
            self._last_used = self._now()
            if is_reusable and len(self._idle) < self._server.kept:
                self._idle.append(connection)
                return
        connection.close()

    def _connected(self) -> HTTPConnection:
        server = self._server
        connection = (
            HTTPSConnection(
                server.host, server.port, timeout=server.connect_timeout, context=self._tls()
            )
            if server.is_tls
            else HTTPConnection(server.host, server.port, timeout=server.connect_timeout)
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise BrokenError("connecting", error) from error
        # http.client has switched off Nagle's algorithm already.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.sock.settimeout(server.read_timeout)
        return connection

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = self._trust()
            return self._context


def trust_as_botocore() -> ssl.SSLContext:
    """Trust whom botocore trusts: some Pythons know no certificate authority themselves.

    botocore's file is found without importing botocore.
    """
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("botocore")
    file = Path(spec.origin).with_name("cacert.pem") if spec and spec.origin else None
    return ssl.create_default_context(cafile=file if file and file.is_file() else None)


def _sent(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> HTTPResponse:
    """Send a request, and return the answer as soon as it begins."""
    if body or method == "PUT":
        headers = {**headers, "content-length": str(len(body))}
    try:
        connection.request(method, target, _pieces(body) if body else None, dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses a body may answer and close before it has read all of it.
        try:
            return connection.getresponse()
        except HTTPException as error:
            raise ConnectionResetError(str(error)) from error
    return connection.getresponse()


def _pieces(body: bytes) -> Iterator[memoryview]:
    """Cut a body up: a timeout counts for all that is sent in one piece."""
    view = memoryview(body)
    for start in range(0, len(view), PIECE):
        yield view[start : start + PIECE]


def _close_all(connections: list[HTTPConnection]) -> None:
    for connection in connections:
        connection.close()
