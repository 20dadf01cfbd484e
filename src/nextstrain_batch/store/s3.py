"""The store's transport on S3, by botocore: for all ways to AWS that it knows.

``direct`` does the same without it, for the common ones.

botocore itself repeats requests that fail on the way or that S3 asks to repeat. What is repeated
here is what it does not: an answer that breaks off in the middle of its body, and the race of two
conditional writes.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nextstrain_batch.aws_errors import error_code
from nextstrain_batch.store.below_prefix import BelowPrefix, TooLateError
from nextstrain_batch.store.transport import StoredObject, byte_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ATTEMPTS = 5


class S3Transport(BelowPrefix):
    """A bucket below a prefix. *client* is botocore's for S3, which threads may share."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - botocore makes its clients' classes as it runs
        bucket: str,
        prefix: str = "",
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(bucket, prefix)
        self._client = client
        self._sleep = sleep
        events = client.meta.events
        events.register("before-send.s3.DeleteObject", _check, "nextstrain-batch-check")
        events.register_first("needs-retry.s3.DeleteObject", _once, "nextstrain-batch-once")

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or *length* of them from *start*; negative: from the end."""
        options = {} if (span := byte_range(start, length)) is None else {"Range": span}
        with self._explaining("read", key):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    answer = self._client.get_object(**self._named(key), **options)
                    data: bytes = answer["Body"].read()
                except Exception as error:
                    if attempt == _ATTEMPTS or not _broken_off(error):
                        raise
                    self._sleep(0.2 * 2**attempt)
                else:
                    return data
        raise AssertionError("the last attempt returns or raises")

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write an object. With *if_absent*, return false where it exists already."""
        options = {"IfNoneMatch": "*"} if if_absent else {}
        with self._explaining("write", key):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._client.put_object(**self._named(key), Body=data, **options)
                except Exception as error:
                    code = error_code(error)
                    if if_absent and code in {"PreconditionFailed", "412"}:
                        return False
                    # Somebody else is writing the same object at this moment; S3 says to retry.
                    race = code in {"ConditionalRequestConflict", "409"}
                    if attempt == _ATTEMPTS or not race:
                        raise
                    self._sleep(0.2 * 2**attempt)
                else:
                    return True
        raise AssertionError("the last attempt returns or raises")

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with *prefix*, in the order of their keys."""
        start = len(self._prefix)
        token: str | None = None
        while True:
            options = {"ContinuationToken": token} if token else {}
            with self._explaining("list", prefix):
                page = self._client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._prefix + prefix, **options
                )
            for item in page.get("Contents", ()):
                yield StoredObject(item["Key"][start:], item["Size"], item["LastModified"])
            token = page.get("NextContinuationToken")
            if not token:
                return

    def renew(self, key: str) -> None:
        """Copy an object onto itself; only a copy that changes its metadata does S3 accept."""
        with self._explaining("renew", key):
            self._client.copy_object(
                **self._named(key), CopySource=self._named(key), MetadataDirective="REPLACE"
            )

    def delete(self, key: str, *, may: Callable[[], bool] | None = None) -> bool:
        """Remove an object; with *may*, once at most and only if it may be done."""
        with self._explaining("delete", key), _cautious(may):
            try:
                self._client.delete_object(**self._named(key))
            except TooLateError:
                return False
        return True

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}


class _Caution(threading.local):
    """What botocore's handlers, which all of a client's requests share, know of this thread's."""

    may: Callable[[], bool] | None = None


_caution = _Caution()


@contextmanager
def _cautious(may: Callable[[], bool] | None) -> Iterator[None]:
    _caution.may = may
    try:
        yield
    finally:
        _caution.may = None


def _check(**_: object) -> None:
    """Look whether a request, which is signed already, may be sent."""
    if _caution.may is not None and not _caution.may():
        raise TooLateError


def _once(**_: object) -> bool | None:
    """Keep botocore from repeating a request."""
    return None if _caution.may is None else False


def _broken_off(error: Exception) -> bool:
    from botocore.exceptions import (
        ConnectionClosedError,
        IncompleteReadError,
        ReadTimeoutError,
        ResponseStreamingError,
    )

    return isinstance(
        error,
        (ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError),
    )
