"""The last manifests of a build directory, kept on this computer with the bases they need.

Everything here can be thrown away; what is damaged counts as not there.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from nextstrain_batch import atomic
from nextstrain_batch.errors import StoreError
from nextstrain_batch.store import codec, packs

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.store.manifest import Base, Manifest, StoredText

NAMES = ("output", "input")
"""What is kept, the one to prefer first."""

_BASE = ".base"

_LONG_AGO = 3600
"""Seconds."""


class KeptManifests:
    """Those of one build directory and bucket, in *directory*, which need not exist yet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._bases: dict[str, Base] = {}

    def all(self) -> list[Manifest]:
        """Return all that are here."""
        found = (self.get(name) for name in NAMES)
        return [manifest for manifest in found if manifest is not None]

    def get(self, name: str, digest: str | None = None) -> Manifest | None:
        """Return the one kept under *name*; with *digest*, only if that is its SHA-256."""
        with suppress(OSError, StoreError):  # never there, damaged, or of another version
            data = (self._directory / name).read_bytes()
            if digest is None or hashlib.sha256(data).hexdigest() == digest:
                return codec.decode(data, self._base)
        return None

    def keep(self, name: str, manifest: Manifest) -> None:
        """Keep a manifest under one of ``NAMES``. Raises ``OSError``."""
        if manifest.base is not None:
            base = self._directory / _base_name(manifest.base.stored)
            if not base.exists():
                atomic.write(base, manifest.base.text)
        path = self._directory / name
        atomic.write(path, codec.encode(manifest))
        self._tidy(path)

    def _base(self, stored: StoredText) -> Base:
        name = _base_name(stored)
        if name not in self._bases:
            path = self._directory / name
            try:
                self._bases[name] = codec.base_of(stored, path.read_bytes())
            except FileNotFoundError:
                raise
            except (OSError, StoreError):
                path.unlink(missing_ok=True)  # ``keep`` takes what is there for right.
                raise
        # Its packs may have been stored anew meanwhile.
        return replace(self._bases[name], stored=stored)

    def _tidy(self, kept: Path) -> None:
        """Remove what nothing needs any more, if it is long older than *kept*.

        Another build of the directory may be about to need a base that it has just written.
        """
        needed = set(NAMES)
        for name in NAMES:
            with suppress(OSError, StoreError):
                stored = codec.needs((self._directory / name).read_bytes())
                if stored is not None:
                    needed.add(_base_name(stored))
        now = kept.stat().st_mtime
        for path in self._directory.iterdir():
            if path.name not in needed and now - path.lstat().st_mtime > _LONG_AGO:
                path.unlink(missing_ok=True)


def _base_name(stored: StoredText) -> str:
    return packs.pack_id(stored.chunks) + _BASE
