"""The WSGI middleware that writes the request journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .credentials import PATH as CREDENTIALS
from .iam.guard import CALL, CALLER, REFUSED
from .iam.identify import identify
from .journal import Entry, instant
from .services import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from .iam.accounts import Accounts
    from .iam.calls import Call, Need
    from .iam.guard import Refused

_OWN = "/_sandbox/"


class Recorder:
    """Tells of every call that passes it, except those that control the sandbox itself."""

    def __init__(
        self, application: WSGIApplication, accounts: Accounts, tell: Callable[[Entry], None]
    ) -> None:
        self._application = application
        self._accounts = accounts
        self._tell = tell

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Pass a request on; it is told of when the answer is closed."""
        path = environ.get("PATH_INFO", "/")
        if not path.startswith(_OWN):
            # Here, so that it is known of requests, too, that never reach the one who judges.
            call = environ[CALL] = identify(environ, ACCOUNT)
            environ[CALLER] = self._accounts.name(call.signed.access_key)
        elif not path.startswith(CREDENTIALS):
            return self._application(environ, start)
        return _Answer(self._application, environ, start, self._tell)


class _Answer:
    """One answer on its way: counts its bytes, and tells of the call once it is out."""

    def __init__(
        self,
        application: WSGIApplication,
        environ: WSGIEnvironment,
        start: StartResponse,
        tell: Callable[[Entry], None],
    ) -> None:
        self._environ = environ
        self._start = start
        self._tell = tell
        self._status = 0
        self._bytes_out = 0
        self._arrived = time.time()
        self._begun = time.perf_counter()
        try:
            self._parts = application(environ, self._starting)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self._bytes_out += len(part)
            yield part

    def close(self) -> None:
        """Write the entry: servers call this when they are done with an answer, however."""
        parts = getattr(self, "_parts", None)
        if parts is not None and hasattr(parts, "close"):
            parts.close()
        self._tell(self._entry())

    def _starting(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType]
        | tuple[None, None, None]
        | None = None,
        /,
    ) -> Callable[[bytes], object]:
        self._status = int(status[:3])
        return self._start(status, headers, exc_info)

    def _entry(self) -> Entry:
        environ = self._environ
        call: Call | None = environ.get(CALL)
        refused: Refused | None = environ.get(REFUSED)
        need: Need | None = refused.need if refused else None
        if need is None and call and call.needs:
            need = call.needs[0]
        path = environ.get("PATH_INFO", "/")
        operation = call.operation if call else "GetCredentials"
        return Entry(
            time=instant(self._arrived),
            caller=environ.get(CALLER, ""),
            service=call.service if call else "credentials",
            operation=operation or f"{environ['REQUEST_METHOD']} {path}",
            action=need.action if need else "",
            resource=need.resource if need else "" if call else path,
            bytes_in=int(environ.get("CONTENT_LENGTH") or 0),
            bytes_out=self._bytes_out,
            status=self._status,
            error=refused.code if refused else "",
            seconds=round(time.perf_counter() - self._begun, 6),
        )
