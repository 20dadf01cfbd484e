"""A manifest: the files of a build directory, and where in which packs their content lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["file", "directory", "symlink"]

EARLIEST_NS = -(2**63)
LATEST_NS = 2**63 - 1
"""The times that a manifest can tell, in nanoseconds since 1970: from 1677 to 2262."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file's content, named by what it is: a small file is one chunk."""

    digest: str
    """SHA-256 of the content, 64 hexadecimal digits."""
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory or symlink."""

    path: str
    """Relative to the build root, parts joined by ``/``; undecodable bytes as surrogates."""
    kind: Kind
    mode: int
    """Permission bits, ``0o777`` at most."""
    mtime_ns: int
    """Nanoseconds since 1970-01-01 UTC; negative before. From ``EARLIEST_NS`` to ``LATEST_NS``."""
    chunks: tuple[Chunk, ...] = ()
    """A file's content, in order; empty for an empty file and whatever is no file."""
    target: str = ""
    """Where a symlink points."""

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return sum(chunk.size for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a chunk lies."""

    pack: str
    """The pack's id."""
    offset: int
    """In bytes, from the start of the pack's uncompressed content."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that a manifest relies on."""

    id: str
    size: int
    """Of its uncompressed content, in bytes."""
    stored_size: int
    """Of the object in the bucket, in bytes, when the manifest was written: another one of the
    same name holds the same, and may be of another size."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The commit record of a transfer. Every chunk of its entries has a location."""

    entries: tuple[Entry, ...]
    """In the order of their paths' bytes; a directory comes before what it holds."""
    packs: dict[str, Pack]
    """By id; each one holds at least one chunk of an entry, or of the base's text."""
    locations: dict[str, Location]
    """Of the entries' chunks, by digest."""
    base: Base | None = field(default=None, compare=False, repr=False)
    """What its bytes tell the difference from; None where they tell everything themselves."""
    encoded: bytes | None = field(default=None, init=False, compare=False, repr=False)
    """Its bytes, once ``codec`` has made or read them."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """Where the text of a manifest lies, as a big file would."""

    chunks: tuple[Chunk, ...]
    """The text, in order."""
    packs: dict[str, Pack]
    """By id."""
    locations: dict[str, Location]
    """By the chunk's digest."""


@dataclass(frozen=True, slots=True)
class Base:
    """A manifest that is stored in packs once, so that later ones need only say what differs."""

    stored: StoredText
    text: bytes
    """A whole manifest as JSON: see ``codec``."""
    manifest: Manifest
    """What the text says; without a base itself."""
    table: tuple[Chunk, ...]
    """The chunks of its entries, in the order in which the text lists them."""
