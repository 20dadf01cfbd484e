"""One transfer of ours, as the runtime and the job do it; each is run as a process of its own.

    python benchmarks/ours.py send|back ROOT BUCKET HOME    what the user's computer does
    python benchmarks/ours.py fetch|store ROOT BUCKET HOME  what the job does
    python benchmarks/ours.py bound ROOT                    read, hash and compress, nothing else

BUCKET is a name; HOME keeps what a computer remembers between builds. The job's two halves are one
process in a real job; here the second reads from HOME what the first knew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from nextstrain_batch.snapshot import Sink, Snapshot
    from nextstrain_batch.store.transport import Transport

RUN = "bench-20260101T000000Z-00000000"
FRAME = 1024 * 1024


def now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def transport(bucket: str) -> Transport:
    from nextstrain_batch.aws import Aws
    from nextstrain_batch.config import BucketUrl

    return Aws().bucket(BucketUrl(bucket))


def send(root: Path, bucket: str, home: Path) -> None:
    """Do what ``nextstrain build`` does up to the input manifest."""
    import nextstrain_batch.runtimes.aws_batch.gathering  # noqa: F401 - its start-up counts
    from nextstrain_batch.local_state import LocalState
    from nextstrain_batch.pathogen import upload_filter
    from nextstrain_batch.snapshot import take
    from nextstrain_batch.store import codec, keys
    from nextstrain_batch.upload import execute, read_and_plan
    from nextstrain_batch.walk import walk

    there, state = transport(bucket), LocalState(home / "aws-batch")
    cache = state.stat_cache(root)

    def read(sink: Sink | None) -> Snapshot:
        return take(root, walk(root, upload_filter()), cache, sink=sink)

    planned = read_and_plan(read, there, known=state.manifests(root, there.url), now=now)
    state.keep_stat_cache(root, cache)
    uploaded = execute(planned, there, now=now)
    state.keep_manifest(root, there.url, "input", uploaded.manifest)
    digest = codec.publish(uploaded.manifest, there, keys.input_manifest(RUN))
    (home / "digest").write_text(digest)


def fetch(root: Path, bucket: str, home: Path) -> None:
    """Do what the job does before its program runs."""
    from nextstrain_batch.kept_manifests import KeptManifests
    from nextstrain_batch.materialise import materialise
    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store import codec, keys

    there, cache = transport(bucket), StatCache()
    manifest = codec.retrieve(there, keys.input_manifest(RUN))
    materialise(manifest, there, root, cache)
    cache.save(home / "job.cache")
    KeptManifests(home / "job").keep("input", manifest)


def store(root: Path, bucket: str, home: Path) -> None:
    """Do what the job does after its program has run."""
    from nextstrain_batch.agent import push
    from nextstrain_batch.kept_manifests import KeptManifests
    from nextstrain_batch.snapshot import take
    from nextstrain_batch.stat_cache import StatCache
    from nextstrain_batch.store import codec, keys
    from nextstrain_batch.upload import execute, read_and_plan
    from nextstrain_batch.walk import walk

    there, cache = transport(bucket), StatCache.load(home / "job.cache")
    sent = KeptManifests(home / "job").get("input")
    assert sent is not None

    def read(sink: Sink | None) -> Snapshot:
        return take(root, walk(root, push.skip), cache, sink=sink)

    level = push.LEVEL
    planned = read_and_plan(read, there, known=(sent,), now=now, level=level)
    uploaded = execute(planned, there, now=now, kept=sent.packs, level=level)
    codec.publish(uploaded.manifest, there, keys.output_manifest(RUN, 1))


def back(root: Path, bucket: str, home: Path) -> None:
    """Do what ``nextstrain build`` does when the job is over."""
    import nextstrain_batch.runtimes.aws_batch.following  # noqa: F401 - its start-up counts
    from nextstrain_batch.download import download
    from nextstrain_batch.local_state import LocalState
    from nextstrain_batch.store import codec, keys
    from nextstrain_batch.wanted import Wanted

    there, state = transport(bucket), LocalState(home / "aws-batch")
    digest = (home / "digest").read_text()  # a real client has it in the run's record
    sent = state.manifest(root, there.url, "input", digest)
    assert sent is not None
    output = codec.retrieve(there, keys.output_manifest(RUN, 1), like=sent)
    cache = state.stat_cache(root)
    wanted = Wanted(True, output, sent, root)
    download(wanted, sent, there, root, run_id=RUN, cache=cache)
    state.keep_stat_cache(root, cache)
    state.keep_manifest(root, there.url, "output", output)


def bound(root: Path) -> None:
    """Read, hash and compress every byte, with our libraries, on all processors."""
    import hashlib

    from nextstrain_batch.allocator import WORTH, keeping_freed
    from nextstrain_batch.sending import LEVEL
    from nextstrain_batch.store import parallel, zstd

    codec = zstd.best()

    def work(frame: bytes) -> None:
        hashlib.sha256(frame).digest()
        codec.compress(frame, LEVEL)

    with keeping_freed(WORTH):
        parallel.run(work, _frames(root), parallel.processors())


def _frames(root: Path) -> Iterator[bytes]:
    """Yield all content in pieces of a frame: small files together, big ones cut anywhere."""
    waiting: list[bytes] = []
    size = 0
    for directory, _, names in os.walk(root):
        for name in names:
            with Path(directory, name).open("rb", buffering=0) as file:
                while data := file.read(FRAME):
                    waiting.append(data)
                    size += len(data)
                    if size >= FRAME:
                        yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
                        waiting, size = [], 0
    yield b"".join(waiting)


def main() -> None:
    from nextstrain_batch.garbage import collect_rarely

    collect_rarely()  # as the command and the job do
    step, root, *rest = sys.argv[1:]
    if step == "bound":
        bound(Path(root))
        return
    steps = {"send": send, "fetch": fetch, "store": store, "back": back}
    steps[step](Path(root), rest[0], Path(rest[1]))


if __name__ == "__main__":
    main()
