"""Refusals, in the form that each service's clients read."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse

_QUERY_NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}

DENIED, UNKNOWN_KEY, EXPIRED = "denied", "unknown key", "expired"
MALFORMED = "malformed"
"""Why a request is refused."""

_CODES: dict[str, dict[str, tuple[int, str]]] = {
    # The service's status and code for each.
    "s3": {
        DENIED: (403, "AccessDenied"),
        UNKNOWN_KEY: (403, "InvalidAccessKeyId"),
        EXPIRED: (400, "ExpiredToken"),
        MALFORMED: (400, "MalformedXML"),
    },
    "batch": {
        DENIED: (403, "AccessDeniedException"),
        UNKNOWN_KEY: (403, "UnrecognizedClientException"),
        EXPIRED: (403, "ExpiredTokenException"),
    },
    "logs": {
        DENIED: (400, "AccessDeniedException"),
        UNKNOWN_KEY: (400, "UnrecognizedClientException"),
        EXPIRED: (400, "ExpiredTokenException"),
    },
    "ec2": {
        DENIED: (403, "UnauthorizedOperation"),
        UNKNOWN_KEY: (401, "AuthFailure"),
        EXPIRED: (400, "RequestExpired"),
    },
}
_QUERY_CODES = {
    DENIED: (403, "AccessDenied"),
    UNKNOWN_KEY: (403, "InvalidClientTokenId"),
    EXPIRED: (403, "ExpiredToken"),
}

_TEXTS = {
    ("s3", UNKNOWN_KEY): "The AWS Access Key Id you provided does not exist in our records.",
    ("s3", EXPIRED): "The provided token has expired.",
    ("ec2", UNKNOWN_KEY): "AWS was not able to validate the provided access credentials",
    ("ec2", EXPIRED): "Request has expired.",
}
_OTHER_TEXTS = {
    UNKNOWN_KEY: "The security token included in the request is invalid.",
    EXPIRED: "The security token included in the request is expired",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not passed on."""

    service: str
    kind: str
    """``DENIED``, ``UNKNOWN_KEY``, ``EXPIRED`` or ``MALFORMED``."""
    message: str

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._code[0]

    @property
    def code(self) -> str:
        """The service's code for it."""
        return self._code[1]

    @property
    def _code(self) -> tuple[int, str]:
        return _CODES.get(self.service, _QUERY_CODES)[self.kind]

    def answer(self, start: StartResponse, method: str) -> Iterable[bytes]:
        """Send it as a WSGI application does."""
        request_id = str(uuid.uuid4())
        content_type, text = self._body(request_id)
        body = b"" if method == "HEAD" else text.encode()
        headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("x-amz-request-id" if self.service == "s3" else "x-amzn-RequestId", request_id),
        ]
        if self.service == "batch":
            headers.append(("x-amzn-ErrorType", self.code))
        start(f"{self.status} {HTTPStatus(self.status).phrase}", headers)
        return [body]

    def _body(self, request_id: str) -> tuple[str, str]:
        code, message = self.code, escape(self.message)
        match self.service:
            case "s3":
                found = f"<RequestId>{request_id}</RequestId><HostId>sandbox</HostId>"
                return _xml(f"<Error>{_error(code, message)}{found}</Error>")
            case "ec2":
                errors = f"<Errors><Error>{_error(code, message)}</Error></Errors>"
                found = f"<RequestID>{request_id}</RequestID>"
                return _xml(f"<Response>{errors}{found}</Response>")
            case "iam" | "sts":
                error = f"<Error><Type>Sender</Type>{_error(code, message)}</Error>"
                found = f"<RequestId>{request_id}</RequestId>"
                name = _QUERY_NAMESPACES[self.service]
                return _xml(f'<ErrorResponse xmlns="{name}">{error}{found}</ErrorResponse>')
            case "logs":
                value = {"__type": code, "message": self.message}
                return "application/x-amz-json-1.1", json.dumps(value)
        return "application/json", json.dumps({"message": self.message})


def denied(service: str, caller: str, action: str, resource: str, reason: str) -> Refusal:
    """Return the refusal of *action* on *resource*; *caller* is empty for an unsigned request."""
    if not caller:
        return Refusal(service, DENIED, "Access Denied")
    about = f'"{resource}"' if service == "s3" else resource
    sentence = (
        f"User: {caller} is not authorized to perform: {action} on resource: {about} {reason}"
    )
    if service == "ec2":
        sentence = f"You are not authorized to perform this operation. {sentence}"
    return Refusal(service, DENIED, sentence)


def rejected(service: str, kind: str) -> Refusal:
    """Return the refusal of credentials, which are an ``UNKNOWN_KEY`` or ``EXPIRED``."""
    return Refusal(service, kind, _TEXTS.get((service, kind)) or _OTHER_TEXTS[kind])


def malformed() -> Refusal:
    """Return S3's refusal of a body that does not say what it is about."""
    return Refusal(
        "s3",
        MALFORMED,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def _xml(element: str) -> tuple[str, str]:
    return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{element}'


def _error(code: str, message: str) -> str:
    return f"<Code>{code}</Code><Message>{message}</Message>"
