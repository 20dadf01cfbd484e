"""A request → the call that it is; each service's own module knows its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import batch_calls, logs_calls, query_calls, s3_calls, signature
from .calls import Call, Incoming

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def identify(environ: WSGIEnvironment, account: str) -> Call:
    """Return what a request asks for, in the account with this number."""
    signed = signature.read(environ)
    incoming = Incoming.of(environ, signed, account)
    match signed.service:
        case "s3":
            operation, needs = s3_calls.read(incoming)
        case "batch":
            operation, needs = batch_calls.read(incoming)
        case "logs":
            operation, needs = logs_calls.read(incoming)
        case service:
            operation, needs = query_calls.read(service, incoming)
    return Call(signed, operation, needs)
