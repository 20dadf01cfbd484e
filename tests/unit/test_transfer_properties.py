"""Whatever tree goes in, whatever is done to it: what comes out is what went in."""

import os
import random
import shutil
import stat
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_transport import MemoryTransport
from nextstrain_batch.rebase import LONG
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.manifest import EARLIEST_NS, LATEST_NS
from trees import bring_back, fetch, seen, send

NAMES = st.sampled_from(
    ["a", "b", "a-b", "é", "caf\udce9", "new\nline", " ", "-x", "\\", "~", "🦠"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
# The last ones are later than a manifest can tell; some file systems know them.
TIMES = st.integers(-(2**33), 2**33) | st.sampled_from(
    [0, -1, 1, 315_532_799, LATEST_NS // 10**9, 15_000_000_000, 1_700_000_000_000]
)
CONTENT = st.binary(max_size=30) | st.tuples(
    st.integers(0, 3), st.integers(0, 2_600_000), st.sampled_from([b"", b"x", b"line\n", b"\0"])
)
NODES = st.one_of(
    st.tuples(st.just("file"), CONTENT, st.sampled_from([0o644, 0o600, 0o755, 0o444, 0o4755])),
    st.tuples(st.just("directory"), st.none(), st.sampled_from([0o755, 0o700, 0o555])),
    st.tuples(st.just("link"), st.none(), NAMES),
)
TREES = st.dictionaries(PATHS, st.tuples(NODES, TIMES, st.integers(0, 999_999_999)), max_size=8)


def content_of(content):
    if isinstance(content, bytes):
        return content
    seed, size, separator = content
    generator = random.Random(seed)
    if separator == b"\0":
        return generator.randbytes(seed) + bytes(size)  # a hole, mostly
    if not separator:
        return generator.randbytes(size)
    words = [generator.randbytes(20).hex().encode() + separator for _ in range(300)]
    return b"".join(generator.choices(words, k=1 + size // 40))[:size]


def clear(path):
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o755)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def parents_for(root, path):
    """Make the parents of a path, in place of whatever is in their way."""
    place = root
    for part in path.split("/")[:-1]:
        place /= part
        if place.is_symlink() or not place.is_dir():
            clear(place)
            place.mkdir()


def grow(root, tree):
    """Put a tree into a directory that may hold another one already."""
    for path, ((kind, content, extra), seconds, nanoseconds) in tree.items():
        parents_for(root, path)
        place = root / path
        clear(place)
        if kind == "file":
            place.write_bytes(content_of(content))
            place.chmod(extra)
        elif kind == "directory":
            place.mkdir()
        else:
            place.symlink_to(f"{extra}-nowhere")
        time = seconds * 10**9 + nanoseconds
        os.utime(place, ns=(time, time), follow_symlinks=False)


def as_it_travels(root):
    """Return what another directory is to be like that a tree was sent to."""
    return {
        path: (kind, mode & 0o777, content, min(max(time, EARLIEST_NS), LATEST_NS))
        for path, (kind, mode, content, time) in seen(root).items()
    }


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(TREES, TREES, TREES, st.sets(PATHS), st.booleans(), st.sampled_from([1, 600, LONG]))
def test_there_and_back(before, in_job, at_home, deleted, with_cache, long):
    """The job gets the user's tree exactly; the user gets the job's, and loses no edit."""
    with tempfile.TemporaryDirectory() as scratch:
        user, job, again = (Path(scratch, name) for name in ("user", "job", "again"))
        user.mkdir()
        transport, cache = MemoryTransport(), StatCache()
        grow(user, before)
        base = send(user, transport, cache=cache, long=long).manifest
        sent = seen(user, times=False)
        assert fetch(base, transport, job) == base
        assert seen(job) == as_it_travels(user)

        grow(job, in_job)
        for path in deleted:
            if (job / path).parent.is_dir() and not (job / path).parent.is_symlink():
                clear(job / path)
        output = send(job, transport, [base], long=long).manifest
        grow(user, at_home)
        home = seen(user, times=False)
        edits = {path: facts for path, facts in home.items() if facts != sent.get(path)}
        cache_then = cache if with_cache else StatCache()
        done = bring_back(output, base, transport, user, cache=cache_then)
        check(user, job, base, output, home, edits)

        assert fetch(output, transport, again) == output
        assert seen(again) == as_it_travels(job)
        settled = seen(user)
        repeated = bring_back(output, base, transport, user, cache=cache)
        assert (repeated.written, repeated.kept) == ((), done.kept)
        assert seen(user) == settled


def check(user, job, base, output, home, edits):
    """Every change of the build is here, and every edit of the user is here or beside."""
    now, left = seen(user), as_it_travels(job)
    entries = {entry.path: entry for entry in base.entries}
    for entry in output.entries:
        if entries.get(entry.path) != entry:
            kind, mode, content, time = left[entry.path]
            assert now[entry.path][0] == kind
            assert now[entry.path][2] == content
            if entry.kind != "directory":
                assert now[entry.path][1] == mode_due(entries.get(entry.path), mode, home)
                assert now[entry.path][3] == time
    contents = {(kind, content) for kind, _, content, _ in now.values()}
    assert {(kind, content) for kind, _, content, _ in edits.values()} <= contents
    assert not [path for path in now if "nextstrain-batch-tmp" in path]


def mode_due(before, mode, home):
    """Return the mode that is due to a result: that at home, if the build did not change it."""
    kind, at_home, *_ = home.get(before.path if before else "", (None, 0))
    changed = not before or (before.kind, before.mode) != ("file", mode)
    return mode if changed or kind != stat.S_IFREG else at_home & 0o777
