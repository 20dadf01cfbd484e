"""Which access key a request is signed with. Whether the signature is right is not looked at.

The only reading of it: two that differ would let a request be judged as one thing and answered as
another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_SCOPE = re.compile(
    r"(?:Credential=)?([^/=\s]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)
_IN_QUERY = frozenset(
    {"AWSAccessKeyId", "Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"}
)
"""What the query of a presigned address has, by either version."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature says of itself."""

    access_key: str
    """Empty for a request that is not signed."""
    service: str = "s3"
    region: str = "us-east-1"


UNSIGNED = Signed("")
"""Only S3 takes such requests."""
UNREADABLE = Signed("?")
"""Signed, but not so that it tells by whom: with a key that nobody has."""


def read(environ: WSGIEnvironment) -> Signed:
    """Return who signed a request, in a header or in its query, for which service and region."""
    signed = environ.get("HTTP_AUTHORIZATION") or ""
    if signed.startswith("AWS "):  # version 2, of old
        return _of_version_2(signed[4:].partition(":")[0])
    if not signed:
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if not query.keys() & _IN_QUERY:
            return UNSIGNED
        if "AWSAccessKeyId" in query:
            return _of_version_2(query["AWSAccessKeyId"][0])
        signed = query.get("X-Amz-Credential", [""])[0]
    found = _SCOPE.search(signed)
    return Signed(found[1], found["service"].lower(), found["region"]) if found else UNREADABLE


def _of_version_2(access_key: str) -> Signed:
    return Signed(access_key) if access_key else UNREADABLE
