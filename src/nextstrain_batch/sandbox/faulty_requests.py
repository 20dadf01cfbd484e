"""Faults that meet requests, as WSGI middleware: what strikes is answered here, or spoilt.

Cutting a request off is not for WSGI, which sees whole requests: the HTTP server asks
``cut_request`` as soon as it knows a request's head.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from . import troubles
from .credentials import PATH as CREDENTIALS
from .faults import OF_REQUESTS
from .faulty_jobs import METADATA
from .iam.calls import Call
from .iam.guard import CALL, CALLER, INSECURE, OPEN
from .iam.identify import identify
from .iam.signature import Signed
from .services import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from .faults import Fault, Faults
    from .iam.answers import Refusal

    ExcInfo = (
        tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None
    )

TOLERANCE = {"s3": timedelta(minutes=15)}
OTHERS_TOLERANCE = timedelta(minutes=5)
"""How far a service's clock and a request's time may be apart."""

_TIME = "%Y%m%dT%H%M%SZ"
_AT_ONCE = OF_REQUESTS - {"cut", "expire"}


class FaultyRequests:
    """Passes requests on, but for those that a fault strikes.

    *holder* tells which task's credentials an access key is of, if any; *caller* the ARN of
    whoever has it; *called* is told of every
    request of a task, for faults that such a request sets off. *metadata* answers for the
    instance metadata service: method and path → HTTP status and text.
    """

    def __init__(
        self,
        application: WSGIApplication,
        faults: Faults,
        *,
        holder: Callable[[str], str | None],
        caller: Callable[[str], str] = lambda _: "",
        called: Callable[[str, Call], None] = lambda _task, _call: None,
        metadata: Callable[[str, str], tuple[int, str]] = lambda _method, _path: (404, ""),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._application = application
        self._faults = faults
        self._holder = holder
        self._caller = caller
        self._called = called
        self._metadata = metadata
        self._now = now
        self._sleep = sleep

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(METADATA):
            return _text(start, *self._metadata(environ["REQUEST_METHOD"], path))
        ours = path.startswith(OPEN) and not path.startswith(CREDENTIALS)
        if not self._faults or ours:
            return self._application(environ, start)
        call = _call(environ)
        task = self._task(call)
        if task is not None:
            self._called(task, call)

        def meets(fault: Fault) -> bool:
            return fault.meets(call, "job" if task is not None else "user")

        refusal = self._refusal(environ, call, meets)
        if refusal is not None:
            environ[CALL], environ[CALLER] = call, self._caller(call.signed.access_key)
            return refusal.answer(start, str(environ["REQUEST_METHOD"]))
        cut = self._faults.strike({"cut"}, lambda each: each.way == "answer" and meets(each))
        if cut:
            return _cut(self._application, environ, start, cut[0].size)
        return self._application(environ, start)

    def cut_request(self, environ: WSGIEnvironment) -> int | None:
        """Return after how many bytes of its body a request is to be cut off; None for never.

        *environ* needs no more than the request's head.
        """
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if not self._faults or not length or str(environ["PATH_INFO"]).startswith(OPEN):
            return None
        call = _call(environ)
        caller = "job" if self._task(call) is not None else "user"
        struck = self._faults.strike(
            {"cut"}, lambda each: each.way == "request" and each.meets(call, caller)
        )
        if not struck:
            return None
        size = struck[0].size
        return length // 2 if size is None else min(size, length - 1)

    def _task(self, call: Call) -> str | None:
        return self._holder(call.signed.access_key)

    def _refusal(
        self, environ: WSGIEnvironment, call: Call, meets: Callable[[Fault], bool]
    ) -> Refusal | None:
        service = call.service
        for fault in self._faults.strike(_AT_ONCE, meets):
            match fault.kind:
                case "delay":
                    self._sleep(fault.seconds)
                case "plain-http":
                    environ[INSECURE] = "1"
                case "throttle":
                    return troubles.throttled(service)
                case "error":
                    return troubles.failed(service, fault.status)
                case "skew":
                    refusal = self._skewed(environ, service, timedelta(seconds=fault.seconds))
                    if refusal is not None:
                        return refusal
        if self._faults.expires(call.signed.access_key, meets):
            return troubles.expired(service)
        return None

    def _skewed(self, environ: WSGIEnvironment, service: str, ahead: timedelta) -> Refusal | None:
        now = self._now() + ahead
        signed = signed_at(environ)
        if signed is None or abs(now - signed) <= TOLERANCE.get(service, OTHERS_TOLERANCE):
            return None
        return troubles.skewed(
            service, signed.strftime(_TIME), now.strftime(_TIME), behind=signed < now
        )


def signed_at(environ: WSGIEnvironment) -> datetime | None:
    """Return when a request was signed; None where it does not say."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    text = environ.get("HTTP_X_AMZ_DATE") or (query.get("X-Amz-Date") or [""])[0]
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _call(environ: WSGIEnvironment) -> Call:
    if str(environ.get("PATH_INFO", "")).startswith(CREDENTIALS):
        return Call(Signed("", "credentials"), "GetCredentials", ())
    return identify(environ, ACCOUNT)


def _text(start: StartResponse, status: int, text: str) -> Iterable[bytes]:
    body = text.encode()
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start(f"{status} {HTTPStatus(status).phrase}", headers)
    return [body]


def _cut(
    application: WSGIApplication, environ: WSGIEnvironment, start: StartResponse, size: int | None
) -> Iterable[bytes]:
    """Answer with a part of what the application answers; the server then hangs up."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def starting(
        status: str, headers: list[tuple[str, str]], _exc_info: ExcInfo = None, /
    ) -> Callable[[bytes], object]:
        begun.append((status, headers))
        return lambda _: None

    body = b"".join(application(environ, starting))
    status, headers = begun[-1]
    if not any(name.lower() == "content-length" for name, _ in headers):
        headers = [*headers, ("Content-Length", str(len(body)))]
    start(status, headers)
    left = len(body) // 2 if size is None else min(size, max(len(body) - 1, 0))
    return [body[:left]]
