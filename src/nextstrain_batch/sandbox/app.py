"""The WSGI application behind the guard: each request goes to the one who answers it.

As what it was judged, not as what it could be read to be: what no guard has seen is not answered.
"""

from __future__ import annotations

import json
import logging
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from . import control as control_module
from . import credentials as credentials_module
from .iam.guard import CALL, OPEN
from .logs.calls import LogsError
from .services import PUBLIC
from .submission import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .batch import BatchCalls
    from .control import Control
    from .credentials import Credentials
    from .iam.calls import Call
    from .job_tags import JobTags
    from .logs.calls import LogCalls
    from .services import Services

log = logging.getLogger(__name__)

XML_SERVICES = frozenset({"s3", "iam", "sts", "ec2"})
"""Those whose answers are XML; the others speak JSON."""


class Application:
    """The whole sandbox as one WSGI application."""

    def __init__(
        self,
        services: Services,
        batch: BatchCalls,
        tags: JobTags,
        logs: LogCalls,
        credentials: Credentials,
        control: Control,
    ) -> None:
        self._services = services
        self._logs = logs
        self._batch = batch
        self._tags = tags
        self._credentials = credentials
        self._control = control

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request; what goes wrong in the sandbox itself is a 500 and a log entry."""
        try:
            return self._answer(environ, start)
        except Exception as error:
            log.exception("%s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            message = f"The sandbox failed: {error}"
            call: Call | None = environ.get(CALL)
            return _failure(start, 500, "InternalFailure", message, call.service if call else "")

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path.startswith(control_module.PATH):
            return self._controlled(path, environ, start)
        if path.startswith(credentials_module.PATH):
            found = self._credentials.answer(path, environ.get("HTTP_AUTHORIZATION", ""))
            if found is None:
                return _failure(
                    start, 403, "AccessDenied", "No credentials for this task and token"
                )
            return _json(start, 200, found)
        if path.startswith(OPEN):
            return _failure(start, 404, "NotFound", f"The sandbox has no {path}")
        signed = environ[CALL].signed
        service, region = signed.service, signed.region
        if service == "batch" and self._batch.answers(path):
            return _job_call(lambda body: self._batch.answer(path, body, region), environ, start)
        if service == "batch" and self._tags.answers(path):
            method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
            return _job_call(
                lambda body: self._tags.answer(method, path, query, body), environ, start
            )
        if service == "logs" and self._logs.answers(environ.get("HTTP_X_AMZ_TARGET", "")):
            return self._log_call(region, environ, start)
        if service not in PUBLIC:
            message = f"The sandbox has no service named {service!r}; it has {sorted(PUBLIC)}"
            return _failure(start, 501, "NotImplemented", message)
        try:
            return self._services.respond(service, environ, start)
        except NotImplementedError as error:
            return _failure(start, 501, "NotImplemented", f"The sandbox: {error}", service)

    def _controlled(
        self, path: str, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        token = environ.get(control_module.TOKEN_HEADER, "")
        if not self._control.allows(environ["REQUEST_METHOD"], token):
            message = "This needs the token of the sandbox's server.json"
            return _failure(start, 403, "AccessDenied", message)
        body = _body(environ)
        status, answer = self._control.answer(path, json.loads(body) if body else {})
        return _json(start, status, answer)

    def _log_call(
        self, region: str, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        try:
            target = environ["HTTP_X_AMZ_TARGET"]
            return _json(start, 200, self._logs.answer(target, _body(environ), region))
        except LogsError as error:
            return _failure(start, 400, error.code, str(error))


def _job_call(
    answer: Callable[[bytes], dict[str, Any]], environ: WSGIEnvironment, start: StartResponse
) -> Iterable[bytes]:
    try:
        return _json(start, 200, answer(_body(environ)))
    except ClientError as error:
        return _failure(start, error.status, error.code, str(error))


def _body(environ: WSGIEnvironment) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    return body


def _json(
    start: StartResponse,
    status: int,
    value: dict[str, Any],
    headers: tuple[tuple[str, str], ...] = (),
) -> Iterable[bytes]:
    body = json.dumps(value).encode()
    start(
        f"{status} {HTTPStatus(status).phrase}",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("x-amzn-RequestId", str(uuid.uuid4())),
            *headers,
        ],
    )
    return [body]


def _failure(
    start: StartResponse, status: int, code: str, message: str, service: str = ""
) -> Iterable[bytes]:
    """Answer with an error, in the form that the service's clients read."""
    if service not in XML_SERVICES:
        # Some read the code from the header, and some, as Logs' clients, from the body.
        answer = {"__type": code, "message": message}
        return _json(start, status, answer, (("x-amzn-ErrorType", code),))
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if service == "ec2":
        error = f"<Response><Errors>{error}</Errors></Response>"
    elif service != "s3":
        error = f"<ErrorResponse>{error}</ErrorResponse>"
    body = error.encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]
