"""Control-C while files are read, sent and fetched, and the network hangs."""

import os
import random
import signal
import threading

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.errors import LocalFilesError
from nextstrain_batch.placing import Staging
from nextstrain_batch.store import parallel
from trees import Run, seen, send, write

NOISE = random.Random(1).randbytes(36_000_000)


class Hanging:
    """Requests of one kind hang from the second one on, until it is let go; then Control-C."""

    def __init__(self, verb):
        self._verb = verb
        self._asked = 0
        self._released = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, verb, key):
        if verb != self._verb or not key.startswith("packs/"):
            return
        with self._lock:
            self._asked += 1
            number = self._asked
        if number == 2:
            # When the main thread waits for the others, rather than starts them.
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        if number >= 2 and not self._released.wait(10):
            self._released.set()

    @property
    def hangs(self):
        """Whether nobody has waited until it was over."""
        return not self._released.is_set()

    def end(self):
        """Let the requests go on, and wait for the threads that made them."""
        self._released.set()
        for thread in threading.enumerate():
            if thread.name.startswith(("transfer", "ahead")):
                thread.join(30)


@pytest.fixture
def hanging():
    made = []
    yield lambda verb: made.append(Hanging(verb)) or made[-1]
    for each in made:
        each.end()


def test_what_has_begun_is_not_waited_for(hanging):
    """After Control-C nothing else begins, and what hangs is left."""
    hangs, begun = hanging("get"), []

    def ask(number):
        begun.append(number)
        hangs("get", "packs/x")

    with pytest.raises(KeyboardInterrupt):
        parallel.run(ask, range(100), 2)
    assert hangs.hangs
    count = len(begun)
    hangs.end()
    assert len(begun) == count <= 3


def test_sending_ends_at_once(tmp_path, hanging):
    """Control-C while packs are sent waits for none of them, and whole ones are all there is."""
    write(tmp_path, {f"{n}": NOISE[n << 20 :] for n in range(3)})
    hangs = hanging("put")
    transport = MemoryTransport(before=hangs)
    with pytest.raises(KeyboardInterrupt):
        send(tmp_path, transport)
    assert hangs.hangs
    assert len(transport.objects) <= 1


def test_fetching_ends_at_once_and_leaves_whole_files(tmp_path, hanging):
    """After Control-C each file is as before or complete, whatever comes from the network late."""
    run = Run(tmp_path, {"Snakefile": "rule", "out0": "before"})
    write(run.job, {f"out{n}": NOISE[n * 12_000_000 :][:12_000_000] for n in range(3)})
    run.output = send(run.job, run.transport, [run.base]).manifest
    hangs = run.transport.before = hanging("get")
    with pytest.raises(KeyboardInterrupt):
        run.bring_back()
    assert hangs.hangs
    before = seen(run.user)
    assert not [path for path in before if "nextstrain-batch" in path]
    hangs.end()
    assert seen(run.user) == before
    run.transport.before = lambda _verb, _key: None
    run.bring_back()
    assert {path: facts[:3] for path, facts in seen(run.user).items()} == {
        path: facts[:3] for path, facts in seen(run.job).items()
    }


def test_the_end_of_staging_waits_for_who_writes(tmp_path):
    """What one thread is writing is not left half-done, and nobody begins anew after the end."""
    ended, writes, goes_on = threading.Event(), threading.Event(), threading.Event()

    def write_slowly():
        with staging.working():
            writes.set()
            goes_on.wait(30)
            assert not ended.is_set()
            staging.create("late")

    with Staging(tmp_path) as staging:
        writer = threading.Thread(target=write_slowly)
        writer.start()
        writes.wait(30)
        threading.Timer(0.1, goes_on.set).start()
    ended.set()
    writer.join()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LocalFilesError), staging.working():
        pass
