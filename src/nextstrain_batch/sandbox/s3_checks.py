"""What S3 refuses and moto takes: bodies that are not what was sent, URLs that have expired."""

from __future__ import annotations

import base64
import hashlib
import io
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from .checksums import checksum
from .faulty_requests import signed_at
from .iam.guard import CALL, OPEN
from .troubles import Trouble, trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LONGEST = 604_800
"""Seconds that a presigned URL may be good for: a week."""

_CHECKSUM = "HTTP_X_AMZ_CHECKSUM_"
_NOT_SUMS = {"TYPE", "ALGORITHM", "MODE"}
_LENGTHS = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}


class S3Checks:
    """WSGI middleware. *age* returns how many seconds ago a moment (since 1970) was."""

    def __init__(self, application: WSGIApplication, age: Callable[[float], float]) -> None:
        self._application = application
        self._age = age

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Pass a request on unless S3 refuses it."""
        path = str(environ.get("PATH_INFO", ""))
        if path.startswith(OPEN) or environ[CALL].service != "s3":
            return self._application(environ, start)
        refusal = _expired(environ, self._age) or _damaged(environ)
        if refusal is not None:
            return refusal.answer(start, str(environ["REQUEST_METHOD"]))
        return self._application(environ, start)


def _expired(environ: WSGIEnvironment, age: Callable[[float], float]) -> Trouble | None:
    query = {n: v[0] for n, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
    if "X-Amz-Signature" in query:
        signed, seconds = signed_at(environ), query.get("X-Amz-Expires", "")
        if signed is None or not seconds.isdigit() or int(seconds) > LONGEST:
            return _refused(
                400,
                "AuthorizationQueryParametersError",
                "X-Amz-Expires must be less than a week (in seconds); that is, the given "
                "X-Amz-Expires must be less than 604800 seconds",
            )
        over = age(signed.timestamp()) > int(seconds)
    elif "Signature" in query and query.get("Expires", "").isdigit():
        # Version 2 does not say when it was signed, so the clock's advances cannot be counted.
        over = time.time() > float(query["Expires"])
    else:
        return None
    return _refused(403, "AccessDenied", "Request has expired") if over else None


def _damaged(environ: WSGIEnvironment) -> Trouble | None:
    sums = dict(_sums(environ))
    signed = str(environ.get("HTTP_X_AMZ_CONTENT_SHA256", ""))
    digest = signed if len(signed) == 64 else ""
    md5 = environ.get("HTTP_CONTENT_MD5")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    # What completes an upload names the checksum of the whole object.
    completes = environ["REQUEST_METHOD"] == "POST" and "uploadId" in environ.get(
        "QUERY_STRING", ""
    )
    chunked = signed.startswith("STREAMING-")
    if not length or completes or not (sums or digest or md5 or chunked):
        return None
    body: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    if digest and hashlib.sha256(body).hexdigest() != digest:
        return _refused(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    if chunked:
        content, trailers = _unchunked(body)
        sums |= {n: v for n, v in trailers.items() if n in _LENGTHS}
    else:
        content = body
    return _wrong_md5(md5, content) or _wrong_sum(sums, content)


def _sums(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        kind = name.removeprefix(_CHECKSUM)
        if kind != name and kind not in _NOT_SUMS:
            yield kind.lower(), str(value)


def _wrong_md5(given: str | None, body: bytes) -> Trouble | None:
    if given is None:
        return None
    if len(_decoded(given)) != 16:
        return _refused(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    if given != checksum("md5", body):
        return _refused(
            400, "BadDigest", "The Content-MD5 you specified did not match what we received."
        )
    return None


def _wrong_sum(given: Mapping[str, str], body: bytes) -> Trouble | None:
    for name, value in given.items():
        if len(_decoded(value)) != _LENGTHS.get(name):
            message = f"Value for x-amz-checksum-{name} header is invalid."
            return _refused(400, "InvalidRequest", message)
        computed = checksum(name, body)
        if computed not in {None, value}:
            message = f"The {name.upper()} you specified did not match the calculated checksum."
            return _refused(400, "BadDigest", message)
    return None


def _unchunked(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the content of an ``aws-chunked`` body, and the checksums of its trailer."""
    content = bytearray()
    position = 0
    while (end := body.find(b"\r\n", position)) >= 0:
        size = int(body[position:end].partition(b";")[0] or b"0", 16)
        position = end + 2
        if not size:
            break
        content += body[position : position + size]
        position += size + 2
    lines = body[position:].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return bytes(content), {
        name.strip().lower().removeprefix("x-amz-checksum-"): value.strip()
        for name, _, value in pairs
    }


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _refused(status: int, code: str, message: str) -> Trouble:
    return trouble("s3", status, code, message)
