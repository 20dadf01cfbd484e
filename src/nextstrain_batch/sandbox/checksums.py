"""The checksums that S3 takes with a body, computed."""

from __future__ import annotations

import base64
import hashlib
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = 4 * 1024 * 1024
"""Bytes; of bigger bodies the checksums that only Python can compute are not."""


def checksum(name: str, body: bytes) -> str | None:
    """Return the Base64 of a checksum by S3's name of it, such as ``crc32``.

    None for one that is not known, or takes too long to compute here.
    """
    compute = _QUICK.get(name)
    if compute is None:
        polynomial = _SLOW.get(name)
        if polynomial is None or len(body) > SLOW:
            return None
        return _encoded(_crc(body, *polynomial))
    return _encoded(compute(body))


def _encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


_QUICK: dict[str, Callable[[bytes], bytes]] = {
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
}
_SLOW = {"crc32c": (0x82F63B78, 4), "crc64nvme": (0x9A6C9329AC4BC9B5, 8)}
"""Polynomials, their bits reversed, and lengths in bytes."""


def _crc(body: bytes, polynomial: int, length: int) -> bytes:
    table = _table(polynomial)
    ones = (1 << 8 * length) - 1
    value = ones
    for byte in body:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return (value ^ ones).to_bytes(length, "big")


@cache
def _table(polynomial: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)
