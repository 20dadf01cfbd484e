"""What a request asks for: an operation, and which actions on which resources it takes.

A request may take several: copying an object reads one and writes another, and whoever registers
a job definition hands its role over. All of them have to be allowed.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from wsgiref.types import WSGIEnvironment

    from .patterns import Values
    from .signature import Signed

OWN_NAME = "${aws:username}"
"""Stands in a resource for the caller's own name, where a request leaves the name out."""


@dataclass(frozen=True, slots=True)
class Need:
    """One action on one resource, and the condition keys that belong to it alone."""

    action: str
    """``s3:GetObject``."""
    resource: str = "*"
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks for."""

    signed: Signed
    operation: str
    """As the service's API names it: ``HeadObject``; empty where it cannot be told."""
    needs: tuple[Need, ...]
    """What it takes. Nothing for what everybody may do."""

    @property
    def service(self) -> str:
        """The service's name in signatures."""
        return self.signed.service


@dataclass(frozen=True, slots=True)
class Incoming:
    """What of a request tells what it is."""

    method: str
    path: str
    """Percent-decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """WSGI's: ``HTTP_X_AMZ_TARGET``."""
    body: bytes
    region: str
    account: str

    @classmethod
    def of(cls, environ: WSGIEnvironment, signed: Signed, account: str) -> Incoming:
        """Read it. The body stays readable; that of an S3 object is left alone."""
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        return cls(
            method=environ["REQUEST_METHOD"],
            path=_path(environ),
            query={name: values[0] for name, values in query.items()},
            headers=environ,
            body=b"" if signed.service == "s3" and "delete" not in query else body(environ),
            region=signed.region,
            account=account,
        )

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty for anything else."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the request's region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def role_to_pass(self, role: str, service: str) -> Need:
        """Return what it takes to hand a role, by name or ARN, to a service."""
        arn = role if role.startswith("arn:") else f"arn:aws:iam::{self.account}:role/{role}"
        return Need("iam:PassRole", arn, {"iam:passedtoservice": (service,)})


def tag_values(key: str, tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return tags as a condition key has them, such as ``aws:requesttag``, one key for each tag.

    Letter case is of no account in the keys of tags where a policy names them ("aws:ResourceTag",
    AWS global condition context keys).
    """
    return {f"{key}/{name}".lower(): (str(value),) for name, value in tags.items()}


def body(environ: WSGIEnvironment) -> bytes:
    """Return the request's body, and leave it to be read again."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    found: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(found)
    return found


def _path(environ: WSGIEnvironment) -> str:
    """Return the path as it was meant: WSGI gives its bytes as if they were Latin-1."""
    raw = environ.get("REQUEST_URI")
    if raw:
        return unquote(str(raw).partition("?")[0])
    return str(environ.get("PATH_INFO", "/")).encode("latin-1").decode("utf-8", "replace")
