"""Paths as people read them: in a message, or on a line of their own."""

from __future__ import annotations

from nextstrain_batch.store.paths import encoded


def shown(path: str) -> str:
    """Return *path* quoted for a message; undecodable bytes as escapes, so it can be printed."""
    text = encoded(path).decode("utf-8", "backslashreplace")
    return repr(text) if not text.isprintable() or "'" in text else f"'{text}'"


def printable(path: str) -> str:
    """Return *path* for a line of its own: as it is, unless it could not be printed."""
    return path if path.isprintable() else shown(path)
