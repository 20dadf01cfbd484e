"""When a long list of files is stored anew, and what later manifests take then."""

import random
import shutil

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.rebase import LONG, settle
from nextstrain_batch.store import codec, keys, pins
from nextstrain_batch.store.manifest import Entry, Manifest
from trees import fetch, seen, send, write

COUNT = 2000


@pytest.fixture
def tree(tmp_path):
    generator = random.Random(1)
    files = {f"data/{number:04}": generator.randbytes(20) for number in range(COUNT)}
    return write(tmp_path / "tree", files)


@pytest.fixture
def transport():
    return MemoryTransport()


def edit(tree, share):
    for number in range(0, COUNT, int(1 / share)):
        write(tree, {f"data/{number:04}": random.Random(number).randbytes(21)})


def base_packs(manifest):
    return set(manifest.base.stored.packs)


def test_a_short_list_has_no_base(tmp_path, transport):
    """A directory of few files has one manifest, as simple as can be."""
    tree = write(tmp_path / "tree", {f"{number}": "x" for number in range(100)})
    manifest = send(tree, transport).manifest
    assert manifest.base is None
    assert codec.needs(codec.encode(manifest)) is None
    assert len(codec.whole_text(manifest)[0]) < LONG


def test_a_long_list_is_stored_once(tree, transport, tmp_path):
    """Later runs, and the job, publish a small part of what the first one stored."""
    first = send(tree, transport)
    stored = sum(pack.stored_size for pack in first.manifest.base.stored.packs.values())
    assert len(codec.encode(first.manifest)) * 50 < stored
    received = fetch(first.manifest, transport, tmp_path / "job")
    edit(tmp_path / "job", 0.01)
    output = send(tmp_path / "job", transport, [received]).manifest
    edit(tree, 0.01)
    second = send(tree, transport, [output, first.manifest]).manifest
    again = send(tree, transport, [second]).manifest
    for each in (output, second, again):
        assert each.base.stored == first.manifest.base.stored
        assert len(codec.encode(each)) * 10 < stored
        assert each.packs.keys() >= base_packs(each)
    fetch(again, transport, tmp_path / "other")
    assert seen(tmp_path / "other") == seen(tree)


def test_what_is_said_of_an_upload_leaves_the_list_out(tree, transport):
    """The list of files is none of the files, whether it is stored or relied on."""
    first = send(tree, transport)
    sent = {pack.id for pack in first.manifest.packs.values()} - base_packs(first.manifest)
    assert first.packs_sent == len(sent) == 1
    again = send(tree, transport, [first.manifest])
    assert (again.packs_sent, again.packs_reused, again.bytes_sent) == (0, 1, 0)


def test_a_new_base_when_much_has_changed(tree, transport):
    """A difference that grew too long is replaced by a new base, and the old one let go."""
    first = send(tree, transport).manifest
    edit(tree, 0.5)
    second = send(tree, transport, [first]).manifest
    assert not base_packs(second) & base_packs(first)
    assert not base_packs(first) & second.packs.keys()
    assert len(codec.encode(second)) < 1000


def test_no_base_any_more_for_what_became_short(tree, transport, tmp_path):
    """Where much is gone that takes long to name, the manifest says everything itself again."""
    names = [random.Random(number).randbytes(60).hex() for number in range(COUNT)]
    write(tree, dict.fromkeys(names, "x"))
    first = send(tree, transport).manifest
    shutil.rmtree(tree / "data")
    for name in names[50:]:
        (tree / name).unlink()
    second = send(tree, transport, [first]).manifest
    assert second.base is None
    assert not base_packs(first) & second.packs.keys()
    fetch(second, transport, tmp_path / "job")
    assert seen(tmp_path / "job") == seen(tree)


def test_a_base_that_is_gone(tree, transport):
    """What has expired is not relied on: the list is stored again."""
    first = send(tree, transport).manifest
    for pack_id in base_packs(first):
        transport.delete(keys.pack(pack_id))
    second = send(tree, transport, [first]).manifest
    for pack_id in second.packs:
        assert keys.pack(pack_id) in transport.objects
    fetch(second, transport, tree.parent / "job")
    assert seen(tree.parent / "job") == seen(tree)


def test_an_old_base_is_pinned_and_renewed(tree, transport):
    """A base is a pack as any other: what is relied on stays."""
    first = send(tree, transport).manifest
    transport.pass_days(16)
    second = send(tree, transport, [first]).manifest
    assert base_packs(second) <= pins.pinned(transport, transport.now)
    for pack_id in base_packs(second):
        assert transport.modified[keys.pack(pack_id)] == transport.now


def test_a_base_is_never_somebody_elses(tree, transport):
    """A list that is stored anew is new, however old the same one is in the bucket.

    An old pack that nobody names any more may be gone at any time.
    """
    first = send(tree, transport).manifest
    transport.pass_days(20)
    second = send(tree, transport, []).manifest
    assert second.entries == first.entries
    assert not base_packs(first) & base_packs(second)
    for pack_id in base_packs(second):
        assert transport.modified[keys.pack(pack_id)] == transport.now


def test_a_list_of_many_packs(transport):
    """A list of more than fits into a pack comes back; none of its packs is somebody else's."""
    entries = tuple(Entry(f"{number:06}" + "x" * 5000, "file", 0o644, 0) for number in range(7000))
    manifest = Manifest(entries, {}, {})
    found = [settle(manifest, transport, 1) for _ in range(2)]
    assert len(base_packs(found[0])) == 2
    assert not base_packs(found[0]) & base_packs(found[1])
    codec.publish(found[0], transport, "runs/x/input.manifest")
    assert codec.retrieve(transport, "runs/x/input.manifest") == found[0]


def test_the_base_that_is_nearest(tree, transport):
    """Of several bases the one that tells most of what is there now is relied on."""
    first = send(tree, transport).manifest
    edit(tree, 0.5)
    second = send(tree, transport, [first]).manifest
    assert base_packs(first) != base_packs(second)
    for known in ([first, second], [second, first]):
        transport.counted()
        again = send(tree, transport, known).manifest
        assert again == second
        assert transport.counted() == {"list": 1}


def test_few_files_do_not_rely_on_a_list_of_many(tree, transport):
    """What a job makes and does not get again makes its next list no longer to read."""
    small = write(tree.parent / "small", {f"{number}": "x" for number in range(100)})
    first = send(small, transport).manifest
    shutil.copytree(small, tree, dirs_exist_ok=True, copy_function=shutil.copy2)
    output = send(tree, transport, [first]).manifest
    assert output.base is not None
    transport.pass_days(1)
    again = send(small, transport, [output, first]).manifest
    assert again.base is None
    assert not base_packs(output) & again.packs.keys()
    assert not pins.pinned(transport, transport.now) & base_packs(output)


def test_a_known_manifest_without_a_base_gets_one(tree, transport):
    """A long manifest that was stored whole is not stored whole again."""
    first = send(tree, transport, long=10**9).manifest
    assert first.base is None
    second = send(tree, transport, [Manifest((), {}, {}), first]).manifest
    assert second.base is not None
    assert second.entries == first.entries
