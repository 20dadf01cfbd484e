"""The HTTP server in front of the application: waitress, on one loopback socket."""

from __future__ import annotations

import io
import logging
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from waitress.server import BaseWSGIServer

THREADS = 16
MAX_BODY = 6 * 1024**3
"""Bytes; a little over what one S3 request may carry."""
BACKLOG = 1024
IDLE_SECONDS = 3600


CutRequest = Callable[[dict[str, Any]], int | None]
"""Takes a request's head as a WSGI environment; returns after how many bytes of its body the
connection is to be cut, or None."""


class CutError(Exception):
    """The connection is to be cut now."""


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """Does not answer ``Expect: 100-continue`` where no body follows; cuts requests off.

    botocore sends it with empty objects, too, and waitress would wait for a body for ever.
    """

    cut_request: CutRequest = staticmethod(lambda _: None)
    _left: int | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request's head."""
        super().parse_header(header_plus)
        if not self.chunked and not self.content_length:
            self.expect_continue = False
        self._left = self.cut_request(self._environ())

    def received(self, data: bytes) -> int:
        """Take bytes. Raises ``CutError`` instead of taking those where the cut is."""
        if self.headers_finished and self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise CutError
        taken: int = super().received(data)
        return taken

    def _environ(self) -> dict[str, Any]:
        headers = {f"HTTP_{name}": value for name, value in self.headers.items()}
        return headers | {
            "REQUEST_METHOD": self.command,
            "REQUEST_URI": self.request_uri,
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "CONTENT_LENGTH": str(self.content_length),
            "wsgi.input": io.BytesIO(),
        }


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that parses with ``Parser``, and can be cut as a broken network cuts it."""

    parser_class = Parser

    def received(self, data: bytes) -> bool:
        """Take bytes from the client."""
        try:
            taken: bool = super().received(data)
        except CutError:
            # Reset, not closed: the client learns of it while it sends.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.handle_close()
            return False
        return taken


def listen(port: int) -> socket.socket:
    """Return a listening loopback socket: at *port* where it is free, else at any free one."""
    for candidate in (port, 0):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", candidate))
        except OSError:
            listening.close()
            if candidate == 0:
                raise
        else:
            listening.listen(BACKLOG)
            return listening
    raise AssertionError


def server(
    application: WSGIApplication,
    listening: socket.socket,
    cut_request: CutRequest = lambda _: None,
) -> BaseWSGIServer:
    """Return the server; its ``run`` serves until ``SystemExit``."""
    parser = type("CuttingParser", (Parser,), {"cut_request": staticmethod(cut_request)})
    # It warns whenever a request waits for a thread, which is no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    made = create_server(
        application,
        sockets=[listening],
        threads=THREADS,
        max_request_body_size=MAX_BODY,
        channel_timeout=IDLE_SECONDS,
        ident=None,
        connection_limit=1000,
    )
    made.channel_class = type("CuttingChannel", (Channel,), {"parser_class": parser})
    return made
