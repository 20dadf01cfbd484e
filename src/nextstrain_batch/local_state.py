"""What this computer remembers about build directories, so that the next build sends less.

Everything here can be thrown away: the next build then reads every file again, and finds out from
the bucket's listing what need not be sent. Below ``~/.nextstrain/aws-batch/``:

    runs/<run-id>.json        the ledger of runs started here (``runs.py``)
    snapshots/<directory>     stat and digests of a directory's files (``stat_cache.py``)
    manifests/<directory>/    the last manifests sent and received (``kept_manifests.py``)
    agent/                    the job-side program, ready to be sent
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.kept_manifests import KeptManifests
from nextstrain_batch.runs import Ledger
from nextstrain_batch.stat_cache import StatCache

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.store.manifest import Manifest


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
        return self._manifests(root, bucket).all()

    def manifest(
        self, root: Path, bucket: str, name: str, digest: str | None = None
    ) -> Manifest | None:
        """Return the manifest kept under *name*; with *digest*, only if that is its SHA-256."""
        return self._manifests(root, bucket).get(name, digest)

    def keep_manifest(self, root: Path, bucket: str, name: str, manifest: Manifest) -> None:
        """Remember the manifest of what was sent ("input") or received ("output"), if we can."""
        with suppress(OSError):
            self._manifests(root, bucket).keep(name, manifest)

    def _snapshot(self, root: Path) -> Path:
        return self.home / "snapshots" / _name(os.fsencode(root))

    def _manifests(self, root: Path, bucket: str) -> KeptManifests:
        return KeptManifests(self.home / "manifests" / _name(os.fsencode(root), bucket.encode()))


def _name(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
