"""Writing a whole manifest into an empty directory: what the job begins with."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from nextstrain_batch.assemble import assemble
from nextstrain_batch.placing import Directories, Staging
from nextstrain_batch.store.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store.manifest import Entry, Manifest
    from nextstrain_batch.store.transport import Transport


def materialise(
    manifest: Manifest,
    transport: Transport,
    root: Path,
    cache: StatCache | None,
    *,
    progress: Progress = silent,
    opener: Callable[[str, int, int], int] = os.open,
) -> None:
    """Write every entry of *manifest* below *root*, an existing and almost empty directory.

    Files and symlinks that are in the way are replaced; whatever else is there stays. *cache*
    learns what the files hold. Raises ``LocalFilesError``, ``CorruptError`` and the transport's
    errors.
    """

    def in_the_way(path: str) -> None:
        os.unlink(root / path)  # noqa: PTH108

    with Directories(root, in_the_way) as directories, Staging(root, opener) as staging:
        for entry in manifest.entries:
            if entry.kind == "directory":
                directories.make(entry)
                directories.finish(entry)

        def done(entry: Entry, temporary: str) -> None:
            status = staging.place(entry, temporary)
            if cache is not None:
                cache.record(entry.path, status, entry.chunks, time.time_ns())

        files = [entry for entry in manifest.entries if entry.kind == "file"]
        assemble(files, manifest, transport, staging, done, progress=progress)
        for entry in manifest.entries:
            if entry.kind == "symlink":
                staging.link(entry)
