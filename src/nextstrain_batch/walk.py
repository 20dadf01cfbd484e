"""What lies below a build root, as the file system tells it.

Names that are not UTF-8 keep their bytes by Python's surrogate escapes, here and wherever a path
goes from here.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from nextstrain_batch import snakemake_state
from nextstrain_batch.beside import is_kept
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.reading import unreadable
from nextstrain_batch.shown_paths import shown
from nextstrain_batch.store.paths import encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path

TEMPORARY_PREFIX = ".nextstrain-batch-tmp-"
"""How the name of a file begins while it is being written by a download."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file, directory or symlink below the root."""

    path: str
    """Relative to the root, parts joined by ``/``; undecodable bytes as surrogates."""
    status: os.stat_result
    """Of the thing itself: a symlink is not followed."""


def never_travels(path: str, is_directory: bool, of_snakemake: Container[str]) -> bool:
    """Tell whether something travels in neither direction: Git's, Python's and most of Snakemake's.

    *of_snakemake* names what of a ``.snakemake`` directory does travel. What a download has not
    finished, and what one has kept, does not travel, either.
    """
    parts = path.split("/")
    if ".git" in parts or "__pycache__" in parts or is_temporary(path) or is_kept(path):
        return True
    if not is_directory and path.endswith(".pyc"):
        return True
    if snakemake_state.DIRECTORY not in parts[:-1]:
        return False
    return parts[parts.index(snakemake_state.DIRECTORY) + 1] not in of_snakemake


def is_temporary(path: str) -> bool:
    """Tell by its name whether a file is one that a download is writing, or was, until its end."""
    return path.rpartition("/")[2].startswith(TEMPORARY_PREFIX)


def refuse(problem: PathogenError) -> NoReturn:
    """Raise *problem*: the default for what cannot travel."""
    raise problem


def walk(
    root: Path,
    skip: Callable[[str, bool], bool],
    *,
    problem: Callable[[PathogenError], None] = refuse,
) -> Iterator[Found]:
    """Yield what lies below *root*, in the order of the paths' bytes, parents first.

    ``skip(path, is_directory)`` leaves something out, a directory with all that it holds. What
    cannot travel (a socket, a pipe, a device, a directory that cannot be read) is handed to
    *problem* as a ``PathogenError`` and left out if that returns. Something that vanishes during
    the walk is left out: it might as well have vanished before.
    """
    found: list[Found] = []
    waiting = [""]
    while waiting:
        for entry in _children(root, waiting.pop(), skip, problem):
            found.append(entry)
            if stat.S_ISDIR(entry.status.st_mode):
                waiting.append(entry.path)
    found.sort(key=lambda entry: encoded(entry.path))
    yield from found


def _children(
    root: Path,
    directory: str,
    skip: Callable[[str, bool], bool],
    problem: Callable[[PathogenError], None],
) -> Iterator[Found]:
    prefix = f"{directory}/" if directory else ""
    try:
        with os.scandir(root / directory) as listing:
            children = list(listing)
    except FileNotFoundError:
        if not directory:
            problem(PathogenError(f"The build directory {str(root)!r} does not exist."))
        return
    except OSError as error:
        problem(unreadable(directory or str(root), error, "directory"))
        return
    for child in children:
        path = prefix + child.name
        try:
            if skip(path, child.is_dir(follow_symlinks=False)):
                continue
            status = child.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as error:
            problem(unreadable(path, error, "file"))
            continue
        if _travels(path, status, problem):
            yield Found(path, status)


def _travels(path: str, status: os.stat_result, problem: Callable[[PathogenError], None]) -> bool:
    mode = status.st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
        return True
    kinds = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a named pipe"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    problem(
        PathogenError(
            f"{shown(path)} is {kind}, which cannot be sent.\n\n"
            "A build directory may hold files, directories and symlinks. Some program may have "
            "left it behind.\n\n"
            "Remove it, or leave it out with --exclude-from-upload."
        )
    )
    return False
