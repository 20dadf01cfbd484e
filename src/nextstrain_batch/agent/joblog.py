"""The job's log: what the program and the agent say, on standard output and kept for the bucket.

Memory and disk stay bounded however much a program says: the kept copy holds the beginning and
the end. Standard output (CloudWatch Logs) gets everything.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 32 * 1024 * 1024
TAIL = 16 * 1024 * 1024
PREFIX = "[nextstrain] "


class JobLog:
    """Copies bytes to *stdout* and keeps them in files below *directory*.

    Kept are the first *head* bytes and the last *tail* to twice *tail* bytes. Safe to use from
    several threads.
    """

    def __init__(
        self, directory: Path, stdout: BinaryIO | None, *, head: int = HEAD, tail: int = TAIL
    ) -> None:
        self._stdout = stdout
        # Opened once and for all: the program may empty the directory.
        self._head, *self._tails = (
            (directory / name).open("w+b", buffering=0) for name in ("head", "tail-0", "tail-1")
        )
        self._limits = (head, tail)
        self._total = 0
        self._lines = 0
        self._in_line = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files; whoever made the directory removes it."""
        with self._lock:
            for file in (self._head, *self._tails):
                file.close()

    @property
    def total(self) -> int:
        """How many bytes were written so far."""
        return self._total

    @property
    def lines(self) -> int:
        """How many lines that are not empty were written so far; an unended one counts."""
        return self._lines

    def write(self, data: bytes) -> None:
        """Pass on *data* at once, whole lines or not."""
        with self._lock:
            self._write(data)

    def say(self, message: str) -> None:
        """Write the agent's own *message*, each line marked as such, on lines of its own."""
        text = "".join(f"{PREFIX}{line}\n" for line in message.splitlines() if line.strip())
        with self._lock:
            start = b"\n" if self._in_line else b""
            self._write(start + text.encode("utf-8", "backslashreplace"))

    def content(self) -> bytes:
        """Return what is kept: all of it, or its beginning and end with a line in between.

        An earlier content without such a line is always the beginning of a later one.
        """
        with self._lock:
            head = _content(self._head)
            tail = b"".join(map(_content, self._tails))
        left_out = self._total - len(head) - len(tail)
        if not left_out:
            return head + tail
        notice = f"\n{PREFIX}{left_out} bytes are left out here; CloudWatch Logs has them.\n"
        return head + notice.encode() + tail

    def content_is_whole(self) -> bool:
        """Tell whether the kept copy still only grows, so that it is worth storing once more."""
        return self._total <= self._limits[0]

    def _write(self, data: bytes) -> None:
        if not data:
            return
        self._count_lines(data)
        # A full disk must not end the build here: what could not be kept counts as left out.
        with contextlib.suppress(OSError):
            self._keep(data)
        self._total += len(data)
        self._pass_on(data)

    def _count_lines(self, data: bytes) -> None:
        pieces = data.split(b"\n")
        started = len(pieces) - pieces.count(b"")
        # The first piece goes on with a line that has been counted.
        self._lines += started - (1 if self._in_line and pieces[0] else 0)
        self._in_line = bool(pieces[-1])

    def _keep(self, data: bytes) -> None:
        head_limit, tail_limit = self._limits
        room = max(head_limit - self._total, 0)
        if room:
            self._head.seek(0, 2)
            self._head.write(data[:room])
        if len(data) <= room:
            return
        if self._tails[-1].tell() >= tail_limit:
            self._tails.reverse()
            self._tails[-1].seek(0)
            self._tails[-1].truncate()
        self._tails[-1].write(data[room:])

    def _pass_on(self, data: bytes) -> None:
        if self._stdout is None:
            return
        try:
            self._stdout.write(data)
            self._stdout.flush()
        except OSError:
            # Nobody reads any more. The build matters more than being watched, and the kept copy
            # is stored all the same.
            self._stdout = None


def _content(file: BinaryIO) -> bytes:
    """Return all that *file* holds, and leave it at its end."""
    file.seek(0)
    return file.read()
