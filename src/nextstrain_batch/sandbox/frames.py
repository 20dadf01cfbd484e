"""A log of changes since the last save: what is appended survives the death of this process.

It is not flushed to the disk: a computer that loses its power may lose the last seconds, a server
that is killed loses nothing. Files are numbered; a save begins a new one before it reads what it
saves, and removes the earlier ones once it is written.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = struct.Struct(">II")


class Frames:
    """The log files *name*.log.<number> in a directory. Safe to use from several threads."""

    def __init__(self, directory: Path, name: str) -> None:
        self.lock = threading.RLock()
        """Held while something is appended; whoever holds it keeps others from doing so."""
        self._directory = directory
        self._name = name
        self._file: int | None = None

    def append(self, data: bytes) -> None:
        """Add a frame."""
        frame = _HEAD.pack(len(data), zlib.crc32(data)) + data
        with self.lock:
            if self._file is None:
                self._file = self._open()
            written = os.write(self._file, frame)
            if written != len(frame):
                # A full disk. What follows could not be read, so it goes elsewhere.
                self._close()
                raise OSError(f"{self._name}.log could not be written")

    def rotate(self) -> list[Path]:
        """Begin a new file with the next frame; return the files so far."""
        with self.lock:
            self._close()
            return self._files()

    def set_aside(self) -> None:
        """Keep the files so far under other names, as *name*.unreadable.log.<number>."""
        for path in self.rotate():
            path.replace(path.with_name(f"{self._name}.unreadable.log{path.suffix}"))

    def read(self) -> Iterator[bytes]:
        """Yield the frames of all files, oldest first; of each file those before any damage."""
        for path in self._files():
            data = path.read_bytes()
            position = 0
            while position + _HEAD.size <= len(data):
                length, checksum = _HEAD.unpack_from(data, position)
                frame = data[position + _HEAD.size : position + _HEAD.size + length]
                if len(frame) != length or zlib.crc32(frame) != checksum:
                    break
                yield frame
                position += _HEAD.size + length

    def _files(self) -> list[Path]:
        found = self._directory.glob(f"{self._name}.log.*")
        return sorted(found, key=lambda path: int(path.suffix[1:]))

    def _open(self) -> int:
        self._directory.mkdir(parents=True, exist_ok=True)
        files = self._files()
        number = int(files[-1].suffix[1:]) + 1 if files else 1
        path = self._directory / f"{self._name}.log.{number}"
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
