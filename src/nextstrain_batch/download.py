"""Bringing files back: what a build made or changed, and nothing else.

They come into a directory that people work in, so it is asked first what each file there is:

* as the build left it: nothing is fetched;
* as it was sent to the build, or as an earlier download left it, or not there: the build's file
  replaces it, atomically;
* anything else: somebody has edited it since. That one is renamed beside, and never lost.

Nothing is ever deleted, but for Snakemake's marks of unfinished files (``.snakemake/incomplete``).
"""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, dropwhile, takewhile
from typing import TYPE_CHECKING, Protocol

from nextstrain_batch import beside
from nextstrain_batch.assemble import LocalPiece, assemble, holds, pieces_of
from nextstrain_batch.here import Here
from nextstrain_batch.placing import Directories, Staging, failed, set_mode, set_time
from nextstrain_batch.snakemake_state import is_mark, is_snakemakes
from nextstrain_batch.store.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store.manifest import Entry, Manifest
    from nextstrain_batch.store.transport import Transport


def _looks_edited(status: os.stat_result, entry: Entry, until_ns: int) -> bool:
    """Tell whether a file seems to have been changed since it was as *entry* says, by *until_ns*.

    What was changed later shows to Snakemake by itself.
    """
    is_as_sent = (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)
    return stat.S_ISREG(status.st_mode) and not is_as_sent and status.st_mtime_ns <= until_ns


class Choice(Protocol):
    """What of a job's results is wanted: see ``wanted.py``."""

    def output(self) -> Manifest:
        """Return what the job left, and what else is to come with it."""

    def __call__(self, path: str) -> bool:
        """Tell whether a path is wanted that the job left, or that it has removed."""

    def finished(self) -> Iterable[str]:
        """Return where Snakemake's marks are not true any more once all that is wanted has come."""

    def passed_over(self) -> int:
        """Return how many new or changed files are not wanted."""


@dataclass(frozen=True)
class Downloaded:
    """What a download did."""

    written: tuple[str, ...]
    """Paths of the files and symlinks that are new or other than they were, in order."""
    unchanged: int
    """How many files and symlinks of the results were here already, besides Snakemake's own."""
    kept: tuple[tuple[str, str], ...]
    """Paths where an edited file was, and the path where it was kept: now, or by an earlier
    download of the same results, which may have failed before it could say so."""
    deleted_by_build: tuple[str, ...]
    """Paths of files and symlinks that the build deleted and that are still here."""
    passed_over: int = 0
    """How many new or changed files were not wanted."""
    unused_edits: tuple[str, ...] = ()
    """Paths of files that were edited here after they were sent, that the build left as they had
    been, and that by their times look older than what it made."""


def download(
    wanted: Choice,
    base: Manifest,
    transport: Transport,
    root: Path,
    *,
    run_id: str,
    cache: StatCache,
    earlier: Callable[[], Manifest | None] = lambda: None,
    progress: Progress = silent,
    opener: Callable[[str, int, int], int] = os.open,
) -> Downloaded:
    """Bring what is *wanted* of a build's results, and new or changed, into *root*.

    *base* is what was sent to the build; ``earlier()`` returns what the one before left, which need
    not have been sent since. *cache* tells what files hold without reading them, and learns. Raises
    ``LocalFilesError``, ``CorruptError`` and the transport's errors; each file is then either as
    before or complete.
    """
    output = wanted.output()
    work = _Download(output, base, earlier, root, run_id, cache)
    changes = [
        entry
        for entry in output.entries
        if work.base.get(entry.path) != entry and wanted(entry.path)
    ]
    with work.directories, Staging(root, opener) as staging:
        for entry in changes:
            work.examine(entry)
        work.make_directories()
        assemble(
            work.to_fetch,
            output,
            transport,
            staging,
            lambda entry, temporary: work.place(staging, entry, temporary),
            local=work.local_pieces(),
            progress=progress,
        )
        for entry in work.to_link:
            work.place_link(staging, entry)
        work.remove_replaced()
    left = {entry.path for entry in output.entries}
    gone = [
        entry.path
        for entry in base.entries
        if entry.kind != "directory"
        and entry.path not in left
        and wanted(entry.path)
        and os.path.lexists(root / entry.path)
    ]
    work.remove_marks([*filter(is_mark, gone), *wanted.finished()])
    return Downloaded(
        written=tuple(sorted(work.written, key=os.fsencode)),
        unchanged=work.unchanged,
        kept=tuple(sorted(work.kept)),
        deleted_by_build=tuple(path for path in gone if not is_mark(path)),
        passed_over=wanted.passed_over(),
        unused_edits=tuple(work.unused_edits()),
    )


class _Download:
    """One download: what has been found out and done so far."""

    def __init__(
        self,
        output: Manifest,
        base: Manifest,
        earlier: Callable[[], Manifest | None],
        root: Path,
        run_id: str,
        cache: StatCache,
    ) -> None:
        self.base = {entry.path: entry for entry in base.entries}
        self._ask_earlier = earlier
        self.directories = Directories(root, self._make_way)
        self.to_fetch: list[Entry] = []
        self.to_link: list[Entry] = []
        self.written: list[str] = []
        self.kept: list[tuple[str, str]] = []
        self.unchanged = 0
        self._output = {entry.path: entry for entry in output.entries}
        self._root = root
        self._here = Here(root, cache)
        self._run_id = run_id
        self._cache = cache
        self._parents: dict[str, Entry] = {}
        self._replaced: list[str] = []
        self._looked_for_kept: set[str] = set()
        self._lock = threading.Lock()

    # --- what is here

    def examine(self, entry: Entry) -> None:
        """Find out what has to be done for a changed entry; change metadata at most."""
        self._find_kept(entry.path)
        if entry.kind == "directory":
            self._examine_directory(entry)
        elif (
            self._here.parents_are_real(entry.path)
            and self._here.has(entry)
            and self._refresh(entry)
        ):
            self.unchanged += not is_snakemakes(entry.path)
        else:
            self._need_parents(entry.path)
            (self.to_fetch if entry.kind == "file" else self.to_link).append(entry)

    def _examine_directory(self, entry: Entry) -> None:
        self._need_parents(entry.path)
        self._parents[entry.path] = entry
        if self._has_new_mode(entry):
            self.directories.finish(entry)

    def _has_new_mode(self, directory: Entry) -> bool:
        """Tell whether the build made a directory, or changed its mode."""
        before = self.base.get(directory.path)
        return before is None or before.mode != directory.mode

    def _find_kept(self, path: str) -> None:
        """Find what an earlier download kept of *path* and of what lies above it."""
        while path and path not in self._looked_for_kept:
            self._looked_for_kept.add(path)
            for place in takewhile(self._is_there, self._beside(path)):
                if self._is_replaced(path, place):
                    self._replaced.append(place)
                else:
                    self.kept.append((path, place))
            path = path.rpartition("/")[0]

    def _is_replaced(self, path: str, place: str) -> bool:
        """Tell whether what is at *place* is what was sent, out of the way of a directory."""
        sent, left = self.base.get(path), self._output.get(path)
        if sent is None or left is None or (sent.kind, left.kind) != ("file", "directory"):
            return False
        return holds(f"{self._root}/{place}", sent.chunks)

    def _need_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent and parent not in self._parents:
            self._need_parents(parent)
            self._parents[parent] = self._output[parent]

    def unused_edits(self) -> Iterator[str]:
        """Yield the paths of edits that the build knows nothing of, and that look as if it did.

        Only where this computer has seen the file as it was sent: on another one, and in another
        copy of the directory, nobody has edited what is not the same.
        """
        results = (path for path in self.written if not is_snakemakes(path))
        newest = max((self._output[path].mtime_ns for path in results), default=None)
        if newest is None:
            return
        for path, entry in self.base.items():
            if entry.kind != "file" or self._output.get(path) != entry or is_snakemakes(path):
                continue
            status = self._here.status(path)
            if status is None or not _looks_edited(status, entry, newest):
                continue
            was_as_sent = self._cache.last(path) == entry.chunks
            if was_as_sent and self._here.parents_are_real(path) and not self._here.has(entry):
                yield path

    def local_pieces(self) -> dict[str, LocalPiece]:
        """Return pieces of files that are here as they were sent; the cache tells, unread."""
        needed = {chunk.digest for entry in self.to_fetch for chunk in entry.chunks}
        pieces: dict[str, LocalPiece] = {}
        for entry in self.base.values():
            if any(chunk.digest in needed for chunk in entry.chunks):
                status = self._here.status_if_known(entry)
                for digest, piece in pieces_of(self._root, entry, status):
                    if status is not None or digest not in pieces:
                        pieces[digest] = piece
        return pieces

    # --- what is done

    def make_directories(self) -> None:
        """Make the directories that the changes need, parents first."""
        for path in sorted(self._parents, key=os.fsencode):
            entry = self._parents[path]
            self.directories.make(entry, changed=self._has_new_mode(entry))

    def place(self, staging: Staging, entry: Entry, temporary: str) -> None:
        """Put a complete file where it belongs."""
        mode = self._mode(entry)
        self._make_way(entry.path)
        status = staging.place(replace(entry, mode=mode), temporary)
        self._cache.record(entry.path, status, entry.chunks, time.time_ns())
        with self._lock:
            self.written.append(entry.path)

    def place_link(self, staging: Staging, entry: Entry) -> None:
        """Put a symlink where it belongs."""
        self._make_way(entry.path)
        staging.link(entry)
        self.written.append(entry.path)

    def remove_marks(self, paths: Iterable[str]) -> None:
        """Remove Snakemake's marks of what the build has finished, where there are any."""
        for path in filter(self._here.parents_are_real, paths):
            self._remove(path)

    def _remove(self, path: str) -> None:
        try:
            (self._root / path).unlink(missing_ok=True)
        except OSError as error:
            raise failed("remove", path, error) from error

    def remove_replaced(self) -> None:
        """Remove the files that the build has replaced by directories, now that these are there."""
        for path in self._replaced:
            self._remove(path)

    def _refresh(self, entry: Entry) -> bool:
        """Give a file that holds the right content the right mode and time.

        Return whether that could be done: a colleague's file has to be made anew.
        """
        full = os.fspath(self._root / entry.path)
        try:
            if entry.kind == "file":
                set_mode(full, self._mode(entry))
            set_time(full, entry.mtime_ns)
            if entry.kind == "file":
                self._cache.record(entry.path, os.lstat(full), entry.chunks, time.time_ns())
        except PermissionError:
            return False
        except OSError as error:
            raise failed("set the permissions of", entry.path, error) from error
        return True

    def _mode(self, entry: Entry) -> int:
        """Return the mode that a file is to have: the one it has here if the build changed none."""
        before = self.base.get(entry.path)
        if before is None or before.kind != "file" or before.mode != entry.mode:
            return entry.mode
        status = self._here.status(entry.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return entry.mode
        return stat.S_IMODE(status.st_mode) & 0o777

    def _make_way(self, path: str) -> None:
        """Move what is at *path* beside unless it was sent, or a build or Snakemake made it.

        A file where a directory is to be is moved in either case, and removed at the end.
        """
        full = self._root / path
        try:
            status = full.lstat()
        except FileNotFoundError:
            return
        is_directory = stat.S_ISDIR(status.st_mode)
        ours = is_snakemakes(path) or self._is_as_in(self.base, path)
        try:
            if is_directory and ours and not any(full.iterdir()):
                full.rmdir()
            elif is_directory or not (ours or self._is_as_in(self._earlier, path)):
                self.kept.append((path, self._move_beside(path)))
            elif self._output[path].kind == "directory":
                self._replaced.append(self._move_beside(path))
        except OSError as error:
            raise failed("move aside", path, error) from error

    @cached_property
    def _earlier(self) -> dict[str, Entry]:
        """What the build before left, by path: asked for only where something is in the way."""
        manifest = self._ask_earlier()
        return {entry.path: entry for entry in manifest.entries} if manifest else {}

    def _is_as_in(self, entries: dict[str, Entry], path: str) -> bool:
        return path in entries and self._here.has(entries[path])

    def _move_beside(self, path: str) -> str:
        with self._lock:  # Shortened names may be the same.
            place = next(dropwhile(self._is_there, self._beside(path)))
            (self._root / path).rename(self._root / place)
        return place

    def _beside(self, path: str) -> Iterator[str]:
        return (beside.name(path, self._run_id, number) for number in count(1))

    def _is_there(self, path: str) -> bool:
        return self._here.status(path) is not None
