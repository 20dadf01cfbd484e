"""What both transports to S3 share: names below a prefix, and the errors that tell them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import explaining

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class TooLateError(Exception):
    """A request was not sent, as it may not be done any more."""


class BelowPrefix:
    """A bucket below a prefix; slashes around that do not matter."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``, without a slash at its end."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def _explaining(self, verb: str, key: str) -> AbstractContextManager[None]:
        """Raise what ``Transport`` promises where botocore's exceptions end the ``with``."""
        return explaining(f"{verb} {self.url}/{key}")
