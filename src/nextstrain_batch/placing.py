"""Files that appear whole or not at all.

Content is written to a temporary file beside its destination and moved there when it is complete,
with its mode and modification time. Whatever goes wrong, no temporary file stays behind.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import threading
from typing import TYPE_CHECKING, Self

from nextstrain_batch.errors import LocalFilesError
from nextstrain_batch.shown_paths import shown
from nextstrain_batch.walk import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nextstrain_batch.store.manifest import Entry

_PIECE = 1024 * 1024
_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_OLD = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW

_ADVICE = {
    errno.ENOSPC: "The disk is full.\n\nMake room, or download less with --download",
    errno.EDQUOT: "Your disk quota is used up.\n\nMake room, or download less with --download",
    errno.EROFS: "The file system is read-only.\n\nUse a directory that you can write to",
    errno.EACCES: "You may not write there.\n\nChange the permissions of the directory",
    errno.EPERM: "You may not write there.\n\nChange the permissions of the directory",
    errno.ENAMETOOLONG: "The name is too long for this file system.\n\nUse a shorter one",
    errno.EILSEQ: (
        "This file system does not allow such a name.\n\nLeave the file out with "
        "--exclude-from-download"
    ),
    errno.EFBIG: "This file system cannot hold so big a file.\n\nUse another file system",
}


def failed(doing: str, path: str, error: OSError) -> LocalFilesError:
    """Return the error for something that could not be done with a local file."""
    advice = _ADVICE.get(error.errno or 0, "Look at the directory and the disk it is on")
    return LocalFilesError(
        f"Cannot {doing} {shown(path)}: {error.strerror or error}.\n\n{advice}, then try again. "
        "What had been complete before stays; nothing is half-written."
    )


class Staging:
    """Temporary files below *root*; those not placed when the ``with`` ends are removed.

    Safe to use from several threads, as long as each file is finished by one. *opener* is
    ``os.open``, or fails as a test wants it to. Every method raises ``LocalFilesError``.
    """

    def __init__(self, root: Path, opener: Callable[[str, int, int], int] = os.open) -> None:
        self._root = os.fspath(root)
        self._opener = opener
        self._token = os.urandom(4).hex()
        self._numbers = itertools.count()
        self._made: set[str] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._working = 0
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._idle:
            self._is_over = True
            self._idle.wait_for(lambda: not self._working)
        for temporary in self._made:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        self._made.clear()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Put off the end of the ``with`` meanwhile; raise ``LocalFilesError`` after it.

        For threads that may come back from the network when nobody waits for them any more.
        """
        with self._lock:
            if self._is_over:
                raise LocalFilesError("The transfer has ended.")
            self._working += 1
        try:
            yield
        finally:
            with self._idle:
                self._working -= 1
                self._idle.notify_all()

    def full(self, path: str) -> str:
        """Return the absolute name of an entry's path."""
        return f"{self._root}/{path}"

    def create(self, path: str, data: bytes | memoryview = b"") -> str:
        """Make a temporary file for what is to be at *path*; return its name."""
        temporary = self._temporary(path)
        with _explaining("write", path):
            descriptor = self._opener(temporary, _NEW, 0o600)
            try:
                _write(descriptor, data, 0)
            finally:
                os.close(descriptor)
        return temporary

    def write(self, path: str, temporary: str, offset: int, data: bytes | memoryview) -> None:
        """Write *data* at *offset* of a temporary file that is for *path*."""
        with _explaining("write", path):
            descriptor = self._opener(temporary, _OLD, 0o600)
            try:
                _write(descriptor, data, offset)
            finally:
                os.close(descriptor)

    def lengthen(self, path: str, temporary: str, size: int) -> None:
        """Give a temporary file that is for *path* its *size*; what is not written is a hole."""
        with _explaining("write", path):
            os.truncate(temporary, size)

    def copy(
        self, path: str, temporary: str, offset: int, size: int, source: int, position: int
    ) -> bool:
        """Copy from the open file *source* to a temporary one that is for *path*.

        *size* bytes go from *position* to *offset*. Returns whether there were so many. Raises
        ``OSError`` when *source* cannot be read.
        """
        with _explaining("write", path):
            descriptor = self._opener(temporary, _OLD, 0o600)
        try:
            while size:
                count = _copy_some(source, position, descriptor, offset, size)
                if count is None:
                    data = os.pread(source, min(size, _PIECE), position)
                    count = len(data)
                    with _explaining("write", path):
                        _write(descriptor, data, offset)
                if not count:
                    return False
                position, offset, size = position + count, offset + count, size - count
        finally:
            os.close(descriptor)
        return True

    def place(self, entry: Entry, temporary: str) -> os.stat_result:
        """Move a complete file to where *entry* says; return its status there."""
        with _explaining("write", entry.path):
            os.chmod(temporary, entry.mode)  # noqa: PTH101
            self._move(entry, temporary)
            return os.lstat(self.full(entry.path))

    def link(self, entry: Entry) -> None:
        """Put the symlink that *entry* is where it says."""
        temporary = self._temporary(entry.path)
        with _explaining("write", entry.path):
            os.symlink(entry.target, temporary)  # noqa: PTH211
            self._move(entry, temporary)

    def _move(self, entry: Entry, temporary: str) -> None:
        set_time(temporary, entry.mtime_ns)
        os.replace(temporary, self.full(entry.path))  # noqa: PTH105
        with self._lock:
            self._made.discard(temporary)

    def _temporary(self, path: str) -> str:
        directory, _, _ = self.full(path).rpartition("/")
        name = f"{directory}/{TEMPORARY_PREFIX}{self._token}-{next(self._numbers)}"
        with self._lock:
            self._made.add(name)
        return name


@contextlib.contextmanager
def _explaining(doing: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed(doing, path, error) from error


def _copy_some(source: int, position: int, descriptor: int, offset: int, size: int) -> int | None:
    """Have the system copy, which some file systems do without moving a byte.

    Return how many bytes it copied, or None where it cannot do it, or fails: by reading and
    writing it becomes clear why.
    """
    if not hasattr(os, "copy_file_range"):
        return None
    try:
        return os.copy_file_range(source, descriptor, size, position, offset)
    except OSError:
        return None


def _write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


def set_time(full: str, mtime_ns: int) -> None:
    """Set the modification time of a file, directory or symlink, as near as it can be stored."""
    # A time beyond what this system can express says nothing that anybody could use.
    with contextlib.suppress(OverflowError):
        os.utime(full, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def set_mode(full: str, mode: int) -> None:
    """Set the permission bits of a file or directory.

    A directory stays one that hands its group on to what is made in it, for example.
    """
    is_directory = stat.S_ISDIR(before := os.lstat(full).st_mode)
    os.chmod(full, mode | (before & _SPECIAL if is_directory else 0))  # noqa: PTH101


class Directories:
    """Makes directories for entries, and gives them their modes and times when the ``with`` ends.

    *yields* is called for something else that is in a directory's way, and makes it go.
    """

    def __init__(self, root: Path, yields: Callable[[str], None]) -> None:
        self._root = os.fspath(root)
        self._yields = yields
        self._real = {""}
        self._made: dict[str, Entry] = {}
        self._opened: dict[str, int] = {}
        """The modes that directories had which were made writable for a while."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # After an error, what has been made is still not left closed to its owner's group; but
        # the error to be shown is the first one.
        failure = self._settle()
        if failure and not error:
            raise failure

    def make(self, entry: Entry, *, changed: bool = False) -> None:
        """Make sure that *entry*'s directory is a real one; its parent has been made sure of.

        One that is read-only here can be written to until the ``with`` ends, if a build made it so,
        or, having *changed* its mode, made it otherwise: then its owner here has no say in it.
        """
        path, full = entry.path, f"{self._root}/{entry.path}"
        if path in self._real:
            return
        with _explaining("make the directory", path):
            try:
                mode = os.lstat(full).st_mode
            except FileNotFoundError:
                mode = 0
            if not stat.S_ISDIR(mode):
                if mode:
                    self._yields(path)
                # Its own mode might not let anything be written into it; that comes last.
                os.mkdir(full, 0o700)  # noqa: PTH102
                self._made[path] = entry
            elif not mode & stat.S_IWUSR and (changed or not entry.mode & stat.S_IWUSR):
                # The build that made it so may be one whose results have come only in part.
                with contextlib.suppress(PermissionError):
                    set_mode(full, stat.S_IMODE(mode) | stat.S_IRWXU)
                    self._opened[path] = stat.S_IMODE(mode)
        self._real.add(path)

    def finish(self, entry: Entry) -> None:
        """See to it that *entry*'s mode and time are set, even if the directory was there."""
        self._made[entry.path] = entry

    def _settle(self) -> LocalFilesError | None:
        """Set modes and times, the deepest first, because each change touches its parent.

        Goes on after an error, and returns the first.
        """
        first: LocalFilesError | None = None
        for path in sorted({*self._made, *self._opened}, key=lambda path: -path.count("/")):
            # Of anything else it is not known whether it is a directory, or leads out of the root.
            if path in self._real:
                try:
                    self._finish(path)
                except LocalFilesError as error:
                    first = first or error
        self._made.clear()
        self._opened.clear()
        return first

    def _finish(self, path: str) -> None:
        full, entry = f"{self._root}/{path}", self._made.get(path)
        # One that belongs to somebody else stays as it is: what lies in it matters more.
        with _explaining("set the permissions of", path), contextlib.suppress(PermissionError):
            set_mode(full, entry.mode if entry else self._opened[path])
            if entry:
                set_time(full, entry.mtime_ns)
