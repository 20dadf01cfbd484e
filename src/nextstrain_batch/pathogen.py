"""The pathogen build on this computer: its root, where its program runs, the files that travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import globs
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.ignore_file import IgnoreFile
from nextstrain_batch.walk import never_travels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

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


# What of Snakemake's own state helps the job: what made each output, and which are unfinished.
SNAKEMAKE_UP = frozenset({"metadata", "incomplete"})
ALWAYS_OUT = "never sent: Git's, Snakemake's and Python's own files"
LOOKS_SECRET = "never sent: by its name, it may hold secrets"  # noqa: S105 - a message
# And what helps here afterwards; ``storage`` holds copies of remote files.
SNAKEMAKE_DOWN = frozenset({"incomplete", "log", "metadata", "storage"})

# People keep secrets in environment.sh and the like, beside environment.yaml for Conda. A file
# called so stays here unless its ending tells that it is something else.
_HARMLESS_ENDINGS = frozenset(
    {"csv", "fa", "fasta", "gb", "gff", "ipynb", "lock", "md", "nwk", "py", "r", "rmd", "rst"}
    | {"smk", "tsv", "yaml", "yml"}
)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something below the root that does not travel; of a directory, nothing in it does."""

    path: str
    is_directory: bool
    reason: str
    """The rule, for people to read."""


class UploadFilter:
    """What ``walk`` asks whether to skip a path. Remembers what it skips, and why."""

    def __init__(self, root: Path, exclude: Sequence[str]) -> None:
        """Take the rules of ``upload_filter`` and of the ``.nextstrainignore`` at *root*."""
        self._reason = upload_filter(exclude, IgnoreFile.of(root))
        self.left_out: list[LeftOut] = []

    def __call__(self, path: str, is_directory: bool) -> bool:
        """Tell whether to skip a path."""
        reason = self._reason(path, is_directory)
        if reason is None:
            return False
        self.left_out.append(LeftOut(path, is_directory, reason))
        return True


def upload_filter(
    exclude: Sequence[str] = (), ignored: IgnoreFile | None = None
) -> Callable[[str, bool], str | None]:
    """Return a function that tells why to skip a path, given whether it is a directory.

    It returns the rule, for people to read, or None for what travels. Always skipped: ``.git``,
    ``.snakemake`` but for its ``metadata`` and ``incomplete``, Python's bytecode, and files that
    look like secrets (``holds_secrets``). Besides them, what the *ignored* file says, and what the
    *exclude* patterns match; if one of these is negated, directories are never skipped for a
    pattern's sake, as what lies in them may have to stay.
    """
    excluded = globs.matcher(exclude) if exclude else None
    pattern = globs.decider(exclude) if exclude else str
    prunes = not any(globs.is_negated(pattern) for pattern in exclude)

    def skip(path: str, is_directory: bool) -> str | None:
        if never_travels(path, is_directory, SNAKEMAKE_UP):
            return ALWAYS_OUT
        if not is_directory and holds_secrets(path):
            return LOOKS_SECRET
        if ignored is not None and (rule := ignored.rule(path, is_directory)):
            return rule
        if excluded is None or (is_directory and not prunes):
            return None
        name = f"{path}/" if is_directory else path
        if not excluded(name):
            return None
        return f"--exclude-from-upload {pattern(name)}"

    return skip


def download_filter(download: Sequence[str] | bool) -> Callable[[str], bool]:
    """Return a function that tells whether a path is wanted: patterns, or all, or none.

    Never wanted: ``.git``, ``.snakemake`` but for its ``incomplete``, ``log``,
    ``metadata`` and ``storage``, and
    Python's bytecode.
    """
    if isinstance(download, bool):
        matches: Callable[[str], bool] = lambda _path: download  # noqa: E731
    else:
        matches = globs.matcher(download)
    return lambda path: not never_travels(path, False, SNAKEMAKE_DOWN) and matches(path)


def holds_secrets(path: str) -> bool:
    """Whether a file's name looks as if it held secrets, as ``environment.sh`` does.

    Not ``environment.yaml``, ``environment_colours.tsv`` and others that tell they hold none.
    """
    name = path.rpartition("/")[2]
    if not name.startswith("environment"):
        return False
    return name.rpartition(".")[2].lower() not in _HARMLESS_ENDINGS
