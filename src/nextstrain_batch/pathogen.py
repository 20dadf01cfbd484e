"""The pathogen build on this computer: its root, where its program runs, the files that travel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import globs, snakemake_state
from nextstrain_batch.beside import is_kept
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.ignore_file import IgnoreFile
from nextstrain_batch.shown_paths import shown
from nextstrain_batch.walk import is_temporary, never_travels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from nextstrain_batch.walk import Found

MARKER = "nextstrain-pathogen.yaml"


@dataclass(frozen=True)
class Pathogen:
    """A build: all of ``root`` travels, and the program runs inside ``directory``."""

    root: Path
    directory: Path
    """Both are absolute and without symlinks; the directory is the root or lies in it."""

    @property
    def working_directory(self) -> str:
        """The directory relative to the root, parts joined by ``/``; empty for the root."""
        relative = self.directory.relative_to(self.root).as_posix()
        return "" if relative == "." else relative

    @property
    def name(self) -> str:
        """The root's own name; empty for the file system's root."""
        return self.root.name


def find(directory: Path) -> Pathogen:
    """Return the build of *directory*.

    Its root is the nearest directory, from this one upwards, that holds
    ``nextstrain-pathogen.yaml``, whatever is in that file; without one it is the directory itself.
    Raises ``PathogenError`` for what is missing, no directory or not accessible.
    """
    try:
        resolved = directory.resolve(strict=True)
        if not resolved.is_dir():
            raise PathogenError(
                f"{directory} is not a directory.\n\n"
                "Give the directory of the pathogen build: the one that holds its Snakefile."
            )
        root = _root(resolved)
    except FileNotFoundError as error:
        raise PathogenError(_missing(directory)) from error
    except (OSError, RuntimeError) as error:
        # RuntimeError is what a loop of symlinks raises before Python 3.13.
        reason = getattr(error, "strerror", None) or "its symlinks form a loop"
        raise PathogenError(f"The build directory {directory} cannot be used: {reason}.") from error
    return Pathogen(root, resolved)


def _root(directory: Path) -> Path:
    for candidate in (directory, *directory.parents):
        if (candidate / MARKER).exists():
            return candidate
    return directory


def _missing(directory: Path) -> str:
    message = f"There is no directory {directory}."
    if not directory.is_absolute():
        message += "\n\nIt is looked for from the current directory; are you in the right one?"
    return message


ALWAYS_OUT = "never sent: Git's, Snakemake's and Python's own files"
UNFINISHED = "never sent: of a download that is at work, or was killed"
KEPT = "never sent: what a download kept when results took its place"
LOOKS_SECRET = "never sent: by its name, it may hold secrets"  # noqa: S105 - a message
BY_PATTERN = "--exclude-from-upload "

# People keep secrets in environment.sh, environment_rethink.sh and the like. What only begins so
# may be anything: environmental samples, environment.yaml for Conda.
_SECRET = re.compile(
    r"environments?([-_.].*)?\.(sh|bash|zsh|csh|fish|env|envrc|local|secrets?)(~|\.(bak|old|orig))?"
)
_SECRET_AT_ROOT = re.compile(r"environment([-_][^.]*)?~?")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something below the root that does not travel; of a directory, nothing in it does."""

    path: str
    is_directory: bool
    reason: str
    """The rule, for people to read."""


class UploadFilter:
    """What ``walk`` asks whether to skip a path. Remembers what it skips, and why.

    A directory that a pattern leaves out is walked through where a negated one may match in it,
    so what was found has to go through ``travelling``.
    """

    def __init__(self, root: Path, exclude: Sequence[str]) -> None:
        """Take the rules of ``upload_filter`` and of the ``.nextstrainignore`` at *root*."""
        self._reason = upload_filter(exclude, IgnoreFile.of(root))
        self._may_spare = globs.may_spare(exclude)
        self._entered: dict[str, str] = {}
        self._unmatched = {
            each: globs.matcher([each[1:] if globs.is_negated(each) else each]) for each in exclude
        }
        self.left_out: list[LeftOut] = []

    def __call__(self, path: str, is_directory: bool) -> bool:
        """Tell whether to skip a path."""
        name = f"{path}/" if is_directory else path
        for pattern in [each for each, matches in self._unmatched.items() if matches(name)]:
            del self._unmatched[pattern]
        reason = self._reason(path, is_directory)
        if reason is None:
            return False
        if is_directory and reason.startswith(BY_PATTERN) and self._may_spare(name):
            self._entered[path] = reason
            return False
        self.left_out.append(LeftOut(path, is_directory, reason))
        return True

    def travelling(self, found: Iterable[Found]) -> list[Found]:
        """Return what travels of what ``walk`` found, in its order.

        That is all of it but the directories that are left out and hold nothing that travels.
        """
        travels: list[Found] = []
        needed: set[str] = set()
        for each in reversed(list(found)):
            if each.path in needed or each.path not in self._entered:
                travels.append(each)
                needed.add(each.path.rpartition("/")[0])
            else:
                self.left_out.append(LeftOut(each.path, True, self._entered[each.path]))
        directories = {each.path for each in self.left_out if each.is_directory}
        self.left_out = [
            each for each in self.left_out if each.path.rpartition("/")[0] not in directories
        ]
        return travels[::-1]

    def unmatched(self) -> list[str]:
        """Return the patterns that have matched nothing at all."""
        return list(self._unmatched)


def upload_filter(
    exclude: Sequence[str] = (), ignored: IgnoreFile | None = None
) -> Callable[[str, bool], str | None]:
    """Return a function that tells why to skip a path, given whether it is a directory.

    It returns the rule, for people to read, or None for what travels. Always skipped: ``.git``,
    ``.snakemake`` but for its ``metadata`` and ``incomplete``, Python's bytecode, what downloads
    have not finished or have kept beside results, and files that look like secrets
    (``holds_secrets``). Besides them, what the *ignored* file says, and what the *exclude* patterns
    match, with all that lies in a directory that they match; what a negated one matches is not
    skipped, wherever it lies.

    The *ignored* file does not choose among Snakemake's ``metadata`` and ``incomplete``: it is made
    of a ``.gitignore``, which names ``.snakemake``, and without them a changed parameter would go
    unnoticed in the job. *exclude* does, so that a record which cannot be sent stops nobody.
    """
    excluded = globs.matcher(exclude, whole_directories=True) if exclude else None
    pattern = globs.decider(exclude)

    def skip(path: str, is_directory: bool) -> str | None:
        if is_temporary(path):
            return UNFINISHED
        if is_kept(path):
            return KEPT
        if never_travels(path, is_directory, snakemake_state.SENT):
            return ALWAYS_OUT
        is_snakemakes = snakemake_state.is_snakemakes(f"{path}/" if is_directory else path)
        if not is_directory and not is_snakemakes and holds_secrets(path):
            return LOOKS_SECRET
        if ignored is not None and not is_snakemakes and (rule := ignored.rule(path, is_directory)):
            return rule
        name = f"{path}/" if is_directory else path
        if excluded is None or not excluded(name):
            return None
        return BY_PATTERN + pattern(name)

    return skip


def download_filter(download: Sequence[str] | bool) -> Callable[[str], bool]:
    """Return a function that tells whether a path is wanted: patterns, or all, or none.

    A directory's path may end with a slash. Never wanted: ``.git``, ``.snakemake`` but for its
    ``incomplete``, ``log``, ``metadata`` and ``storage``, Python's bytecode, and what has the name
    of something that a download kept. Which notes of Snakemake's are wanted, ``wanted.Wanted``
    knows better.
    """
    if isinstance(download, bool):
        matches: Callable[[str], bool] = lambda _path: download  # noqa: E731
    else:
        matches = globs.matcher(download)
    stored = snakemake_state.STORED
    return lambda path: not never_travels(path.rstrip("/"), False, stored) and matches(path)


def holds_secrets(path: str) -> bool:
    """Whether a file's name looks as if it held secrets, as ``environment.sh`` does.

    A name without an ending is one at the root only.
    """
    directory, _, name = path.rpartition("/")
    return bool(_SECRET.fullmatch(name) or (not directory and _SECRET_AT_ROOT.fullmatch(name)))


def check_travels(pathogen: Pathogen, found: Sequence[Found], left_out: Sequence[LeftOut]) -> None:
    """Raise ``PathogenError`` unless the working directory is among what was *found* to travel."""
    where = pathogen.working_directory
    if not where or any(each.path == where for each in found):
        return
    rules = [each.reason for each in left_out if f"{where}/".startswith(f"{each.path}/")]
    why = f" It is left out by this rule: {rules[0]}." if rules else ""
    raise PathogenError(
        f"The directory {shown(where)}, where the program is to run, would not be sent.{why}\n\n"
        f"All of {pathogen.root} travels but for what rules leave out, and this build runs in what"
        " they leave out.\n\n"
        "Change the rule, or name another directory."
    )
