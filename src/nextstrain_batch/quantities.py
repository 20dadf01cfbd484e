"""Amounts as people write and read them."""

from __future__ import annotations

import re

MIB = 1024**2

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": MIB,
    "gib": 1024**3,
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*)", re.ASCII | re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Return the bytes that ``1.5gb``, ``512 MiB`` or ``1024`` stands for, rounded up.

    The unit is one of b, kb, mb, gb (powers of 1000), kib, mib, gib (powers of 1024), in either
    case; a bare number counts bytes. Raises ``ValueError`` for anything else, and for nothing.
    """
    match = _QUANTITY.fullmatch(text.strip())
    unit = match.group(2).lower() if match else ""
    if match is None or unit not in _UNITS:
        raise ValueError(
            f"{text!r} is not an amount of memory; write a number and one of the units"
            " b, kb, mb, gb, kib, mib, gib, such as 16gib"
        )
    amount = _scaled(match.group(1), _UNITS[unit])
    if amount < 1:
        raise ValueError(f"{text!r} is less than one byte")
    return amount


def _scaled(number: str, unit: int) -> int:
    """Multiply a decimal number exactly, where a float would be off, and round up."""
    whole, _, fraction = number.partition(".")
    divisor: int = 10 ** len(fraction)
    return -(-int(whole + fraction) * unit // divisor)


def mebibytes(count: int) -> int:
    """Return a number of bytes in MiB, as AWS Batch counts memory; part of one counts as one."""
    return -(-count // MIB)


def shown_bytes(count: int) -> str:
    """Return a number of bytes for people to read: ``0 bytes``, ``12.3 kB``, ``1.2 GB``."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``1,234 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shown_seconds(seconds: float) -> str:
    """Return a stretch of time for people to read: ``42 s``, ``3 min``, ``2 h 5 min``, ``12 d``."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 90 * 60:
        return f"{round(whole / 60)} min"
    if whole < 2 * 86400:
        hours, minutes = divmod(round(whole / 60), 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{whole // 86400} d"
