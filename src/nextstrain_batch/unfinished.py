"""What a download leaves behind that is killed: files that were begun and never got their names."""

from __future__ import annotations

import contextlib
import stat
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

DEAD = timedelta(days=1)
"""A download that is at work touches its files more often than that."""


def clear(root: Path, paths: Iterable[str], now: datetime) -> list[int]:
    """Remove those of the *paths* below *root* that were not touched for long; return their sizes.

    In bytes. A directory is none of a download's, and stays.
    """
    sizes: list[int] = []
    for path in paths:
        file = root / path
        # Whoever may not remove it, or comes too late, loses nothing.
        with contextlib.suppress(OSError):
            status = file.lstat()
            # By its change: the time of modification is what the file is to have in the end.
            age = now.timestamp() - status.st_ctime
            if age > DEAD.total_seconds() and not stat.S_ISDIR(status.st_mode):
                file.unlink()
                sizes.append(status.st_size)
    return sizes
