"""Which paths and symlink targets a manifest may hold: none that leads out of the build root."""

from __future__ import annotations

from nextstrain_batch.errors import CorruptError


def encoded(path: str) -> bytes:
    """Return a path's bytes, which order the entries of a manifest in every locale alike."""
    return path.encode("utf-8", "surrogateescape")


def check(path: str) -> bytes:
    """Return the bytes of an entry's path; raises ``CorruptError`` unless it stays below the root.

    That is: relative, no part empty, ``.`` or ``..``, no NUL, and bytes behind each surrogate.
    """
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts or "\0" in path:
        raise CorruptError(f"The path {path!r:.300} is not one below the build directory.")
    try:
        return encoded(path)
    except UnicodeEncodeError:
        raise CorruptError(f"The path {path!r:.300} is not the name of a file.") from None


def check_target(path: str, target: str) -> None:
    """Raise ``CorruptError`` unless *target* keeps the symlink at *path* below the root."""
    if not stays_inside(path, target) or "\0" in target:
        raise CorruptError(f"The symlink {path!r} leaves the build directory for {target!r:.300}.")
    try:
        encoded(target)
    except UnicodeEncodeError:
        raise CorruptError(f"The symlink {path!r} points at {target!r:.300}.") from None


def stays_inside(path: str, target: str) -> bool:
    """Tell whether a symlink at *path* stays below the root for sure, by the text of *target*.

    For sure: ``..`` may only come first, before any name. After a name it would lead wherever that
    name, itself perhaps a symlink, leads to; and as no entry lies below a symlink, the directory
    that the first parts lead up from is a real one.
    """
    if not target or target.startswith("/"):
        return False
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = 0
    while up < len(parts) and parts[up] == "..":
        up += 1
    return up <= path.count("/") and ".." not in parts[up:]
