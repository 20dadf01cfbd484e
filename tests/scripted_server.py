"""An HTTP server on loopback that gives prepared answers."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    path: str
    headers: object
    client_address: tuple


class Scripted(ThreadingHTTPServer):
    """Gives prepared answers, in the order of the requests, and keeps these."""

    daemon_threads = True

    def __init__(self, *script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = list(script)
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Say nothing of clients that go away."""


class Handler(BaseHTTPRequestHandler):
    """An answer is a function of this handler, or a status and a body."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(Asked(self.path, self.headers, self.client_address))
        step = self.server.script.pop(0)
        step(self) if callable(step) else self.answer(*step)

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - the base class's names

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def error(code, **elements):
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return f"<?xml version='1.0'?>\n<Error><Code>{code}</Code>{inner}</Error>".encode()


def cut_body(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"x" * 50)
    handler.close_connection = True


def drop(handler):
    handler.close_connection = True


def then_close(handler):
    """Answer as if the connection stayed open, and close it."""
    handler.answer(200, b"content")
    handler.close_connection = True
