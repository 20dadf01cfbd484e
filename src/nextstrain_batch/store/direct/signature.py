"""AWS Signature Version 4, as S3 wants it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

The digest of the body is signed each time, so S3 refuses a body that was damaged on its way.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nextstrain_batch.store.direct.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Request:
    """A request before it is signed."""

    operation: str
    """Its name in the API reference, such as ``GetObject``."""
    method: str
    key: str = ""
    """The object's, unquoted; empty for the bucket itself."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Unquoted."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that are signed besides the host and the signature's own; lower-case names."""
    body: bytes = b""

    @property
    def query_string(self) -> str:
        """The quoted query, in the order given."""
        return _joined(self.quoted_query)

    @property
    def quoted_query(self) -> list[tuple[str, str]]:
        """Names and values, quoted, in the order given."""
        return [(quoted(name), quoted(value)) for name, value in self.query.items()]


def quoted(text: str, safe: str = "") -> str:
    """Quote as the signature demands: all but letters, digits and ``-._~``."""
    return quote(text, safe=f"-._~{safe}")


def _joined(query: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in query)


def signed(
    request: Request,
    host: str,
    path: str,
    region: str,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """Return all headers to send with *request*; *path* is quoted, *now* is in UTC."""
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    digest = sha256(request.body).hexdigest()
    headers = {**request.headers, "host": host, "x-amz-date": time, "x-amz-content-sha256": digest}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = sorted(headers)
    canonical = "\n".join(
        [
            request.method,
            path,
            _joined(sorted(request.quoted_query)),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            digest,
        ]
    )
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope},"
        f" SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return headers
