"""A transport that rides out trouble: nobody sends gigabytes anew for a minute without network.

The transports' own retries bridge some seconds, because much is better told soon: that there is no
such endpoint, that a log cannot be read just now. A transfer deserves more.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self, TypeVar

from nextstrain_batch.aws_errors import TRANSIENT
from nextstrain_batch.errors import UnreachableError
from nextstrain_batch.trouble import PATIENCE, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nextstrain_batch.errors import UserError
    from nextstrain_batch.store.transport import StoredObject, Transport

T = TypeVar("T")


class Patient:
    """A bucket as *transport* has it, whose requests are repeated while trouble lasts.

    Not before one of them has succeeded, unless the bucket *has_answered* others: what never worked
    is told at once. After that each is repeated for *patience* seconds, increasingly rarely (see
    ``Trouble``), and raises ``UnreachableError`` then. Once one has, the others that fail do so at
    once, until one succeeds. Trouble is what ``aws_errors.TRANSIENT`` holds; other errors pass
    through. *tell* gets a line when it begins, and one when it is over.

    ``delete`` is not repeated: what stays does no harm, and *may* is to be asked once.
    """

    def __init__(
        self,
        transport: Transport,
        tell: Callable[[str], None],
        *,
        has_answered: bool = False,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.at_once = transport
        """The same bucket, without the patience."""
        self._state = _State(tell, has_answered=has_answered)
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``, without a slash at its end."""
        return self.at_once.url

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return an object's bytes, or *length* of them from *start*; negative: from the end."""
        return self._ask(lambda: self.at_once.get(key, start, length))

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Write an object. With *if_absent*, return false where it exists already.

        It may exist by this very call, where the answer to it was lost.
        """
        return self._ask(lambda: self.at_once.put(key, data, if_absent=if_absent))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with *prefix*, in the order of their keys."""
        last = ""
        with self._request() as request:
            while True:
                try:
                    for found in self.at_once.list(prefix):
                        if found.key > last:  # Only then has more come than the last time.
                            request.passed()
                            last = found.key
                            yield found
                except TRANSIENT as error:
                    request.failed(error)
                else:
                    request.passed()
                    return

    def renew(self, key: str) -> None:
        """Make an object as new as one just written, so that its expiry starts again."""
        self._ask(lambda: self.at_once.renew(key))

    def delete(self, key: str, *, may: Callable[[], bool] | None = None) -> bool:
        """Remove an object, as the transport itself does."""
        return self.at_once.delete(key, may=may)

    def _ask(self, ask: Callable[[], T]) -> T:
        with self._request() as request:
            while True:
                try:
                    answer = ask()
                except TRANSIENT as error:
                    request.failed(error)
                else:
                    request.passed()
                    return answer

    def _request(self) -> _Request:
        return _Request(self._state, Trouble(self._clock, self._patience), self._sleep)


class _State:
    """What the requests to one bucket have in common; each method may be called by any thread."""

    def __init__(self, tell: Callable[[str], None], *, has_answered: bool) -> None:
        self.has_answered = has_answered
        self.given_up: UserError | None = None
        """Why the last request was given up, if none has succeeded since."""
        self._tell = tell
        self._in_trouble = 0
        self._lock = threading.Lock()

    def answered(self) -> None:
        self.has_answered = True
        self.given_up = None

    def begin_trouble(self, error: UserError, minutes: float) -> None:
        with self._lock:
            self._in_trouble += 1
            if self._in_trouble == 1:
                what = str(error).partition("\n")[0]
                self._tell(f"{what} Trying again for up to {minutes:.0f} minutes.")

    def end_trouble(self, *, is_mended: bool) -> None:
        with self._lock:
            self._in_trouble -= 1
            if is_mended and not self._in_trouble:
                self._tell("The bucket answers again.")


class _Request:
    """One request, repeated until it passes or is given up; over when the ``with`` is."""

    def __init__(self, state: _State, trouble: Trouble, sleep: Callable[[float], None]) -> None:
        self._state = state
        self._trouble = trouble
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(is_mended=False)

    def failed(self, error: UserError) -> None:
        """Wait until it may be tried again. Raises an error where that is not to be."""
        if not self._state.has_answered:
            raise error
        if self._state.given_up is not None:
            # The patience is one for all: what begins when others have used it up has none.
            raise self._state.given_up
        is_first = not self._trouble.lasts
        try:
            pause = self._trouble.failed(error)
        except UnreachableError as given_up:
            self._state.given_up = given_up
            raise
        if is_first:
            self._state.begin_trouble(error, self._trouble.patience / 60)
        self._sleep(pause)

    def passed(self) -> None:
        """Take note that it did."""
        self._state.answered()
        self._end(is_mended=True)

    def _end(self, *, is_mended: bool) -> None:
        if self._trouble.lasts:
            self._trouble.passed()
            self._state.end_trouble(is_mended=is_mended)
