"""Python's garbage collector, and how rarely this program wants it."""

from __future__ import annotations

import gc

_THRESHOLD = 50_000
"""More objects than are discarded since the last time; Python's own is 700."""


def collect_rarely() -> None:
    """Let the collector run seldom: nearly all that a transfer makes is data that stays.

    With 50,000 files, looking through it again and again took almost half of the time.
    """
    gc.set_threshold(_THRESHOLD, *gc.get_threshold()[1:])
