"""Prunings and uploads at the same time, in any order of their requests."""

import random
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interleaving import Stage
from memory_transport import MemoryTransport
from nextstrain_batch import prune, upload
from nextstrain_batch.errors import CredentialsError, StoreError
from nextstrain_batch.inventory import Surveyor
from nextstrain_batch.rebase import LONG
from nextstrain_batch.store import codec, keys, pins
from nextstrain_batch.store.progress import silent
from trees import reading, send, write

times = st.sampled_from([0, 0, 0, 1, 4, 20, 60, 240, 1000]).map(lambda m: timedelta(minutes=m))
# One of them makes some requests in a row, then another one.
bursts = st.tuples(st.integers(0, 2), st.integers(1, 16), times)
choices = st.lists(bursts, max_size=12).map(
    lambda found: [
        (who, time if number == 0 else timedelta(0))
        for who, count, time in found
        for number in range(count)
    ]
)
# By so much may a clock be wrong for S3 to accept what it dates.
skews = st.sampled_from([-14, 0, 0, 14]).map(lambda m: timedelta(minutes=m))
ages = st.sampled_from([0.1, 0.4, 0.6, 0.9, 1.1, 5, 16, 29])


OLD, NEW = (f"{name}-20261123T000000Z-1a2b3c4d" for name in ("old", "new"))

BIG = random.Random(1).randbytes(18 * 2**20)
"""More than a pack, so that it is sent while it is read."""


def uploads(root, known, run_id, **options):
    """Return an actor that sends a directory and publishes its manifest."""

    def act(bucket):
        planned = upload.read_and_plan(reading(root), bucket, known=known, now=bucket.clock)
        sent = upload.execute(planned, bucket, now=bucket.clock, pause=bucket.pause, **options)
        codec.publish(sent.manifest, bucket, keys.input_manifest(run_id))

    return act


def prunes(token, over):
    """Return an actor that prunes as the command does; the runs *over* go whatever their age."""

    def act(bucket):
        surveyor = Surveyor(bucket, bucket.clock)
        make = lambda: prune.plan(surveyor.take(), over, timedelta(0))  # noqa: E731
        options = {"now": bucket.clock, "pause": bucket.pause, "progress": silent}
        # To give up when it was away for too long, or its clock is too wrong, is safe, too.
        with suppress(StoreError, CredentialsError):
            prune.execute(make(), make, bucket, token=token, **options)

    return act


def lost(bucket):
    """Return the packs that a manifest refers to and that are not there."""
    inventory = Surveyor(bucket, bucket.clock).take()
    return set().union(*(inventory.missing(run) for run in inventory.runs))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    ages,
    ages,
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, LONG]),
    st.integers(1, 2),
    choices,
    st.tuples(skews, skews),
)
def test_no_pack_that_a_manifest_refers_to_is_ever_removed(
    first_age, second_age, knows, edited, long, prunings, order, fast
):
    """Whatever an upload relies on, and whoever prunes meanwhile, all of its files are there.

    So is the list of files itself, where that is long.
    """
    with tempfile.TemporaryDirectory() as directory:
        tree = write(Path(directory) / "tree", {"a": "one" * 100, "b": "two"})
        bucket = MemoryTransport()
        first = send(tree, bucket, long=long)
        codec.publish(first.manifest, bucket, keys.input_manifest(OLD))
        bucket.pass_days(first_age)
        write(tree, {"b": "three"})
        second = send(tree, bucket, [first.manifest], long=long)
        bucket.pass_days(second_age)
        if edited:
            write(tree, {"c": "four"})
        known = [second.manifest, first.manifest] if knows else []
        pruning = {f"prune{n}": prunes(f"{n:016}", frozenset({OLD})) for n in range(prunings)}
        clocks = {"upload": fast[0], **dict.fromkeys(pruning, fast[1])}
        Stage(bucket, order, clocks).run(upload=uploads(tree, known, NEW, long=long), **pruning)
        assert lost(bucket) == set()
        manifest = codec.retrieve(bucket, keys.input_manifest(NEW))
        assert (manifest.base is not None) == (long == 1)
        assert not [key for key in bucket.objects if key.startswith(keys.PRUNES)]


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(ages, st.booleans(), choices)
def test_what_is_sent_while_it_is_read_is_not_removed_either(age, is_old, order):
    """Packs that are sent ahead of the plan are safe from prunings, new ones and found ones."""
    with tempfile.TemporaryDirectory() as directory:
        tree = write(Path(directory) / "tree", {"a": "one", **({"big": BIG} if is_old else {})})
        bucket = MemoryTransport()
        send(tree, bucket)
        bucket.pass_days(age)
        write(tree, {"big": BIG})
        before = set(bucket.objects)
        Stage(bucket, order).run(upload=uploads(tree, [], NEW), prune=prunes("1" * 16, frozenset()))
        assert lost(bucket) == set()
        assert is_old or len(set(bucket.objects) - before) > 2


def test_an_upload_that_takes_days(tmp_path):
    """What a slow upload found young may be removed before it ends; it is sent again."""
    tree = write(tmp_path / "tree", {"a": "one"})
    bucket = MemoryTransport()
    first = send(tree, bucket)
    bucket.pass_days(0.4)
    write(tree, {"b": "two"})
    slow = []

    def before(verb, key):
        if verb == "put" and key.startswith(keys.PACKS) and not slow:
            slow.append(key)
            bucket.pass_days(1.3)
            prunes("1" * 16, frozenset())(bucket)
            assert not [key for key in bucket.objects if key.startswith(keys.PACKS)]

    bucket.before = before
    uploads(tree, [first.manifest], NEW)(bucket)
    assert slow
    assert lost(bucket) == set()


FAST = timedelta(minutes=14)


class Late(MemoryTransport):
    """A bucket that deletes a pack as late as S3 accepts it from a clock that is fast."""

    due = None

    def delete(self, key, *, may=None):
        if not key.startswith(keys.PACKS):
            return super().delete(key)
        self.now += pins.DELETING - timedelta(seconds=1)
        assert may()
        self.due = self.now + FAST + pins.SIGNED, key
        self.meanwhile()
        return True

    def pass_time(self, time):
        self.now += time
        if self.due and self.now >= self.due[0]:
            super().delete(self.due[1])
            self.due = None


def test_an_upload_waits_for_the_last_delete_that_s3_accepts(tmp_path):
    """However wrong both clocks are and however late a delete arrives, nothing is lost by it."""
    tree = write(tmp_path / "tree", {"a": "one"})
    bucket = Late()
    first = send(tree, bucket)
    bucket.pass_days(2)

    def clock():
        return bucket.now + FAST

    def meanwhile():
        planned = upload.read_and_plan(reading(tree), bucket, known=[first.manifest], now=clock)
        pause = lambda seconds: bucket.pass_time(timedelta(seconds=seconds))  # noqa: E731
        sent = upload.execute(planned, bucket, now=clock, pause=pause)
        codec.publish(sent.manifest, bucket, keys.input_manifest(NEW))
        bucket.pass_time(timedelta(hours=1))

    bucket.meanwhile = meanwhile
    make = lambda: prune.plan(Surveyor(bucket, clock).take(), frozenset())  # noqa: E731
    prune.execute(make(), make, bucket, token="1" * 16, now=clock, progress=silent)
    assert lost(bucket) == set()
