"""Sending a snapshot."""

import os
import random
import threading
import time

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.errors import CorruptError, PathogenError, UnreachableError
from nextstrain_batch.store import codec, keys, packs, pins
from nextstrain_batch.store.manifest import Manifest
from nextstrain_batch.upload import execute, plan, read_and_plan
from trees import fetch, reading, seen, send, snap, upload, write


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def is_pack(key):
    return key.startswith(keys.PACKS)


@pytest.fixture
def tree(tmp_path):
    files = {f"data/{number:03}": noise(number, 20_000) for number in range(100)}
    big = b"".join(b"%d\t%x\n" % (line, line * line) for line in range(500_000))
    return write(tmp_path / "tree", {**files, "big": big, "empty": ""})


def test_first_upload(tree):
    """All packs are sent, each once and on condition; the manifest says what was sent."""
    transport = MemoryTransport()
    uploaded = send(tree, transport)
    assert uploaded.packs_sent == len(uploaded.manifest.packs) == len(transport.objects)
    assert uploaded.bytes_sent == sum(map(len, transport.objects.values()))
    assert uploaded.packs_reused == 0
    assert transport.counted() == {"list": 1, "put": uploaded.packs_sent}
    assert set(transport.objects) == {keys.pack(each) for each in uploaded.manifest.packs}


@pytest.mark.parametrize("knows", [True, False])
def test_nothing_changed(tree, knows):
    """When nothing changed nothing is sent: one listing is all, for another user as well."""
    transport = MemoryTransport()
    first = send(tree, transport)
    transport.counted()
    again = send(tree, transport, [first.manifest] if knows else [])
    assert transport.counted() == {"list": 1}
    assert again.manifest == first.manifest
    assert (again.packs_sent, again.bytes_sent) == (0, 0)
    assert again.packs_reused == first.packs_sent


def test_an_unchanged_manifest_is_not_encoded_again(tree):
    """Where nothing changed since, the manifest is the very one that was known."""
    transport = MemoryTransport()
    first = send(tree, transport).manifest
    known = codec.decode(codec.encode(first))
    assert send(tree, transport, [known]).manifest is known
    write(tree, {"new": "file"})
    assert send(tree, transport, [known]).manifest.encoded is None


def test_a_small_edit_sends_one_small_pack(tree):
    """An edited file goes into one new small pack; the rest stays where it is."""
    transport = MemoryTransport()
    first = send(tree, transport)
    transport.counted()
    write(tree, {"data/050": noise(1001, 20_000)})
    edited = send(tree, transport, [first.manifest])
    assert edited.packs_sent == 1
    assert edited.bytes_sent < 21_000
    assert transport.counted() == {"list": 1, "put": 1}


def test_an_edit_in_a_big_file_sends_its_surroundings(tree):
    """Of a big file only what is around the edit travels."""
    transport = MemoryTransport()
    first = send(tree, transport)
    data = (tree / "big").read_bytes()
    (tree / "big").write_bytes(data[:4_000_000] + b"inserted\n" + data[4_000_000:])
    edited = send(tree, transport, [first.manifest])
    new = sum(edited.manifest.packs[each].size for each in edited.manifest.packs.keys()
              - first.manifest.packs.keys())  # fmt: skip
    assert edited.packs_sent == 1
    assert new < 4_000_000 < len(data)


def test_equal_content_travels_once(tmp_path):
    """Files of the same content are stored once."""
    content = noise(1, 50_000)
    transport = MemoryTransport()
    uploaded = send(write(tmp_path, {"a": content, "b/c": content}), transport)
    assert uploaded.bytes_sent < 60_000
    fetch(uploaded.manifest, transport, tmp_path / "other")
    assert (tmp_path / "other/b/c").read_bytes() == content


def test_incompressible_content_is_stored_cheaply(tmp_path):
    """What cannot be compressed takes hardly more room than it has."""
    transport = MemoryTransport()
    assert send(write(tmp_path, {"a": noise(1, 3_000_000)}), transport).bytes_sent < 3_001_000


def test_renaming_sends_nothing(tree):
    """A file under another name is content that is there already."""
    transport = MemoryTransport()
    first = send(tree, transport)
    (tree / "big").rename(tree / "bigger")
    assert send(tree, transport, [first.manifest]).packs_sent == 0


def test_dead_weight_is_repacked(tree):
    """A pack of which less than half is still needed is left behind."""
    transport = MemoryTransport()
    (tree / "big").unlink()
    first = send(tree, transport)
    for number in range(60):
        (tree / f"data/{number:03}").unlink()
    assert send(tree, transport, [first.manifest]).packs_sent == 0, "that alone is not worth it"
    write(tree, {"new": "content"})
    after = send(tree, transport, [first.manifest])
    assert after.packs_sent == 1
    assert not after.manifest.packs.keys() & first.manifest.packs.keys()
    fetch(after.manifest, transport, tree.parent / "other")
    assert seen(tree.parent / "other") == seen(tree)


def test_many_tiny_packs_are_repacked(tree):
    """Edit after edit does not leave ever more tiny packs."""
    transport = MemoryTransport()
    uploaded = send(tree, transport)
    counts = []
    for number in range(60):
        write(tree, {f"data/{number:03}": noise(1000 + number, 10_000)})
        uploaded = send(tree, transport, [uploaded.manifest])
        counts.append(len(uploaded.manifest.packs))
    assert max(counts) < 30
    fetch(uploaded.manifest, transport, tree.parent / "other")
    assert seen(tree.parent / "other") == seen(tree)


def test_what_expired_is_sent_again(tree):
    """A known pack that is not in the bucket any more is made again."""
    transport = MemoryTransport()
    first = send(tree, transport)
    transport.pass_days(31)
    transport.expire()
    assert send(tree, transport, [first.manifest]).packs_sent == first.packs_sent


def test_another_pack_of_that_name_is_not_relied_on(tree):
    """A known pack whose size is not what it was is not believed."""
    transport = MemoryTransport()
    first = send(tree, transport)
    key = next(iter(transport.objects))
    transport.objects[key] += b"x"
    again = send(tree, transport, [first.manifest])
    assert again.manifest.packs[key.removeprefix("packs/")].stored_size == len(
        transport.objects[key]
    )


@pytest.mark.parametrize(("days", "renewed"), [(14, False), (16, True)])
@pytest.mark.parametrize("knows", [True, False])
def test_old_packs_are_renewed_before_they_are_relied_on(tree, days, renewed, knows):
    """A pack that lived for half of its time is renewed, and then outlives it."""
    transport = MemoryTransport()
    first = send(tree, transport)
    transport.pass_days(days)
    transport.counted()
    send(tree, transport, [first.manifest] if knows else [])
    assert transport.counted().get("renew", 0) == (first.packs_sent if renewed else 0)
    transport.pass_days(16)
    transport.expire()
    assert any(map(is_pack, transport.objects)) is renewed


def test_old_packs_that_are_not_relied_on_are_left_to_expire(tree):
    """Nothing is renewed that nobody needs."""
    transport = MemoryTransport()
    first = send(tree, transport)
    transport.pass_days(20)
    transport.counted()
    send(write(tree.parent / "other", {"a": "b"}), transport, [first.manifest])
    assert "renew" not in transport.counted()


def test_a_pack_that_expires_between_listing_and_renewal(tree):
    """A pack that goes at the last moment is made again."""
    transport = MemoryTransport()
    first = send(tree, transport)
    transport.pass_days(29)

    def expire(verb, key):
        if verb == "renew":
            transport.objects.pop(key, None)

    transport.before = expire
    again = send(tree, transport, [first.manifest])
    assert again.packs_sent == first.packs_sent
    there = set(filter(is_pack, transport.objects))
    assert there == {keys.pack(each) for each in again.manifest.packs}


def test_somebody_else_sends_the_same_pack_meanwhile(tree):
    """When another user's pack is there first, that one counts, with its size."""
    other, transport = MemoryTransport(), MemoryTransport()
    upload(snap(tree), other, now=other.clock, level=19)

    def race(verb, key):
        if verb == "put" and key in other.objects:
            transport.objects.setdefault(key, other.objects[key])
            transport.modified.setdefault(key, transport.now)

    transport.before = race
    uploaded = send(tree, transport)
    assert uploaded.packs_sent == 0
    assert uploaded.packs_reused == len(other.objects)
    fetch(uploaded.manifest, transport, tree.parent / "other")
    assert seen(tree.parent / "other") == seen(tree)


@pytest.mark.parametrize("spoil", ["change", "shorten", "remove", "replace"])
def test_a_file_that_is_not_any_more_what_was_read(tree, spoil):
    """A file that changed since the snapshot is named, and no wrong pack is written."""
    taken, transport, file = snap(tree), MemoryTransport(), tree / "data/050"
    if spoil == "change":
        file.write_bytes(noise(1001, 20_000))
    elif spoil == "shorten":
        os.truncate(file, 10)
    else:
        file.unlink()
        if spoil == "replace":
            file.symlink_to("051")
    what = "vanished" if spoil == "remove" else "changed"
    with pytest.raises(PathogenError, match=f"'data/050' {what}"):
        upload(taken, transport, now=transport.clock)
    for key, data in transport.objects.items():
        assert key.startswith("packs/")
        assert data


def test_a_failure_ends_it(tree):
    """When the bucket fails, the error comes out and nothing goes on in the background."""

    def fail(verb, _key):
        if verb == "put":
            raise UnreachableError("no network")

    transport = MemoryTransport(before=fail)
    with pytest.raises(UnreachableError):
        send(tree, transport)
    count = len(transport.requests)
    assert transport.objects == {}
    assert len(transport.requests) == count


def test_progress_adds_up(tree):
    """Progress grows to the total, which is what has to be sent."""
    told, transport = [], MemoryTransport()
    upload(snap(tree), transport, now=transport.clock, progress=lambda *step: told.append(step))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    phase, done, total = told[-1]
    assert (phase, done) == ("send", total)
    assert total == sum(plan.size for plan in packs.plan(dict.fromkeys(
        chunk for entry in snap(tree).entries for chunk in entry.chunks)))  # fmt: skip


def test_progress_counts_what_has_arrived(big):
    """While files are read, bytes are done when the bucket has them, and at the end all are."""
    told, arrived = [], []

    def note(verb, _key):
        if verb == "put":
            arrived.append(told[-1][1])

    transport = MemoryTransport(before=note)
    read_and_plan(
        reading(big), transport, now=transport.clock, progress=lambda *step: told.append(step)
    )
    assert arrived[0] == 0
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert {phase for phase, _, _ in told} == {"stream"}
    assert told[-1][1] == told[-1][2] == sum(each.size for each in snap(big).entries)


def test_an_object_that_cannot_be_a_pack(tree):
    """An empty object where a pack should be is named, instead of being relied on."""
    transport = MemoryTransport()
    first = send(tree, transport)
    key = keys.pack(next(iter(first.manifest.packs)))
    transport.objects[key] = b""
    with pytest.raises(CorruptError, match=f"{key} is damaged: It has 0 bytes"):
        send(tree, transport)


def test_somebody_elses_pack_that_vanishes(tree):
    """A pack that is there when it is written, and gone when it is looked at, is written again."""
    transport, gone = MemoryTransport(), []

    def vanish(verb, key):
        if verb == "list" and key != keys.PACKS and not gone:
            gone.append(key)
            del transport.objects[key]

    elsewhere = MemoryTransport()
    send(tree, elsewhere)
    planned = plan(snap(tree), transport, now=transport.clock)
    transport.objects |= elsewhere.objects
    transport.modified |= elsewhere.modified
    transport.before = vanish
    uploaded = execute(planned, transport, now=transport.clock)
    assert gone
    assert (uploaded.packs_sent, transport.objects) == (1, elsewhere.objects)


def test_several_known_manifests(tree):
    """What any of the known manifests knows is reused, without a pack that adds nothing."""
    transport = MemoryTransport()
    first = send(tree, transport)
    (tree / "data/000").rename(tree.parent / "aside")
    write(tree, {"new": noise(1002, 30_000)})
    second = send(tree, transport, [first.manifest])
    (tree.parent / "aside").rename(tree / "data/000")
    third = send(tree, transport, [second.manifest, first.manifest, Manifest((), {}, {})])
    assert third.packs_sent == 0
    used = {place.pack for place in third.manifest.locations.values()}
    assert used == third.manifest.packs.keys()


def test_packs_that_are_kept_need_no_pin(tree):
    """What a run that goes on holds is relied on at once; other old packs are pinned."""
    transport = MemoryTransport()
    first = send(tree, transport).manifest
    transport.pass_days(2)
    transport.counted()
    planned = plan(snap(tree), transport, known=[first], now=transport.clock)
    execute(planned, transport, kept=first.packs, now=transport.clock)
    assert transport.counted() == {"list": 1}
    execute(planned, transport, now=transport.clock)
    assert transport.counted() == {"put": 1, "list": 2}


def test_a_pruning_is_waited_for(tree):
    """While a pruning deletes, who relies on old packs waits; a stale mark is ignored."""
    transport = MemoryTransport()
    first = send(tree, transport).manifest
    transport.pass_days(2)
    pins.mark("0" * 16, transport)
    planned = plan(snap(tree), transport, known=[first], now=transport.clock)
    waited = []

    def pause(seconds):
        waited.append(seconds)
        transport.pause(seconds)
        if len(waited) == 3:
            pins.unmark("0" * 16, transport)

    execute(planned, transport, now=transport.clock, pause=pause)
    assert len(waited) == 3
    pins.mark("killed", transport)
    transport.pause(31 * 60)
    execute(planned, transport, now=transport.clock, pause=pause)
    assert len(waited) == 3


@pytest.fixture
def big(tmp_path):
    """A directory of several packs, of files of all sizes."""
    sizes = [3_000, 1_200_000, 34_000_000, 900_000, 9_000_000, 4_000_000, 12_000_000, 70_000]
    files = {f"{number}/file": noise(number, size) for number, size in enumerate(sizes)}
    return write(tmp_path / "big", {**files, "9/copy": noise(2, 34_000_000)})


def test_packs_sent_ahead_are_those_of_the_plan(big):
    """Whether packs are sent while files are read or after, they are the same."""
    ahead, after = MemoryTransport(), MemoryTransport()
    planned = read_and_plan(reading(big), ahead, now=ahead.clock)
    assert len(planned.ahead) > 2
    assert len(planned.new) == 1
    sent = execute(planned, ahead, now=ahead.clock)
    assert sent == upload(snap(big), after, now=after.clock)
    assert ahead.objects == after.objects
    assert sent.packs_sent == len(after.objects)
    assert sent.bytes_sent == sum(map(len, after.objects.values()))


def test_a_dry_run_sends_nothing(big):
    """A plan that is not to be carried out writes nothing, and is the same."""
    transport = MemoryTransport()
    planned = read_and_plan(reading(big), transport, now=transport.clock, ahead=False)
    assert transport.objects == {}
    assert planned == plan(snap(big), transport, now=transport.clock)


def test_each_byte_is_read_once(big):
    """What was read for the plan is not read again to be sent."""
    transport = MemoryTransport()
    planned = read_and_plan(reading(big), transport, now=transport.clock)
    for file in big.rglob("file"):
        file.unlink()
    (big / "9/copy").unlink()
    manifest = execute(planned, transport, now=transport.clock).manifest
    fetch(manifest, transport, big.parent / "other")
    assert (big.parent / "other/9/copy").read_bytes() == noise(2, 34_000_000)


def test_what_is_known_or_stored_is_not_sent_ahead(big):
    """Neither what a manifest knows nor what another user has sent is sent again."""
    transport = MemoryTransport()
    first = send(big, transport)
    count = len(transport.objects)
    write(big, {"5/file": noise(99, 5_000_000)})
    assert send(big, transport, [first.manifest]).packs_sent == 1
    assert send(big, transport).packs_reused >= count - 2


@pytest.mark.parametrize("first", [True, False])
def test_a_failure_while_reading_ends_it(big, first):
    """When the bucket fails while files are read, the error comes out and nothing goes on."""
    asked = []

    def fail(verb, _key):
        if verb == "put":
            asked.append(verb)
            if first or len(asked) == 3:
                raise UnreachableError("no network")

    transport = MemoryTransport(before=fail)
    with pytest.raises(UnreachableError):
        read_and_plan(reading(big), transport, now=transport.clock)
    count = len(transport.requests)
    assert not [thread for thread in threading.enumerate() if "ahead" in thread.name]
    assert len(transport.requests) == count


def test_a_file_that_changes_while_it_is_sent_ahead(big):
    """A big file that changes between its pieces is read again; what is sent is what is there."""
    transport, before = MemoryTransport(), (big / "2/file").read_bytes()

    class Changing:
        def __init__(self, sink):
            self.sink, self.begin = sink, sink.begin

        def add(self, chunk, content):
            if before.startswith(content) and (big / "2/file").stat().st_size > 21_000_000:
                write(big, {"2/file": noise(50, 21_000_000)})
            self.sink.add(chunk, content)

    def read(sink):
        return reading(big)(Changing(sink))

    planned = read_and_plan(read, transport, now=transport.clock)
    fetch(execute(planned, transport, now=transport.clock).manifest, transport, big.parent / "x")
    assert len((big / "2/file").read_bytes()) == 21_000_000
    assert seen(big.parent / "x") == seen(big)


def test_few_packs_are_held_at_once(big):
    """However slow the bucket, no more than three packs wait to be sent."""
    together, most = threading.Semaphore(3), []

    def slow(verb, _key):
        if verb == "put":
            most.append(together.acquire(blocking=False))
            time.sleep(0.02)
            together.release()

    transport = MemoryTransport(before=slow)
    planned = read_and_plan(reading(big), transport, now=transport.clock)
    assert len(most) == len(planned.ahead)
    assert all(most)
