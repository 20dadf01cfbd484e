"""What services answer when something is wrong, by the code and in the form of each."""

from __future__ import annotations

from dataclasses import dataclass

from .iam.answers import EXPIRED, Refusal, rejected

_KIND = "trouble"

_THROTTLED: dict[str, tuple[int, str, str]] = {
    "s3": (503, "SlowDown", "Please reduce your request rate."),
    "batch": (429, "TooManyRequestsException", "Too Many Requests"),
    "logs": (400, "ThrottlingException", "Rate exceeded"),
    "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "credentials": (429, "TooManyRequests", "Rate exceeded"),
}
_THROTTLED_QUERY = (400, "Throttling", "Rate exceeded")

_FAILED: dict[str, tuple[str, str]] = {
    # The codes for 500 and for the others.
    "s3": ("InternalError", "ServiceUnavailable"),
    "batch": ("ServerException", "ServerException"),
    "logs": ("InternalFailure", "ServiceUnavailableException"),
    "ec2": ("InternalError", "Unavailable"),
}
_FAILED_QUERY = ("InternalFailure", "ServiceUnavailable")

_TOO_FAR = "Signature expired: {signed} is now {order} {limit}"
_SKEWED: dict[str, tuple[int, str, str]] = {
    "s3": (
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
    ),
    "iam": (403, "SignatureDoesNotMatch", _TOO_FAR),
    "sts": (403, "SignatureDoesNotMatch", _TOO_FAR),
    "logs": (400, "InvalidSignatureException", _TOO_FAR),
}
_SKEWED_JSON = (403, "InvalidSignatureException", _TOO_FAR)


@dataclass(frozen=True, slots=True)
class Trouble(Refusal):
    """An error of any code, in its service's form."""

    http_status: int = 500
    error_code: str = "InternalError"

    @property
    def _code(self) -> tuple[int, str]:
        return self.http_status, self.error_code


def trouble(service: str, status: int, code: str, message: str) -> Trouble:
    """Return the error of a service."""
    return Trouble(service, _KIND, message, status, code)


def throttled(service: str) -> Trouble:
    """Return what a service answers who asks too often."""
    return trouble(service, *_THROTTLED.get(service, _THROTTLED_QUERY))


def failed(service: str, status: int) -> Trouble:
    """Return what a service answers whose own side fails."""
    internal, unavailable = _FAILED.get(service, _FAILED_QUERY)
    message = (
        "We encountered an internal error. Please try again."
        if status == 500
        else "Service is unable to handle request."
    )
    return trouble(service, status, internal if status == 500 else unavailable, message)


def expired(service: str) -> Refusal:
    """Return what a service answers to credentials that have expired."""
    return rejected(service, EXPIRED)


def skewed(service: str, signed: str, now: str, *, behind: bool) -> Trouble:
    """Return what a service answers to a request of another time than its own.

    Both as ``20261123T041500Z``; *behind* says that the request is older than it may be.
    """
    status, code, message = _SKEWED.get(service, _SKEWED_JSON)
    order = "earlier than" if behind else "later than"
    return trouble(service, status, code, message.format(signed=signed, order=order, limit=now))
