"""Directories of files for tests of the transfer."""

import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass

from memory_transport import MemoryTransport
from nextstrain_batch import snapshot
from nextstrain_batch.download import download
from nextstrain_batch.materialise import materialise
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.codec import publish, retrieve
from nextstrain_batch.store.manifest import Manifest
from nextstrain_batch.upload import execute, plan, read_and_plan
from nextstrain_batch.walk import walk


def everything(_path, _is_directory):
    """Skip nothing."""
    return False


def snap(root, cache=None, skip=everything):
    """Return the snapshot of a directory."""
    return snapshot.take(root, walk(root, skip), StatCache() if cache is None else cache)


def send(root, transport, known=(), cache=None, **options):
    """Send a directory as a build does; return an ``Uploaded``."""
    return send_by(root, transport, transport.clock, known, cache, **options)


def send_by(root, transport, now, known=(), cache=None, **options):
    """Send a directory, with another clock than the transport's own."""
    planned = read_and_plan(reading(root, cache), transport, known=known, now=now)
    return execute(planned, transport, now=now, **options)


def reading(root, cache=None):
    """Return what reads a directory and gives what it reads to a sink."""
    cache = StatCache() if cache is None else cache
    return lambda sink: snapshot.take(root, walk(root, everything), cache, sink=sink)


def upload(taken, transport, *, now, known=(), **options):
    """Send a snapshot out of its files, with nothing sent while it was taken."""
    return execute(plan(taken, transport, known=known, now=now), transport, now=now, **options)


def fetch(manifest, transport, root):
    """Publish a manifest, retrieve it and write all of it below *root*; return what came."""
    digest = publish(manifest, transport, "runs/test/input.manifest")
    root.mkdir(parents=True, exist_ok=True)
    retrieved = retrieve(transport, "runs/test/input.manifest", digest)
    materialise(retrieved, transport, root, None)
    return retrieved


@dataclass
class Choice:
    """Chooses of a run's results what a function says; implements ``download.Choice``."""

    results: Manifest
    wants: Callable[[str], bool] = lambda _path: True

    def output(self):
        return self.results

    def __call__(self, path):
        return self.wants(path)

    def finished(self):
        return ()

    def passed_over(self):
        return sum(not self.wants(entry.path) for entry in self.results.entries)


def bring_back(choice, base, transport, root, *, run_id="run", cache=None, **more):
    """Download the results of a run, which is named ``run`` unless that matters.

    *choice* is a ``download.Choice``, or a manifest of which everything is wanted.
    """
    choice = Choice(choice) if isinstance(choice, Manifest) else choice
    cache = StatCache() if cache is None else cache
    return download(choice, base, transport, root, run_id=run_id, cache=cache, **more)


def seen(root, *, times=True):
    """Return everything about a directory that should survive a transfer."""
    facts = {}
    for each in walk(root, everything):
        status, full = each.status, root / each.path
        if stat.S_ISLNK(status.st_mode):
            content = str(full.readlink())
        else:
            content = full.read_bytes() if stat.S_ISREG(status.st_mode) else None
        mode = 0o777 if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
        kind = stat.S_IFMT(status.st_mode)
        facts[each.path] = (kind, mode, content, status.st_mtime_ns if times else None)
    return facts


def write(root, files):
    """Write files (path to content), with their directories."""
    for path, content in files.items():
        full = root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


class Run:
    """A user's directory, a job's directory made from it, and what travels between them."""

    def __init__(self, path, files):
        self.transport = MemoryTransport()
        self.user, self.job = path / "user", path / "job"
        self.cache = StatCache()
        write(self.user, files)
        self.begin()

    def begin(self):
        """Send the user's directory and unpack it in the job's."""
        shutil.rmtree(self.job, ignore_errors=True)
        self.base = send(self.user, self.transport, cache=self.cache).manifest
        fetch(self.base, self.transport, self.job)
        return self

    def end(self, **options):
        """Send the job's directory and bring what changed back."""
        self.output = send(self.job, self.transport, [self.base]).manifest
        self.transport.counted()
        return self.bring_back(**options)

    def bring_back(self, wanted=lambda _path: True, **options):
        options = {"cache": self.cache, **options}
        choice = Choice(self.output, wanted)
        return bring_back(choice, self.base, self.transport, self.user, **options)
