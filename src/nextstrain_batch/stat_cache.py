"""What the files of a build directory held when they were last read, so that most are not again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nextstrain_batch import atomic
from nextstrain_batch.store.manifest import Chunk

if TYPE_CHECKING:
    import os
    from pathlib import Path

_FORMAT = "nextstrain-batch stat cache"
_VERSION = 1

# A write within the same tick of the file system's clock as the reading may leave the
# modification time as it was. Linux ticks at 1 to 10 ms; a time without a fraction of a
# second comes from a file system that counts in seconds, or two of them (FAT), and may be a
# server's, whose clock need not agree with ours to the second.
_TICK_NS = 20_000_000
_COARSE_TICK_NS = 10_000_000_000
_SECOND_NS = 1_000_000_000

Row = list[Any]
"""Size, mtime, ctime, inode, and a list of digests and sizes in turn."""


class StatCache:
    """Chunks of files by path and status. A status that differs in anything is not trusted."""

    def __init__(self, rows: dict[str, Row] | None = None) -> None:
        self._rows = {} if rows is None else rows
        self._saved_at: Path | None = None

    @classmethod
    def load(cls, path: Path) -> StatCache:
        """Return what was saved at *path*; nothing, if that is missing or cannot be understood."""
        try:
            document = json.loads(path.read_bytes())
            if (document["format"], document["version"]) != (_FORMAT, _VERSION):
                return cls()
            cache = cls(dict(document["files"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return cls()
        cache._saved_at = path
        return cache

    def save(self, path: Path) -> None:
        """Write everything to *path*, atomically; raises ``OSError`` where that cannot be.

        What was loaded from there, or saved, and has not changed since is not written again.
        """
        if path == self._saved_at:
            return
        document = {"format": _FORMAT, "version": _VERSION, "files": self._rows}
        data = json.dumps(document, separators=(",", ":")).encode("ascii")
        atomic.write(path, data)
        self._saved_at = path

    def chunks(self, path: str, status: os.stat_result) -> tuple[Chunk, ...] | None:
        """Return the chunks of the file at *path*, or None where it has to be read."""
        row = self._rows.get(path)
        try:
            if row is None or row[:4] != _key(status):
                return None
            if sum(row[4][1::2]) != status.st_size:
                return None
        except (TypeError, IndexError):
            return None
        return _chunks(row)

    def last(self, path: str) -> tuple[Chunk, ...] | None:
        """Return what the file at *path* held when it was last read; None if it never was."""
        row = self._rows.get(path)
        return None if row is None else _chunks(row)

    def record(
        self, path: str, status: os.stat_result, chunks: tuple[Chunk, ...], read_ns: int
    ) -> None:
        """Remember the *chunks* of the file at *path*.

        *read_ns* is when the reading began, in nanoseconds since 1970. A file that was modified
        so shortly before that another change might not show, or after that by its file system's
        clock, is forgotten instead.
        """
        tick = _TICK_NS if status.st_mtime_ns % _SECOND_NS else _COARSE_TICK_NS
        if read_ns - tick <= status.st_mtime_ns:
            self.forget(path)
            return
        content = [part for chunk in chunks for part in (chunk.digest, chunk.size)]
        self._rows[path] = [*_key(status), content]
        self._saved_at = None

    def forget(self, path: str) -> None:
        """Have the file at *path* read again."""
        if self._rows.pop(path, None) is not None:
            self._saved_at = None

    def keep_only(self, paths: set[str]) -> None:
        """Forget every file that is not among *paths*."""
        kept = {path: row for path, row in self._rows.items() if path in paths}
        if len(kept) < len(self._rows):
            self._saved_at = None
        self._rows = kept


def _chunks(row: Row) -> tuple[Chunk, ...] | None:
    try:
        return tuple(map(Chunk, row[4][::2], row[4][1::2]))
    except (TypeError, IndexError):
        return None


def _key(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
