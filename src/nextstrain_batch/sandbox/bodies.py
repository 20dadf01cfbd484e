"""The content of S3 objects: small ones in memory, the rest in one file each.

moto holds a spooled temporary file for each object: memory that grows with the bucket, an open
file for each big object, and a saved state as big as the bucket. ``Body`` has the part of that
file's interface that moto uses, and keeps neither.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 16 * 1024
"""Contents up to this many bytes stay in memory, and in the saved state."""


class Bodies:
    """The directory that contents lie in. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._discarded: list[str] = []
        self._users: dict[str, int] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def new(self, max_size: int = 0, *_: object, **__: object) -> Body:
        """Return an empty body. Takes the arguments that moto gives to a temporary file."""
        del max_size
        return Body(self)

    def restore(self, data: bytes, name: str) -> Body:
        """Return the body that was saved with these values; a file may have several."""
        if name:
            with self._lock:
                self._users[name] = self._users.get(name, 0) + 1
        return Body(self, data, name)

    def write(self, data: bytes) -> str:
        """Store a content and return the name of its file."""
        name = uuid.uuid4().hex
        path = self._directory / name[:2] / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        with self._lock:
            self._users[name] = 1
        return name

    def read(self, name: str, start: int, size: int) -> bytes:
        """Return *size* bytes from *start*; all that follow when *size* is negative."""
        with (self._directory / name[:2] / name).open("rb") as file:
            file.seek(start)
            return file.read(size)

    def discard(self, name: str) -> None:
        """Remove a content that has no other user, once no saved state can refer to it."""
        with self._lock:
            self._users[name] = self._users.get(name, 1) - 1
            if self._users[name] <= 0:
                del self._users[name]
                self._discarded.append(name)

    def discarded(self) -> list[str]:
        """Return what may be swept once a state without it has been saved."""
        with self._lock:
            return list(self._discarded)

    def sweep(self, names: list[str]) -> None:
        """Remove contents that were discarded before the state was saved.

        Not those that have come to be used again: making changes again that were written down may
        replace a content by an older one, and then by itself.
        """
        with self._lock:
            gone = set(names) - self._users.keys()
            self._discarded = [name for name in self._discarded if name not in set(names)]
        for name in gone:
            (self._directory / name[:2] / name).unlink(missing_ok=True)

    def sweep_unknown(self) -> None:
        """Remove files that no body was restored from: a server that was killed left them."""
        with self._lock:
            known = {*self._users, *self._discarded}
        for path in self._directory.glob("??/*"):
            if path.name not in known:
                path.unlink(missing_ok=True)


class Body:
    """One object's content, with the methods of a file that moto calls."""

    def __init__(
        self, bodies: Bodies, data: bytes = b"", name: str = "", *, is_copy: bool = False
    ) -> None:
        self._bodies = bodies
        self._data = data
        self._name = name
        self._position = 0
        self._is_copy = is_copy
        self._is_closed = False

    @property
    def saved(self) -> tuple[bytes, str]:
        """What ``Bodies.restore`` makes it from again: content in memory, name of the file."""
        return self._data, self._name

    def __deepcopy__(self, _: object) -> Body:
        """Return one with the same content, which stays when the copy is gone.

        moto copies objects to list their versions.
        """
        return Body(self._bodies, self._data, self._name, is_copy=True)

    def seek(self, position: int) -> int:
        """Set where reading goes on."""
        self._position = position
        return position

    def truncate(self) -> None:
        """Empty the body; moto does it before each write."""
        self.close()
        self._data, self._name, self._position, self._is_closed = b"", "", 0, False

    def write(self, data: bytes) -> int:
        """Set the content. moto writes it in one piece."""
        if len(data) > SMALL:
            self._name, self._is_copy = self._bodies.write(data), False
        else:
            self._data = bytes(data)
        self._position = len(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Return what follows the position, *size* bytes at most."""
        if self._name:
            found = self._bodies.read(self._name, self._position, size)
        else:
            end = len(self._data) if size < 0 else self._position + size
            found = self._data[self._position : end]
        self._position += len(found)
        return found

    def close(self) -> None:
        """Drop the content: moto closes the bodies of objects that are gone.

        Whoever is reading it reads on; its file stays until a state without it is saved.
        """
        if self._name and not self._is_copy and not self._is_closed:
            self._bodies.discard(self._name)
        self._is_closed = True
