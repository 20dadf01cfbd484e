"""What an attempt stores of its build directory."""

from memory_transport import MemoryTransport
from nextstrain_batch.agent.context import Context
from nextstrain_batch.agent.fetch import Fetched
from nextstrain_batch.agent.push import skip, store_files
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.chunks import chunk_of
from nextstrain_batch.walk import TEMPORARY_PREFIX
from trees import fetch, seen, send, write


def test_a_memory_that_is_wrong_costs_no_results(tmp_path):
    """A file that is not what is remembered of it is read, and stored as it is."""
    root, transport, cache = tmp_path / "build", MemoryTransport(), StatCache()
    write(root, {"input": "as it was sent"})
    manifest = send(root, transport).manifest
    write(root, {"result": "what is here"})
    status = (root / "result").stat()
    wrong = (chunk_of(b"never was so"),)
    cache.record("result", status, wrong, status.st_mtime_ns + 10**9)
    fetched = Fetched(run=None, environment={}, manifest=manifest, cache=cache)
    context = Context("bucket", "", "run", 1, root)
    stored = store_files(context, transport, fetched, print, transport.clock)
    assert stored.changed == 1
    fetch(stored.manifest, transport, tmp_path / "back")
    assert seen(tmp_path / "back") == seen(root)


def test_unfinished_and_kept_files_stay_in_the_job():
    """What a fetch that was cut short has left is no result; nor is what a download has kept."""
    assert skip(f"results/{TEMPORARY_PREFIX}1a-0", False)
    assert skip("results/tree.nwk.before-zika-20261123T041500Z-1a2b3c4d", False)
    assert not skip("results/tree.nwk", False)
