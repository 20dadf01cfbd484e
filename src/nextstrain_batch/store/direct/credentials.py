"""Who asks: fixed keys, or those that a container is given and that change as time passes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REFRESH_BEFORE = timedelta(minutes=10)
"""A container's keys are replaced when less than this remains of their life, as botocore does."""
TRIES = 3
PAUSE = 1.0
"""Seconds between the tries to get a container's keys."""
TIMEOUT = 2.0
"""Seconds that whoever hands out a container's keys may take: it runs on the same machine."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Access to an account."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def utc_now() -> datetime:
    """Return the present, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ContainerAddress:
    """Where a container's keys are to be had, by plain HTTP; botocore has the same rules."""

    host: str
    port: int
    path: str
    token: str | None = field(default=None, repr=False)
    """What the container identifies itself with, unless *token_file* is given."""
    token_file: Path | None = None
    """Read anew each time, as its content changes."""


class ContainerCredentials:
    """The credentials of a container's role. Safe to use from several threads.

    Calling it returns credentials that last ten minutes at least, or raises botocore's
    ``CredentialRetrievalError`` after several tries.
    """

    def __init__(
        self,
        address: ContainerAddress,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._kept: tuple[Credentials, datetime] | None = None

    def __call__(self) -> Credentials:
        """Return the credentials, new ones if need be."""
        with self._lock:
            if self._kept is None or self._kept[1] - self._now() < REFRESH_BEFORE:
                self._kept = self._fetch_patiently()
            return self._kept[0]

    def _fetch_patiently(self) -> tuple[Credentials, datetime]:
        from http.client import HTTPException

        for attempt in range(1, TRIES + 1):
            try:
                return _fetch(self._address)
            # ValueError: no JSON, no time, or a token that no header can carry.
            except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
                if attempt == TRIES:
                    from botocore.exceptions import CredentialRetrievalError

                    raise CredentialRetrievalError(
                        provider="container-role", error_msg=str(error) or repr(error)
                    ) from error
            self._sleep(PAUSE)
        raise AssertionError("the last try returns or raises")


def _fetch(address: ContainerAddress) -> tuple[Credentials, datetime]:
    """Ask once; return the credentials and when they expire."""
    import json
    from http.client import HTTPConnection

    headers = {"Accept": "application/json"}
    token = address.token_file.read_text() if address.token_file else address.token
    if token is not None:
        headers["Authorization"] = token
    connection = HTTPConnection(address.host, address.port, timeout=TIMEOUT)
    try:
        connection.request("GET", address.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"the container's metadata service answered {answer.status}: {body!r}")
    values = json.loads(body)
    keys = Credentials(values["AccessKeyId"], values["SecretAccessKey"], values["Token"])
    expiry = datetime.fromisoformat(values["Expiration"])
    return keys, expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
