"""FilterLogEvents' patterns of words: all of them, some of them (``?``), none of them (``-``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_TERM = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')


class UnsupportedPatternError(Exception):
    """A pattern for structured events, which the sandbox does not understand."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a message fits. Raises ``UnsupportedPatternError``."""
    text = pattern.strip()
    if text.startswith(("{", "[", "%")):
        raise UnsupportedPatternError(pattern)
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    for sign, quoted, plain in _TERM.findall(text):
        terms[sign].append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)

    def matches(message: str) -> bool:
        return (
            all(term in message for term in terms[""])
            and (not terms["?"] or any(term in message for term in terms["?"]))
            and not any(term in message for term in terms["-"])
        )

    return matches
