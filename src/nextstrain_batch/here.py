"""What is in a directory that people work in, and whether that is what a manifest says."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from nextstrain_batch.assemble import holds
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.reading import link_target

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store.manifest import Entry


class Here:
    """The directory at *root*; *cache* tells what files hold without reading them."""

    def __init__(self, root: Path, cache: StatCache) -> None:
        self._root = os.fspath(root)  # Asked of each file, a Path would take most of the time.
        self._real_root = os.path.realpath(root)
        self._cache = cache
        self._real = {"": True}

    def has(self, entry: Entry) -> bool:
        """Tell whether what is at an entry's path, whose parents are real, is like the entry.

        Modes and times do not count. A file is read where the cache cannot tell what it holds.
        """
        status = self.status(entry.path)
        if status is None:
            return False
        if entry.kind == "symlink":
            return stat.S_ISLNK(status.st_mode) and self._points_at(entry)
        if entry.kind == "directory":
            return stat.S_ISDIR(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
            return False
        known = self._cache.chunks(entry.path, status)
        if known is not None and [each.size for each in known] == [
            each.size for each in entry.chunks
        ]:
            return known == entry.chunks
        return holds(f"{self._root}/{entry.path}", entry.chunks)

    def status(self, path: str) -> os.stat_result | None:
        """Return the status of what is at *path*, which is not followed; None where nothing is."""
        try:
            return os.lstat(f"{self._root}/{path}")
        except OSError:
            return None

    def status_if_known(self, entry: Entry) -> os.stat_result | None:
        """Return the status of a file if that tells that it holds what *entry* says."""
        status = self.status(entry.path)
        if status is None or self._cache.chunks(entry.path, status) != entry.chunks:
            return None
        return status

    def parents_are_real(self, path: str) -> bool:
        """Tell whether no directory above *path* is missing, a symlink or something else.

        What was found out once is not looked at again.
        """
        parent = path.rpartition("/")[0]
        if parent not in self._real:
            self._real[parent] = self.parents_are_real(parent) and self._is_directory(parent)
        return self._real[parent]

    def _is_directory(self, path: str) -> bool:
        status = self.status(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def _points_at(self, entry: Entry) -> bool:
        try:
            return link_target(self._real_root, entry.path) == entry.target
        except PathogenError:
            return False
