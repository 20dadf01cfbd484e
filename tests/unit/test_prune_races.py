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
from nextstrain_batch.errors import StoreError
from nextstrain_batch.inventory import Surveyor
from nextstrain_batch.store import codec, keys
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
ages = st.sampled_from([0.1, 0.4, 0.6, 0.9, 1.1, 5, 16, 29])


BIG = random.Random(1).randbytes(18 * 2**20)
"""More than a pack, so that it is sent while it is read."""


def uploads(root, known, run_id):
    """Return an actor that sends a directory and publishes its manifest."""

    def act(bucket):
        planned = upload.read_and_plan(reading(root), bucket, known=known, now=bucket.clock)
        sent = upload.execute(planned, bucket, now=bucket.clock, pause=bucket.pause)
        codec.publish(sent.manifest, bucket, keys.input_manifest(run_id))

    return act


def prunes(token, over):
    """Return an actor that prunes as the command does; the runs *over* go whatever their age."""

    def act(bucket):
        surveyor = Surveyor(bucket, bucket.clock)
        make = lambda: prune.plan(surveyor.take(), over, timedelta(0))  # noqa: E731
        # To give up when it was away for too long is safe, too.
        with suppress(StoreError):
            prune.execute(make(), make, bucket, token=token, now=bucket.clock, progress=silent)

    return act


def lost(bucket):
    """Return the packs that a manifest refers to and that are not there."""
    inventory = Surveyor(bucket, bucket.clock).take()
    return set().union(*(inventory.missing(run) for run in inventory.runs))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(ages, ages, st.booleans(), st.booleans(), st.integers(1, 2), choices)
def test_no_pack_that_a_manifest_refers_to_is_ever_removed(
    first_age, second_age, knows, edited, prunings, order
):
    """Whatever an upload relies on, and whoever prunes meanwhile, all of its files are there."""
    with tempfile.TemporaryDirectory() as directory:
        tree = write(Path(directory) / "tree", {"a": "one" * 100, "b": "two"})
        bucket = MemoryTransport()
        first = send(tree, bucket)
        codec.publish(first.manifest, bucket, keys.input_manifest("old"))
        bucket.pass_days(first_age)
        write(tree, {"b": "three"})
        second = send(tree, bucket, [first.manifest])
        bucket.pass_days(second_age)
        if edited:
            write(tree, {"c": "four"})
        known = [second.manifest, first.manifest] if knows else []
        pruning = {f"prune{n}": prunes(str(n), frozenset({"old"})) for n in range(prunings)}
        Stage(bucket, order).run(upload=uploads(tree, known, "new"), **pruning)
        assert lost(bucket) == set()
        assert keys.input_manifest("new") in bucket.objects
        assert not [key for key in bucket.objects if key.startswith(keys.PRUNES)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
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
        Stage(bucket, order).run(upload=uploads(tree, [], "new"), prune=prunes("1", frozenset()))
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
            prunes("x", frozenset())(bucket)
            assert not [key for key in bucket.objects if key.startswith(keys.PACKS)]

    bucket.before = before
    uploads(tree, [first.manifest], "new")(bucket)
    assert slow
    assert lost(bucket) == set()
