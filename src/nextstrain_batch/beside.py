"""The names of what a download keeps: what was in a result's place, and is now beside it.

Nothing of such a name travels. It may hold what was left out for being secret, or lead out of the
root.
"""

from __future__ import annotations

import os
import re

from nextstrain_batch.store import keys

_LONGEST_NAME = 255
"""Bytes of a file's name on any file system that people build on."""

_BEFORE = ".before-"
_KEPT = re.compile(rf"{re.escape(_BEFORE)}{keys.RUN_ID}(-[0-9]+)?(/|\Z)")


def name(path: str, run_id: str, number: int = 1) -> str:
    """Return where to keep what is at *path* before the results of a run come there.

    That is the *number*-th such place. The last name is shortened where it would become too long;
    its ending stays whole, as it is what ``is_kept`` knows it by.
    """
    parent, slash, last = path.rpartition("/")
    ending = f"{_BEFORE}{run_id}" + (f"-{number}" if number > 1 else "")
    while last and len(os.fsencode(last + ending)) > _LONGEST_NAME:
        last = last[:-1]
    return f"{parent}{slash}{last}{ending}"


def is_kept(path: str) -> bool:
    """Tell by its name whether something was kept by a download, or lies in what was."""
    return _KEPT.search(path) is not None
