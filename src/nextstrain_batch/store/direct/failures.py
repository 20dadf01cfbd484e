"""What S3 refuses, and what breaks on the way: which of it passes, and botocore's words for it.

botocore's exceptions are raised so that ``aws_errors`` explains both transports' trouble alike.
botocore is imported for that alone, when there is trouble.
"""

from __future__ import annotations

import ssl
from http.client import IncompleteRead, responses
from typing import TYPE_CHECKING, Any

from nextstrain_batch.store.direct import answers

if TYPE_CHECKING:
    from nextstrain_batch.store.direct.connections import Answer, BrokenError

_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {
        "BadDigest",  # the body was damaged on its way, as is the next one
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",  # somebody writes the same object: S3 says to try again
        "InternalError",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "XAmzContentSHA256Mismatch",
    }
)


def passes(answer: Answer) -> bool:
    """Return whether the same request may have another answer in a moment."""
    return answer.status in _PASSING_STATUSES or code(answer) in _PASSING_CODES


def code(answer: Answer) -> str:
    """Return S3's code for an error, such as ``NoSuchKey``; the status where it gave none."""
    return _error(answer)["Code"]


def region(answer: Answer) -> str | None:
    """Return the region that S3 says the bucket is in, where it says that it is in another one."""
    error = _error(answer)
    if answer.status not in {301, 302, 307} and error["Code"] not in {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "PermanentRedirect",
    }:
        return None
    return answer.headers.get("x-amz-bucket-region") or error.get("Region")


def refusal(answer: Answer, operation: str) -> Exception:
    """Return botocore's exception for an error that S3 answered with."""
    from botocore.exceptions import ClientError

    metadata = {"HTTPStatusCode": answer.status, "HTTPHeaders": dict(answer.headers)}
    response: Any = {"Error": _error(answer), "ResponseMetadata": metadata}
    return ClientError(response, operation)


def lost(broken: BrokenError, url: str) -> Exception:
    """Return botocore's exception for a request to *url* that had no whole answer."""
    from botocore import exceptions as boto

    cause = broken.cause
    if isinstance(cause, ssl.SSLError):
        return boto.SSLError(endpoint_url=url, error=cause)
    if isinstance(cause, TimeoutError):
        kind = boto.ConnectTimeoutError if broken.phase == "connecting" else boto.ReadTimeoutError
        return kind(endpoint_url=url, error=cause)
    if broken.phase == "connecting":
        return boto.EndpointConnectionError(endpoint_url=url, error=cause)
    if broken.phase == "waiting":
        return boto.ConnectionClosedError(endpoint_url=url, error=cause)
    if isinstance(cause, IncompleteRead):
        actual = len(cause.partial)
        return boto.IncompleteReadError(
            actual_bytes=actual, expected_bytes=actual + (cause.expected or 0)
        )
    return boto.ResponseStreamingError(error=cause)


def unreadable(error: ValueError) -> Exception:
    """Return botocore's exception for an answer that is not what it should be."""
    from botocore.exceptions import ResponseStreamingError

    return ResponseStreamingError(error=error)


def _error(answer: Answer) -> dict[str, str]:
    found = answers.error(answer.body)
    if found is not None and "Code" in found:
        return found
    return {"Code": str(answer.status), "Message": responses.get(answer.status, "")}
