"""Refuses, whoever has signed them, requests that a browser makes for a web page of others.

A page of any site can have its visitor's browser send requests to this computer. What gives it
away is the ``Origin`` of the page; or the page's own host name, in ``Host``, where that has been
made to lead to this computer (DNS rebinding). Programs send neither.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from .iam.guard import CALL, REFUSED, Refused
from .troubles import trouble

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from .iam.calls import Call

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3})(:\d+)?", re.IGNORECASE)
"""No name below localhost: S3 would take it for a bucket's."""


class Doorway:
    """WSGI middleware. Knows the service by what has been found out of the request before."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Pass a request on unless it comes from elsewhere."""
        reason = _reason(environ)
        if reason is None:
            return self._application(environ, start)
        call: Call | None = environ.get(CALL)
        refusal = trouble(call.service if call else "batch", 403, "AccessDenied", reason)
        environ[REFUSED] = Refused(refusal.code)
        return refusal.answer(start, environ["REQUEST_METHOD"])


def _reason(environ: WSGIEnvironment) -> str | None:
    host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
    if not _LOOPBACK.fullmatch(host):
        return (
            f"The sandbox is for this computer alone, and the request is for the host {host!r}."
            " Use the address that `nextstrain sandbox status` shows."
        )
    if origin is not None and origin.lower() != f"http://{host}".lower():
        return (
            f"The sandbox takes no requests that a browser makes for a page of {origin!r}."
            " Use a program on this computer."
        )
    if not _is_plain(environ):
        return "The sandbox takes no requests whose address can be read in two ways."
    return None


def _is_plain(environ: WSGIEnvironment) -> bool:
    """Tell whether the path is one and the same, however it is taken from the request.

    It is not where a host or a fragment is in the request's address.
    """
    path = str(environ["REQUEST_URI"]).partition("?")[0]
    return path.startswith("/") and (
        unquote_to_bytes(path).decode("latin-1").lstrip("/")
        == str(environ.get("PATH_INFO", "")).lstrip("/")
    )
