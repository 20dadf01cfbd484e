"""The transfer, with a real S3 server and real disks."""

import errno
import os
import random
import shutil
import subprocess
import tracemalloc
from datetime import UTC, datetime

import pytest

from needs import missing
from nextstrain_batch.errors import LocalFilesError
from nextstrain_batch.materialise import materialise
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.codec import publish, retrieve
from trees import bring_back, seen, send_by, write


def now():
    return datetime.now(UTC)


def send(root, transport, key, known=()):
    uploaded = send_by(root, transport, now, known)
    return uploaded, publish(uploaded.manifest, transport, key)


@pytest.fixture
def tree(tmp_path):
    generator = random.Random(1)
    files = {f"data/{number % 20}/{number}": generator.randbytes(5000) for number in range(600)}
    table = b"".join(b"%d\t%x\n" % (line, generator.getrandbits(200)) for line in range(300_000))
    root = write(
        tmp_path / "tree", {**files, "table": table, "noise": generator.randbytes(9_000_000)}
    )
    (root / "link").symlink_to("data/3")
    return root


def test_a_run(tree, tmp_path, s3_transport):
    """A tree goes to a job, is worked on, and its results come back."""
    sent, digest = send(tree, s3_transport, "runs/1/input.manifest")
    base = retrieve(s3_transport, "runs/1/input.manifest", digest)
    assert base == sent.manifest
    job, cache = tmp_path / "job", StatCache()
    job.mkdir()
    materialise(base, s3_transport, job, cache)
    assert seen(job) == seen(tree)

    table = (job / "table").read_bytes()
    half = len(table) // 2
    write(job, {"table": table[:half] + b"inserted\n" + table[half:], "results/tree": "((a,b),c)"})
    (job / "noise").unlink()
    results, digest = send(job, s3_transport, "runs/1/attempts/1/output.manifest", [base])
    assert results.packs_sent == 1
    output = retrieve(s3_transport, "runs/1/attempts/1/output.manifest", digest)
    done = bring_back(output, base, s3_transport, tree, run_id="1")
    assert done.written == ("results/tree", "table")
    assert done.deleted_by_build == ("noise",)
    assert {path: facts for path, facts in seen(tree).items() if path != "noise"} == seen(job)

    again, _ = send(tree, s3_transport, "runs/2/input.manifest", [base, output])
    assert again.packs_sent == 0


def test_two_people_send_the_same_at_once(tree, s3_transport):
    """Two uploads of the same tree at the same time agree, and each pack is stored once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda name: send(tree, s3_transport, f"runs/{name}/m")[0], "ab"))
    assert both[0].manifest == both[1].manifest
    packs = list(s3_transport.list("packs/"))
    assert len(packs) == len(both[0].manifest.packs) == sum(each.packs_sent for each in both)


@pytest.fixture
def tiny_disk(tmp_path):
    """Yield a directory with room for 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        missing("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=False
    )
    if mounted.returncode:
        missing("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full(tree, tiny_disk, s3_transport):
    """A disk that is too small is told as that, and left as it was but for whole files."""
    sent, _ = send(tree, s3_transport, "runs/1/m")
    with pytest.raises(LocalFilesError, match=os.strerror(errno.ENOSPC)):
        materialise(sent.manifest, s3_transport, tiny_disk, None)
    there, expected = seen(tiny_disk, times=False), seen(tree, times=False)
    assert {path: facts for path, facts in there.items() if facts[2]}.items() <= expected.items()
    assert not [path for path in tiny_disk.iterdir() if path.name.startswith(".nextstrain")]


def test_memory_is_bounded(tmp_path, s3_transport):
    """What does not fit into memory travels all the same: no part of it depends on the size."""
    root = tmp_path / "tree"
    root.mkdir()
    generator = random.Random(1)
    with (root / "big").open("wb") as file:
        for _ in range(200):
            file.write(b"".join(b"%x\n" % generator.getrandbits(400) for _ in range(10_000)))
    tracemalloc.start()
    try:
        sent, _ = send(root, s3_transport, "runs/1/m")
        (tmp_path / "copy").mkdir()
        materialise(sent.manifest, s3_transport, tmp_path / "copy", None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (root / "big").stat().st_size > 200_000_000
    assert peak < 150_000_000
    assert (tmp_path / "copy/big").read_bytes() == (root / "big").read_bytes()
