"""AWS's quotas on calls a second, each for an account in a region."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Quota:
    """A bucket of tokens that holds a second's worth. Safe to use from several threads.

    *rate* returns calls a second, which may change; *clock* counts seconds.
    """

    def __init__(self, rate: Callable[[], float], clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, region: str) -> bool:
        """Count a call; return whether it is within the quota."""
        rate = self._rate()
        if math.isinf(rate):
            return True
        now = self._clock()
        with self._lock:
            left, since = self._left.get(region, (max(rate, 1.0), now))
            left = min(max(rate, 1.0), left + max(0.0, now - since) * rate)
            allowed = left >= 1.0
            self._left[region] = (left - 1.0 if allowed else left, now)
        return allowed
