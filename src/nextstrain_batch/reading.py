"""Reading single files and symlinks of a build directory, and what it means when that fails."""

from __future__ import annotations

import errno
import os
from io import FileIO
from typing import TYPE_CHECKING

from nextstrain_batch.errors import PathogenError
from nextstrain_batch.shown_paths import shown
from nextstrain_batch.store.paths import stays_inside

if TYPE_CHECKING:
    from pathlib import Path


class ChangedError(PathogenError):
    """The file at ``path`` is not what it was said or found to be a moment ago."""

    path: str

    @classmethod
    def of(cls, path: str) -> ChangedError:
        """Return the error for one file."""
        error = cls(
            f"The file {shown(path)} changed while it was read.\n\n"
            "Some program seems to be writing to it.\n\n"
            "Try again when it has finished, or leave the file out with --exclude-from-upload."
        )
        error.path = path
        return error


def not_read(path: str, error: OSError) -> PathogenError:
    """Return the error for a file that was there a moment ago and cannot be read."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return PathogenError(
            f"The file {shown(path)} vanished while the build directory was read.\n\n"
            "Some program seems to be at work in it.\n\nTry again when it has finished."
        )
    if error.errno in {errno.ELOOP, errno.EISDIR}:  # now a symlink, or a directory
        return ChangedError.of(path)
    return unreadable(path, error, "file")


def open_file(path: Path | str) -> FileIO:
    """Open a file for reading, unbuffered; raises ``OSError``, also where it is a symlink.

    Does not wait for a writer where the file has become a named pipe.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    try:
        return FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)  # a directory, for example
        raise


def unreadable(path: str, error: OSError, kind: str) -> PathogenError:
    """Return the error for a *kind* (``file``, ``directory``) that cannot be read."""
    return PathogenError(
        f"The {kind} {shown(path)} cannot be read: {error.strerror or error}.\n\n"
        "Its permissions may not allow it, or it may belong to another user.\n\n"
        "Change its permissions, or leave it out with --exclude-from-upload."
    )


def link_target(root: str, path: str) -> str:
    """Return where the symlink at *path* below *root*, a real path, points: a relative target.

    The target is kept as it is written if its text alone keeps it inside. One that gets there
    another way, like an absolute path, is rewritten, because the root has another name elsewhere.
    Raises ``PathogenError`` when it loops or leaves the root.
    """
    full = f"{root}/{path}"
    try:
        target = os.readlink(full)  # noqa: PTH115 - Path drops "." parts
    except OSError as error:
        raise unreadable(path, error, "symlink") from None
    resolved = os.path.realpath(full)
    if _loops(full):
        raise PathogenError(
            f"The symlink {shown(path)} leads back to itself: it points at {shown(target)}.\n\n"
            "Remove it, or leave it out with --exclude-from-upload."
        )
    if resolved != root and not resolved.startswith(root.rstrip("/") + "/"):
        raise PathogenError(
            f"The symlink {shown(path)} leads out of the build directory, to {shown(resolved)}.\n\n"
            "Only the build directory travels, so the job would find nothing there.\n\n"
            "Replace it by a copy of what it points at, or leave it out with "
            "--exclude-from-upload."
        )
    if stays_inside(path, target):
        return target
    return os.path.relpath(resolved, os.path.dirname(full))  # noqa: PTH120


def _loops(full: str) -> bool:
    try:
        os.stat(full)  # noqa: PTH116
    except OSError as error:
        return error.errno == errno.ELOOP
    return False
