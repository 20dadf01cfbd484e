"""The sandbox's own endpoint: stop it, save it, move its clock, break it.

All of it wants the token of ``server.json``, which only the user can read, so that no job and
nobody else on this computer can stop the server.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/_sandbox/control/"
TOKEN_HEADER = "HTTP_X_SANDBOX_TOKEN"  # noqa: S105


class Clock:
    """Seconds since 1970, with an offset that tests and fault injection move."""

    def __init__(self, real: Callable[[], float] = time.time) -> None:
        self.offset = 0.0
        self._real = real
        self._advances: list[tuple[float, float]] = []

    def __call__(self) -> float:
        """Return the sandbox's time."""
        return self._real() + self.offset

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._advances.append((self._real(), seconds))
        self.offset += seconds

    def age(self, moment: float) -> float:
        """Return how many seconds ago a moment was that somebody else's clock told.

        Of what was advanced, only what came after it counts: other clocks do not move along.
        """
        later = sum(seconds for at, seconds in self._advances if at >= moment)
        return self._real() - moment + later


class Control:
    """Answers control requests."""

    def __init__(
        self,
        token: str,
        clock: Clock,
        stop: Callable[[], None],
        wake: Callable[[], None],
        save: Callable[[], None],
    ) -> None:
        self._token = token
        self._clock = clock
        self._stop = stop
        self._wake = wake
        self._save = save
        self.on_advance: Callable[[float], None] = lambda _: None
        """Told how many seconds pass at once."""
        self.actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        """Further actions: each takes the request and returns the answer, or raises
        ``ValueError``."""

    def allows(self, method: str, token: str) -> bool:
        """Tell whether a request may control the server."""
        return method == "POST" and hmac.compare_digest(self._token.encode(), token.encode())

    def answer(self, path: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the HTTP status and the answer to a request that is allowed."""
        action = path.removeprefix(PATH)
        match action:
            case "shutdown":
                self._stop()
            case "save":
                self._save()
            case "clock":
                self._clock.advance(float(request.get("advance", 0)))
                self.on_advance(float(request.get("advance", 0)))
                self._wake()
            case _ if action in self.actions:
                try:
                    return 200, self.actions[action](request)
                except ValueError as error:
                    return 400, {"message": str(error)}
            case _:
                return 404, {"message": f"There is no {action}"}
        return 200, {}
