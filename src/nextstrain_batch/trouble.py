"""How long trouble that passes is ridden out, and when to try again meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch.errors import UnreachableError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 600.0
"""Seconds for which trouble with the connection is ridden out."""

_FIRST_RETRY = 1.0
_SLOWEST_RETRY = 30.0


class Trouble:
    """Trouble of one kind of request: how long it has lasted, and when to try again.

    *clock* counts seconds; after *patience* of them it is given up.
    """

    def __init__(self, clock: Callable[[], float], patience: float = PATIENCE) -> None:
        self.patience = patience
        self._clock = clock
        self._since: float | None = None
        self._retry = _FIRST_RETRY

    @property
    def lasts(self) -> bool:
        """Whether the last request failed."""
        return self._since is not None

    @property
    def lasted(self) -> float:
        """Seconds since the first request of those that failed in a row."""
        return 0.0 if self._since is None else self._clock() - self._since

    def failed(self, error: UserError, *, give_up: bool = True) -> float:
        """Return the seconds until the next try: 1, 2, 4 … 30.

        Raises ``UnreachableError`` when patience ends, unless *give_up* is false.
        """
        if self._since is None:
            self._since, self._retry = self._clock(), _FIRST_RETRY
        if give_up and self.lasted >= self.patience:
            minutes = self.patience / 60
            raise UnreachableError(
                f"{error}\n\nThis has lasted for {minutes:.0f} minutes."
            ) from error
        pause, self._retry = self._retry, min(self._retry * 2, _SLOWEST_RETRY)
        return pause

    def passed(self) -> None:
        """Take note that a request succeeded."""
        self._since = None
