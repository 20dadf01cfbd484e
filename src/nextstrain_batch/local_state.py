"""What this computer remembers about build directories, so that the next build sends less.

Everything here can be thrown away: the next build then reads every file again, and finds out from
the bucket's listing what need not be sent. Below ``~/.nextstrain/aws-batch/``:

    runs/<run-id>.json        the ledger of runs started here (``runs.py``)
    snapshots/<directory>     stat and digests of a directory's files (``stat_cache.py``)
    manifests/<directory>/    the last manifests sent to and received from a bucket
    agent/                    the job-side program, ready to be sent
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import atomic
from nextstrain_batch.errors import StoreError
from nextstrain_batch.runs import Ledger
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store import codec

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.store.manifest import Manifest

NAMES = ("output", "input")
"""The manifests kept of a directory and a bucket, the one to prefer first."""


@dataclass(frozen=True)
class LocalState:
    """The files below *home*, which need not exist yet."""

    home: Path

    @property
    def ledger(self) -> Ledger:
        """The runs that were started on this computer."""
        return Ledger(self.home / "runs")

    @property
    def agent(self) -> Path:
        """The directory of the job-side program."""
        return self.home / "agent"

    def stat_cache(self, root: Path) -> StatCache:
        """Return what is known of the files below *root*; empty when nothing is."""
        return StatCache.load(self._snapshot(root))

    def keep_stat_cache(self, root: Path, cache: StatCache) -> None:
        """Remember the files below *root*, if this computer lets us."""
        with suppress(OSError):  # A full disk here costs the next build some time, no more.
            cache.save(self._snapshot(root))

    def forget_file(self, root: Path, path: str) -> None:
        """Have the file at *path* below *root* read again: what is known of it is wrong."""
        cache = self.stat_cache(root)
        cache.forget(path)
        self.keep_stat_cache(root, cache)

    def manifests(self, root: Path, bucket: str) -> list[Manifest]:
        """Return what is known to be in *bucket* (a URL) of the directory *root*."""
        known = []
        for name in NAMES:
            try:
                known.append(codec.decode(self._manifest(root, bucket, name).read_bytes()))
            except (OSError, StoreError):  # never there, damaged, or of another version
                continue
        return known

    def manifest(
        self, root: Path, bucket: str, name: str, digest: str | None = None
    ) -> Manifest | None:
        """Return the manifest kept under *name*; with *digest*, only if that is its SHA-256."""
        with suppress(OSError, StoreError):
            data = self._manifest(root, bucket, name).read_bytes()
            if digest is None or hashlib.sha256(data).hexdigest() == digest:
                return codec.decode(data)
        return None

    def keep_manifest(self, root: Path, bucket: str, name: str, manifest: Manifest) -> None:
        """Remember a manifest under one of ``NAMES``, if this computer lets us."""
        with suppress(OSError):
            atomic.write(self._manifest(root, bucket, name), codec.encode(manifest))

    def _snapshot(self, root: Path) -> Path:
        return self.home / "snapshots" / _name(os.fsencode(root))

    def _manifest(self, root: Path, bucket: str, name: str) -> Path:
        return self.home / "manifests" / _name(os.fsencode(root), bucket.encode()) / name


def _name(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
