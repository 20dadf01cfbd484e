"""Which access key a request is signed with. Whether the signature is right is not looked at."""

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


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature says of itself."""

    access_key: str
    """Empty for a request that is not signed."""
    service: str = "s3"
    region: str = "us-east-1"


UNSIGNED = Signed("")
"""Only S3 takes such requests."""


def read(environ: WSGIEnvironment) -> Signed:
    """Return who signed a request, in a header or in its query, for which service and region."""
    header = environ.get("HTTP_AUTHORIZATION") or ""
    if header.startswith("AWS "):  # version 2, of old
        return Signed(header[4:].partition(":")[0])
    if not header:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if "AWSAccessKeyId" in query:
            return Signed(query["AWSAccessKeyId"][0])
        header = (query.get("X-Amz-Credential") or [""])[0]
    found = _SCOPE.search(header)
    return Signed(found[1], found["service"].lower(), found["region"]) if found else UNSIGNED
