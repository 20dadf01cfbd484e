"""Where a bucket is spoken to: its host and path, for a region of AWS or a server of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

_SUFFIXES = (
    # As in botocore's endpoint rules. Other partitions are left to botocore.
    (re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d+"), "amazonaws.com"),
    (re.compile(r"us-gov-[a-z]+-\d+"), "amazonaws.com"),
    (re.compile(r"cn-[a-z]+-\d+"), "amazonaws.com.cn"),
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ENDPOINT = re.compile(rf"https?://{_LABEL}(?:\.{_LABEL})*(?::\d{{1,5}})?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket in a region, or on the server at *endpoint*."""

    bucket: str
    region: str
    endpoint: str | None = None
    """``scheme://host[:port]``, without a slash at its end."""

    @property
    def base(self) -> str:
        """Scheme and host: the bucket's own on AWS, else the endpoint."""
        if self.endpoint is not None:
            return self.endpoint
        # As botocore has it; both names lead to the same servers.
        region = "" if self.region == "us-east-1" else f".{self.region}"
        return f"https://{self.bucket}.s3{region}.{_suffix(self.region)}"

    @property
    def host(self) -> str:
        """What the header ``Host`` says: without the scheme's own port."""
        parts = urlsplit(self.base)
        own = {"http": 80, "https": 443}[parts.scheme]
        port = "" if parts.port in {None, own} else f":{parts.port}"
        return f"{parts.hostname}{port}"

    @property
    def path(self) -> str:
        """What an object's key comes after, a slash in between."""
        return "" if self.endpoint is None else f"/{self.bucket}"

    def moved(self, region: str) -> Place:
        """Return the same bucket in another region."""
        return replace(self, region=region)


def is_known_region(region: str) -> bool:
    """Return whether it is certain where S3 is in *region*."""
    return _suffix(region) is not None


def is_plain_endpoint(endpoint: str) -> bool:
    """Return whether *endpoint* is a host of somebody's own, and nothing besides."""
    # AWS's own hosts have rules of their own, such as those of access points.
    return bool(_ENDPOINT.fullmatch(endpoint)) and "amazonaws" not in endpoint


def is_plain_bucket(name: str) -> bool:
    """Return whether *name* is that of an ordinary bucket that may stand before any host.

    A certificate's wildcard covers no dots. Two hyphens mark S3's other kinds of buckets, and
    ``-s3alias`` an access point.
    """
    return bool(_BUCKET.fullmatch(name)) and "--" not in name and not name.endswith("-s3alias")


def _suffix(region: str) -> str | None:
    for pattern, suffix in _SUFFIXES:
        if pattern.fullmatch(region):
            return suffix
    return None
