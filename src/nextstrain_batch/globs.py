"""Patterns for file names, as Bash with ``extglob`` and ``globstar`` understands them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Matcher = "Callable[[str], bool]"


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a path matches.

    Paths are relative to the build's root, with ``/`` between their parts and at the end of a
    directory. A path matches when one of the patterns matches it and none of the negated ones
    (``!pattern``) does; if all are negated, everything else matches. ``*`` stays within a part,
    ``**`` crosses them, ``{a,b}``, ``[ab]``, ``@(a|b)``, ``!(a)`` and the like work, and a pattern
    without a slash is compared with the last part. A leading dot must be written out. Upper and
    lower case differ on every computer, as they do where the job runs.
    """
    from wcmatch import glob

    flags = (
        glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.MATCHBASE
        | glob.NEGATE | glob.NEGATEALL | glob.CASE | glob.FORCEUNIX
    )  # fmt: skip
    cleaned = [_relative(pattern) for pattern in patterns]
    compiled = glob.compile(cleaned, flags=flags)
    return lambda path: bool(compiled.match(path))


def decider(patterns: Sequence[str]) -> Callable[[str], str]:
    """Return a function that tells which pattern makes a matching path match.

    Where all of them are negated, it tells all of them.
    """
    positive = [pattern for pattern in patterns if not is_negated(pattern)]
    matchers = [(pattern, matcher([pattern])) for pattern in positive]
    every = ", ".join(positive or patterns)
    return lambda path: next((each for each, matches in matchers if matches(path)), every)


def is_negated(pattern: str) -> bool:
    """Whether the pattern says what does not match; ``!(a)`` is no negation but a wildcard."""
    return pattern.startswith("!") and not pattern.startswith("!(")


def _relative(pattern: str) -> str:
    """Take ``./`` off, which a shell's completion writes and no path of ours begins with."""
    negation = "!" if is_negated(pattern) else ""
    rest = pattern.removeprefix(negation)
    while rest.startswith("./"):
        rest = rest[2:].lstrip("/")
    return negation + rest
