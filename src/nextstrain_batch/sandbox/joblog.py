"""What jobs print, as CloudWatch log events, while they run.

As Docker's ``awslogs`` driver does it: a line is an event without its line end, longer lines are
cut into pieces of 16 KiB, and empty lines are dropped, because an event may not be empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "/aws/batch/job"
PIECE = 16 * 1024
"""The most bytes of one event."""


class LineWriter:
    """Turns the bytes of one stream into events, as they come.

    *put* takes a list of messages with their time in milliseconds. Times never go back.
    """

    def __init__(
        self, put: Callable[[list[tuple[int, str]]], None], clock: Callable[[], float]
    ) -> None:
        self._put = put
        self._clock = clock
        self._rest = b""
        self._last = 0

    def feed(self, data: bytes) -> None:
        """Take bytes; the lines that they complete become events."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > PIECE:
            cut = _cut(self._rest)
            lines.append(self._rest[:cut])
            self._rest = self._rest[cut:]
        self._send(lines)

    def close(self) -> None:
        """Send what stands behind the last line end."""
        rest, self._rest = self._rest, b""
        self._send([rest])

    def _send(self, lines: list[bytes]) -> None:
        messages = [piece for line in lines for piece in _pieces(line)]
        if messages:
            self._last = max(self._last, int(self._clock() * 1000))
            self._put([(self._last, message) for message in messages])


def _pieces(line: bytes) -> Iterator[str]:
    line = line.removesuffix(b"\r")
    while line:
        cut = _cut(line)
        yield line[:cut].decode(errors="replace")
        line = line[cut:]


def _cut(line: bytes) -> int:
    """Return where the first piece ends: not inside a character."""
    if len(line) <= PIECE:
        return len(line)
    cut = PIECE
    while cut > PIECE - 4 and line[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut
