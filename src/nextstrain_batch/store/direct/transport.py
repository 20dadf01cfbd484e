"""The store's transport on S3, spoken directly.

It does what ``store/s3.py`` does by botocore, and ends in the same errors. Requests that fail on
the way, or that S3 asks to repeat, are repeated.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nextstrain_batch import __version__
from nextstrain_batch.store.below_prefix import BelowPrefix, TooLateError
from nextstrain_batch.store.direct import answers, failures
from nextstrain_batch.store.direct.connections import BrokenError, Connections, Server
from nextstrain_batch.store.direct.credentials import utc_now
from nextstrain_batch.store.direct.place import is_known_region
from nextstrain_batch.store.direct.signature import Request, quoted, signed
from nextstrain_batch.store.transport import StoredObject, byte_range

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from nextstrain_batch.store.direct.connections import Answer
    from nextstrain_batch.store.direct.credentials import Credentials
    from nextstrain_batch.store.direct.place import Place

LONGEST_PAUSE = 20.0
"""Seconds between two attempts at most."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often it is tried, in seconds and attempts."""

    connect_timeout: float
    read_timeout: float
    attempts: int
    connections: int
    """Kept open at most."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Where the bucket is, and the connections to there."""

    place: Place
    connections: Connections

    @classmethod
    def to(cls, place: Place, limits: Limits) -> _Line:
        """Return a line to *place*; connections are made when they are needed."""
        scheme, _, rest = place.base.partition("://")
        host, _, port = rest.partition(":")
        server = Server(
            host=host,
            port=int(port) if port else None,
            is_tls=scheme == "https",
            connect_timeout=limits.connect_timeout,
            read_timeout=limits.read_timeout,
            kept=limits.connections,
        )
        return cls(place, Connections(server))


class DirectTransport(BelowPrefix):
    """A bucket below a prefix, for whomever *credentials* returns at each request."""

    def __init__(
        self,
        place: Place,
        prefix: str,
        credentials: Callable[[], Credentials],
        limits: Limits,
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(place.bucket, prefix)
        self._credentials = credentials
        self._limits = limits
        self._sleep = sleep
        self._now = now
        self._lock = threading.Lock()
        self._line = _Line.to(place, limits)

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or *length* of them from *start*; negative: from the end."""
        span = byte_range(start, length)
        headers = {} if span is None else {"range": span}
        with self._explaining("read", key):
            return self._ask(Request("GetObject", "GET", self._prefix + key, headers=headers)).body

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write an object. With *if_absent*, return false where it exists already."""
        headers = {"if-none-match": "*"} if if_absent else {}
        request = Request("PutObject", "PUT", self._prefix + key, headers=headers, body=data)
        with self._explaining("write", key):
            return self._ask(request, also={412} if if_absent else ()).status != 412

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with *prefix*, in the order of their keys."""
        start = len(self._prefix)
        token: str | None = None
        while True:
            page = self._page(prefix, token)
            for item in page.objects:
                yield StoredObject(item.key[start:], item.size, item.modified)
            token = page.more
            if not token:
                return

    def renew(self, key: str) -> None:
        """Copy an object onto itself; only a copy that changes its metadata does S3 accept."""
        headers = {
            "x-amz-copy-source": quoted(f"{self._bucket}/{self._prefix}{key}", "/"),
            "x-amz-metadata-directive": "REPLACE",
        }
        with self._explaining("renew", key):
            self._ask(Request("CopyObject", "PUT", self._prefix + key, headers=headers))

    def delete(self, key: str, *, may: Callable[[], bool] | None = None) -> bool:
        """Remove an object; with *may*, once at most and only if it may be done."""
        with self._explaining("delete", key):
            try:
                self._ask(Request("DeleteObject", "DELETE", self._prefix + key), may=may)
            except TooLateError:
                return False
        return True

    def _page(self, prefix: str, token: str | None) -> answers.Page:
        query = {"list-type": "2", "prefix": self._prefix + prefix}
        if token:
            query["continuation-token"] = token
        query["encoding-type"] = "url"  # a key may have characters that XML cannot
        with self._explaining("list", prefix):
            answer = self._ask(Request("ListObjectsV2", "GET", query=query))
            try:
                return answers.page(answer.body)
            except ValueError as error:
                raise failures.unreadable(error) from error

    def _ask(
        self, request: Request, also: Collection[int] = (), may: Callable[[], bool] | None = None
    ) -> Answer:
        """Return S3's answer: one that is no error, or whose status is among *also*.

        With *may*, which is asked each time before something is sent, there is one attempt. Raises
        botocore's exceptions once the attempts are used up, and ``TooLateError`` if it may not.
        """
        attempts = self._limits.attempts if may is None else 1
        attempt, is_moved = 1, False
        while True:
            line = self._line
            try:
                answer = self._ask_once(request, line, may)
            except BrokenError as broken:
                if attempt == attempts:
                    raise failures.lost(broken, _url(request, line.place)) from broken
            else:
                if answer.status < 300 or answer.status in also:
                    return answer
                if not is_moved and self._move(line, failures.region(answer)):
                    is_moved = True
                    continue
                if attempt == attempts or not failures.passes(answer):
                    raise failures.refusal(answer, request.operation)
            # Chance keeps many threads from coming back all at once.
            self._sleep(min(random.random() * 2 ** (attempt - 1), LONGEST_PAUSE))  # noqa: S311
            attempt += 1

    def _ask_once(self, request: Request, line: _Line, may: Callable[[], bool] | None) -> Answer:
        place = line.place

        def headers() -> dict[str, str]:
            path, who, now = _path(request, place), self._credentials(), self._now()
            # The date is set before it is asked: S3 refuses what is sent much later all the same.
            if may is not None and not may():
                raise TooLateError
            fields = signed(request, place.host, path, place.region, who, now)
            return {**fields, "user-agent": f"nextstrain-batch/{__version__}"}

        answer = line.connections.ask(
            request.method, _target(request, place), headers, request.body
        )
        # A copy that fails late has begun its answer with 200 already.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        if (
            request.operation == "CopyObject"
            and answers.error(answer.body)
            and answer.status == 200
        ):
            return replace(answer, status=500)
        return answer

    def _move(self, line: _Line, region: str | None) -> bool:
        """Speak to *region* from now on; return whether that is another one than *line*'s."""
        if region is None or region == line.place.region or not is_known_region(region):
            return False
        with self._lock:
            if self._line.place.region != region:
                self._line = _Line.to(line.place.moved(region), self._limits)
        return True


def _path(request: Request, place: Place) -> str:
    path = f"{place.path}/{quoted(request.key, '/')}" if request.key else place.path
    return path or "/"


def _target(request: Request, place: Place) -> str:
    query = request.query_string
    return f"{_path(request, place)}?{query}" if query else _path(request, place)


def _url(request: Request, place: Place) -> str:
    return place.base + _target(request, place)
