"""Tokens that calls hand out: opaque, bound to what they were made for, good for a day.

GetLogEvents' are of CloudWatch's form, ``f/`` or ``b/`` and 56 digits. What is in them is
scrambled and has a checksum, so that nobody comes to rely on it.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any

LIFE = 24 * 3600
"""Seconds for which a token is good."""

_DIGITS = 46
_CHECK = 10
_MODULUS = 10**_DIGITS
_FACTOR = 3_141_592_653_589_793_238_462_643_383_279_502_884_197
_WIDTHS = (14, 10, 11, 3, 8)
"""Digits of timestamp, sequence, time of issue, empty pages given, and the stream's number."""


class InvalidTokenError(Exception):
    """A token is not ours, not for this, or too old."""


@dataclass(frozen=True)
class Position:
    """A place in a stream: between the event of *key* and the next, or the one before it."""

    key: tuple[int, int]
    forward: bool
    """Whether it is for the events that follow."""
    empty: int = 0
    """How many empty pages have been given at this place."""


def encode(position: Position, stream: str, now: float) -> str:
    """Return the token for a position in a stream. *now* is seconds since 1970."""
    timestamp, sequence = position.key
    values = (timestamp + 1, sequence + 1, int(now), position.empty, _number(stream))
    digits = "".join(f"{value:0{width}d}" for value, width in zip(values, _WIDTHS, strict=True))
    scrambled = f"{int(digits) * _FACTOR % _MODULUS:0{_DIGITS}d}"
    direction = "f" if position.forward else "b"
    return f"{direction}/{scrambled}{_check(direction + scrambled)}/s"


def decode(token: str, stream: str, now: float) -> Position:
    """Return the position that a token stands for. Raises ``InvalidTokenError``."""
    direction, _, rest = token.partition("/")
    digits = rest.removesuffix("/s")
    scrambled, check = digits[:_DIGITS], digits[_DIGITS:]
    well_formed = direction in {"f", "b"} and len(digits) == _DIGITS + _CHECK and digits.isdigit()
    if not well_formed or check != _check(direction + scrambled):
        raise InvalidTokenError
    plain = f"{int(scrambled) * pow(_FACTOR, -1, _MODULUS) % _MODULUS:0{_DIGITS}d}"
    values = []
    for width in _WIDTHS:
        values.append(int(plain[:width]))
        plain = plain[width:]
    timestamp, sequence, issued, empty, number = values
    if number != _number(stream) or now - issued > LIFE:
        raise InvalidTokenError
    return Position((timestamp - 1, sequence - 1), direction == "f", empty)


def encode_text(value: dict[str, Any], now: float) -> str:
    """Return an opaque token for the next page of a list."""
    return base64.urlsafe_b64encode(zlib.compress(json.dumps([now, value]).encode())).decode()


def decode_text(token: str, now: float) -> dict[str, Any]:
    """Return what a token of ``encode_text`` stands for. Raises ``InvalidTokenError``."""
    try:
        issued, value = json.loads(zlib.decompress(base64.urlsafe_b64decode(token)))
        good = now - float(issued) <= LIFE and isinstance(value, dict)
    except (ValueError, TypeError, zlib.error) as error:
        raise InvalidTokenError from error
    if not good:
        raise InvalidTokenError
    found: dict[str, Any] = value
    return found


def _number(stream: str) -> int:
    return zlib.crc32(stream.encode()) % 10**8


def _check(text: str) -> str:
    return f"{zlib.crc32(text.encode()):0{_CHECK}d}"
