"""Patterns for file names, as Bash with ``extglob`` and ``globstar`` understands them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MANY = 10_000
"""As many patterns one may stand for, by its braces: each file is compared with all of them."""

_WILDCARDS = re.compile(r"[*?\[{]|[@+!]\(")
# A class within brackets, an escaped character, or what opens and closes a group.
_TOKEN = re.compile(r"\\.|\[[!^]?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|[?*+@!]\(|[\[\\{}()]", re.DOTALL)
_CLOSING = {"{": "}", "(": ")"}


def matcher(patterns: Sequence[str], *, whole_directories: bool = False) -> Callable[[str], bool]:
    """Return a function that tells whether a path matches.

    Paths are relative to the build's root, with ``/`` between their parts and at the end of a
    directory. A path matches when one of the patterns matches it and none of the negated ones
    (``!pattern``) does; if all are negated, everything else matches. ``*`` stays within a part,
    ``**`` crosses them, ``{a,b}``, ``[ab]``, ``@(a|b)``, ``!(a)`` and the like work, and a pattern
    without a slash is compared with the last part. A leading dot must be written out. Upper and
    lower case differ on every computer, as they do where the job runs.

    A pattern that names a directory, by a slash at its end or without wildcards in its last part,
    stands for all that lies in it; with *whole_directories*, so does each one that matches a
    directory and is not negated.
    """
    positive = [pattern for pattern in patterns if not is_negated(pattern)]
    negated = [pattern.removeprefix("!") for pattern in patterns if is_negated(pattern)]
    takes = _reaching(positive, positive if whole_directories else _naming(positive))
    takes_away = _reaching(negated, _naming(negated))
    return lambda path: (not positive or takes(path)) and not takes_away(path)


def decider(patterns: Sequence[str]) -> Callable[[str], str]:
    """Return a function that tells which pattern makes a path match with *whole_directories*.

    Where all of them are negated, it tells all of them.
    """
    positive = [pattern for pattern in patterns if not is_negated(pattern)]
    matchers = [(pattern, matcher([pattern], whole_directories=True)) for pattern in positive]
    every = ", ".join(positive or patterns)
    return lambda path: next((each for each, matches in matchers if matches(path)), every)


def may_spare(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a negated pattern may match below a directory.

    Its path ends with a slash.
    """
    beginnings = [_beginning(pattern[1:]) for pattern in patterns if is_negated(pattern)]
    return lambda directory: any(
        directory.startswith(beginning) or beginning.startswith(directory)
        for beginning in beginnings
    )


def is_negated(pattern: str) -> bool:
    """Whether the pattern says what does not match; ``!(a)`` is no negation but a wildcard."""
    return pattern.startswith("!") and not pattern.startswith("!(")


def checked(pattern: str) -> str:
    """Return a pattern as it is. Raises ``ValueError`` for one that cannot be meant."""
    from wcmatch import glob
    from wcmatch._wcparse import PatternLimitException  # It is nowhere else.

    rest = _relative(pattern.removeprefix("!") if is_negated(pattern) else pattern)
    if not rest.strip("/"):
        raise ValueError(f"{pattern!r} names no file")
    _check_place(pattern, rest)
    if is_negated(rest):
        raise ValueError(f"{pattern!r} says 'not' twice")
    if "\0" in rest or (wrong := _unclosed(rest)):
        wrong = "a NUL character" if "\0" in rest else f"{wrong!r} without its end"
        raise ValueError(
            f"{pattern!r} has {wrong}; a character that is meant as it is takes a backslash"
            " before it"
        )
    try:
        glob.compile(rest, flags=glob.BRACE, limit=MANY)
    except PatternLimitException:
        raise ValueError(
            f"{pattern!r} stands for more than {MANY:,} patterns; write * or [0-9] for numbers"
        ) from None
    return pattern


def _check_place(pattern: str, rest: str) -> None:
    """Raise ``ValueError`` where *rest*, a pattern without negation, can match no path of ours."""
    if rest.startswith("/"):
        below = rest.lstrip("/")
        if is_negated(pattern):
            below = f"!\\{below}" if below.startswith("(") else f"!{below}"
        # What has no slash is sought at any depth, and only one at its end keeps it to the root.
        anywhere = (
            f" for a directory there, {below!r} for that name at any depth (a file at the root"
            " alone cannot be named)"
        )
        instead = repr(below) if "/" in below else repr(f"{below}/") + anywhere
        raise ValueError(
            f"{pattern!r} begins with a slash, but patterns are relative to the pathogen's root:"
            f" write {instead}, or of a path on this computer what follows the root"
        )
    if dots := {".", ".."}.intersection(rest.split("/")):
        raise ValueError(
            f"{pattern!r} has the part {max(dots)!r}, but patterns are relative to the pathogen's"
            " root: write the path from there on"
        )


def _reaching(patterns: Sequence[str], deep: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a path matches one of *patterns*, or lies in what one of *deep* matches."""
    itself = _compiled(tuple(patterns))
    above = cache(_compiled(tuple(deep)))
    return lambda path: itself(path) or any(above(directory) for directory in _above(path))


def _compiled(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    from wcmatch import glob

    if not patterns:
        return lambda _path: False
    flags = (
        glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.MATCHBASE | glob.CASE | glob.FORCEUNIX
    )  # fmt: skip
    compiled = glob.compile([_relative(each) for each in patterns], flags=flags, limit=0)
    return lambda path: bool(compiled.match(path))


def _above(path: str) -> Iterator[str]:
    """Yield the directories that a path lies in, the nearest last."""
    end = path.find("/") + 1
    while 0 < end < len(path):
        yield path[:end]
        end = path.find("/", end) + 1


def _naming(patterns: Sequence[str]) -> list[str]:
    """Return the patterns that name a directory, if it is one that they match."""
    return [
        pattern
        for pattern in patterns
        if pattern.endswith("/") or not _WILDCARDS.search(pattern.rpartition("/")[2])
    ]


def _beginning(pattern: str) -> str:
    """Return with what every path begins that a pattern matches, as far as that is plain."""
    rest = _relative(pattern)
    if "/" not in rest.rstrip("/"):
        return ""
    plain = re.split(r"[*?\[{(@+!\\]", rest)[0]
    return plain.rpartition("/")[0] + "/" if "/" in plain else ""


def _relative(pattern: str) -> str:
    """Take ``./`` off, which a shell's completion writes and no path of ours begins with."""
    while pattern.startswith("./"):
        pattern = pattern[2:].lstrip("/")
    return pattern


def _unclosed(pattern: str) -> str:
    """Return a bracket or brace that opens and is not closed, or a backslash at the end."""
    waiting: list[str] = []
    for each in _TOKEN.findall(pattern):
        if each in {"[", "\\"}:
            return str(each)
        if each == "{" or each[1:] == "(":
            waiting.append(each)
        elif waiting and each == _CLOSING[waiting[-1][-1]]:
            waiting.pop()
    return waiting[-1] if waiting else ""
