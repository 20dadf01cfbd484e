"""What this computer remembers about build directories."""

import hashlib
from pathlib import Path

from nextstrain_batch.local_state import LocalState
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store import codec
from nextstrain_batch.store.chunks import chunk_of
from nextstrain_batch.store.manifest import Entry, Manifest

ROOT = Path("/somewhere/zika")
BUCKET = "s3://bucket/prefix"


def manifest(name):
    return Manifest((Entry(name, "file", 0o644, 0),), {}, {})


def test_manifests_are_kept_by_directory_and_bucket(tmp_path):
    """What is known of one directory in one bucket is said of no other; results come first."""
    state = LocalState(tmp_path / "new")
    state.keep_manifest(ROOT, BUCKET, "input", manifest("in"))
    state.keep_manifest(ROOT, BUCKET, "output", manifest("out"))
    assert state.manifests(ROOT, BUCKET) == [manifest("out"), manifest("in")]
    assert state.manifests(ROOT, "s3://other") == []
    assert state.manifests(ROOT / "other", BUCKET) == []


def test_a_file_that_is_not_as_remembered(tmp_path):
    """What is known of one file can be forgotten; it is read again, the others are not."""
    (tmp_path / "file").write_text("content")
    status, state, cache = (tmp_path / "file").stat(), LocalState(tmp_path / "home"), StatCache()
    for path in ("wrong", "right"):
        cache.record(path, status, (chunk_of(b"content"),), status.st_mtime_ns + 10**9)
    state.keep_stat_cache(ROOT, cache)
    state.forget_file(ROOT, "wrong")
    assert state.stat_cache(ROOT).chunks("wrong", status) is None
    assert state.stat_cache(ROOT).chunks("right", status) is not None


def test_damage_costs_time_only(tmp_path):
    """A damaged memory counts as none."""
    state = LocalState(tmp_path)
    state.keep_manifest(ROOT, BUCKET, "input", manifest("in"))
    state.keep_stat_cache(ROOT, StatCache())
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    assert state.manifests(ROOT, BUCKET) == []
    assert state.stat_cache(ROOT) is not None


def test_a_home_that_cannot_be_written_is_no_error(tmp_path):
    """Where nothing can be kept, nothing is, and the build goes on."""
    (tmp_path / "file").write_text("")
    state = LocalState(tmp_path / "file" / "below")
    state.keep_manifest(ROOT, BUCKET, "input", manifest("in"))
    state.keep_stat_cache(ROOT, StatCache())
    assert state.manifests(ROOT, BUCKET) == []


def test_a_kept_manifest_is_the_one_asked_for(tmp_path):
    """A kept manifest is returned only for the digest of its bytes."""
    state, kept = LocalState(tmp_path), manifest("in")
    state.keep_manifest(ROOT, BUCKET, "input", kept)
    digest = hashlib.sha256(codec.encode(kept)).hexdigest()
    assert state.manifest(ROOT, BUCKET, "input", digest) == kept
    assert state.manifest(ROOT, BUCKET, "input", "0" * 64) is None
    assert state.manifest(ROOT, BUCKET, "output", digest) is None
