"""``.nextstrainignore``: what of a pathogen never needs to travel, checked in beside it.

Its lines are those of a ``.gitignore`` (https://git-scm.com/docs/gitignore), relative to the
build's root; there is one file, at the root. ``[[:alpha:]]`` and the like are refused.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch.errors import PathogenError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = ".nextstrainignore"


@dataclass(frozen=True, slots=True)
class _Rule:
    line: int
    text: str
    pattern: re.Pattern[str]
    leaves_out: bool
    """False for a negation, which takes back what earlier rules say."""


class IgnoreFile:
    """The rules of one file. ``rule`` tells which of them leaves a path out."""

    def __init__(self, text: str, where: str = NAME) -> None:
        """Read the rules. Raises ``PathogenError`` naming *where* and the line of a wrong one."""
        self._rules = [_compiled(line, number, where) for number, line in _lines(text)]

    @classmethod
    def of(cls, root: Path) -> IgnoreFile | None:
        """Return the one at *root*, or None.

        Raises ``PathogenError`` also if it is unreadable, no file, or a symlink to nothing.
        """
        path = root / NAME
        try:
            data = _content(path)
        except FileNotFoundError as error:
            if not path.is_symlink():
                return None
            raise _unreadable(path, "it is a symlink to what does not exist") from error
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
        # As paths are: bytes that are no UTF-8 are kept.
        return cls(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"), str(path))

    def rule(self, path: str, is_directory: bool) -> str | None:
        """Return the rule that leaves a path out, with its line; None where none does.

        The last rule that matches decides. The directories above are not looked at: whoever walks
        does not get below one that is out, and Git does not, either.
        """
        name = f"{path}/" if is_directory else path
        for rule in reversed(self._rules):
            if rule.pattern.fullmatch(name):
                return f"{NAME}, line {rule.line}: {rule.text}" if rule.leaves_out else None
        return None


def _content(path: Path) -> bytes:
    """Return what a file holds; raises ``OSError``, also where it is none, or leads to none."""
    # Where it is a named pipe, nobody need ever write to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        # /dev/null stands for an empty one, as everywhere.
        is_null = os.path.samestat(status, Path(os.devnull).stat())
        if not is_null and not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _unreadable(path: Path, why: str) -> PathogenError:
    return PathogenError(
        f"{path} cannot be read: {why}.\n\n"
        "It says what of the build is not sent, so the build is not sent without it.\n\n"
        "Put a file that you can read in its place, or remove it if all is to be sent."
    )


# How pathspec writes a lone `*` and `*/` for a search, and what they are for a whole path.
_WHOLE = {".": re.compile(".+", re.DOTALL), "(?P<ps_d>/)": re.compile(".+/", re.DOTALL)}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that holds a rule, with its number."""
    for number, line in enumerate(text.split("\n"), 1):
        rule = line.removesuffix("\r")
        if rule.strip() and not rule.startswith("#"):
            yield number, rule


def _compiled(line: str, number: int, where: str) -> _Rule:
    from pathspec import GitIgnoreSpec

    try:
        with warnings.catch_warnings():
            # Python's warning of what a bracket may come to mean is about what Git does not know.
            warnings.simplefilter("error", FutureWarning)
            patterns = list(GitIgnoreSpec.from_lines([_plain(line)]).patterns)
    except (ValueError, re.error, FutureWarning) as error:
        raise _malformed(line, number, where) from error
    if len(patterns) != 1 or patterns[0].include is None or patterns[0].regex is None:
        raise _malformed(line, number, where)
    # pathspec's own matching lets a rule for a directory decide about what lies in it, even where
    # a later rule has taken the directory back; hence its expressions alone.
    expression = _WHOLE.get(patterns[0].regex.pattern, patterns[0].regex)
    return _Rule(number, line.strip(), expression, patterns[0].include)


def _plain(line: str) -> str:
    """Write what ends in ``**`` in a way that pathspec, too, takes as Git does.

    That is: ``dir/**`` is what lies in the directory, and not the directory itself.
    """
    sign = "!" if line.startswith("!") else ""
    rule = line.removeprefix("!").rstrip()
    while "/**/**" in rule:
        rule = rule.replace("/**/**", "/**")
    if rule in {"**", "/**", "**/**"}:
        return f"{sign}*"
    if rule in {"**/", "/**/"}:
        return f"{sign}*/"
    if rule.endswith("/**"):
        return f"{sign}{rule}/*"
    if rule.endswith("/**/"):
        return f"{sign}{rule}*/"
    return line


def _malformed(rule: str, number: int, where: str) -> PathogenError:
    return PathogenError(
        f"Line {number} of {where} is no pattern that can match a file: {rule.strip()!r}.\n\n"
        "The lines are those of a .gitignore. Likely causes: a bracket that is not closed, a"
        " range that runs backwards, a class such as [:alpha:], a backslash at the end, or nothing"
        " after `!` or `/`. A character that is meant as it is takes a backslash before it.\n\n"
        "Correct the line and try again; https://git-scm.com/docs/gitignore explains the syntax."
    )
