"""Bringing results back into a directory that people work in."""

import contextlib
import errno
import os
import random
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nextstrain_batch.assemble import holds
from nextstrain_batch.errors import (
    CorruptError,
    LocalFilesError,
    MissingObjectError,
    UnreachableError,
)
from nextstrain_batch.pathogen import KEPT, UploadFilter
from nextstrain_batch.runs import new_id
from nextstrain_batch.stat_cache import StatCache
from nextstrain_batch.store.chunks import chunk_of
from nextstrain_batch.store.manifest import Manifest
from nextstrain_batch.walk import walk
from trees import Run, seen, send, write

BIG = b"".join(b"%d\t%x\n" % (line, line * line) for line in range(300_000))


NOBODY = 65534


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path, {"Snakefile": "rule", "data/in": "in", "data/big": BIG})


@pytest.fixture
def shared():
    """A directory that everybody may look into, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_pieces_come_from_whichever_file_is_still_as_it_was_sent(tmp_path):
    """Where two files hold the same and one of them is gone, nothing is fetched."""
    for gone in ("a", "b"):
        run = Run(tmp_path / gone, {"a": BIG, "b": BIG})
        (run.job / "c").write_bytes(BIG + b"more")
        (run.user / gone).unlink()
        before = run.transport.bytes_fetched
        run.end()
        assert run.transport.bytes_fetched - before < 100_000


def test_new_and_changed_files_come_back(run):
    """New and changed files, directories and symlinks come back with mode and time."""
    write(run.job, {"results/tree": "tree", "data/in": "changed", "results/deep/er": ""})
    (run.job / "results/none").mkdir(mode=0o750)
    (run.job / "results/link").symlink_to("tree")
    (run.job / "results/tree").chmod(0o640)
    os.utime(run.job / "results/tree", ns=(1, -3_000_000_007))
    done = run.end()
    assert done.written == ("data/in", "results/deep/er", "results/link", "results/tree")
    assert (done.unchanged, done.kept, done.deleted_by_build) == (0, (), ())
    assert {path: facts for path, facts in seen(run.user).items() if path != "data"} == {
        path: facts for path, facts in seen(run.job).items() if path != "data"
    }


def test_what_the_build_did_not_touch_is_not_touched(run):
    """A local edit of a file that the build left alone stays."""
    write(run.user, {"Snakefile": "edited", "notes": "mine"})
    done = run.end()
    assert done.written == ()
    assert (run.user / "Snakefile").read_text() == "edited"
    assert run.transport.counted() == {}


def test_what_is_here_already_is_not_fetched(run):
    """A second download fetches nothing and changes nothing."""
    write(run.job, {"results/tree": "tree", "data/in": "changed"})
    run.end()
    before = seen(run.user)
    run.transport.counted()
    again = run.bring_back()
    assert (again.written, again.unchanged) == ((), 2)
    without_cache = run.bring_back(cache=StatCache())
    assert (without_cache.written, without_cache.unchanged) == ((), 2)
    assert run.transport.counted() == {}
    assert seen(run.user) == before


def test_snakemakes_records_are_no_results_that_are_here_already(run):
    """They are not counted: whoever chose something else would take them for that."""
    write(run.job, {".snakemake/metadata/x": "note"})
    run.end()
    again = run.bring_back()
    assert (again.written, again.unchanged) == ((), 0)


def test_a_file_that_was_only_touched(run):
    """A file with a new time or mode but the same content gets those, unfetched."""
    os.utime(run.job / "data/in", ns=(7, 7))
    (run.job / "Snakefile").chmod(0o700)
    done = run.end()
    assert (done.written, done.unchanged) == ((), 2)
    assert (run.user / "data/in").stat().st_mtime_ns == 7
    assert (run.user / "Snakefile").stat().st_mode & 0o777 == 0o700
    assert run.transport.counted() == {}


def test_a_local_edit_is_kept_beside(run):
    """A file that both the build and the user changed comes back; the user's is kept beside."""
    write(run.job, {"data/in": "by the build", "results/new": "by the build"})
    write(run.user, {"data/in": "by me", "results/new": "mine, too"})
    done = run.end()
    assert done.kept == (
        ("data/in", "data/in.before-run"),
        ("results/new", "results/new.before-run"),
    )
    assert (run.user / "data/in").read_text() == "by the build"
    assert (run.user / "data/in.before-run").read_text() == "by me"
    assert (run.user / "results/new.before-run").read_text() == "mine, too"
    write(run.user, {"data/in": "again by me"})
    assert run.bring_back().kept == (
        ("data/in", "data/in.before-run"),
        ("data/in", "data/in.before-run-2"),
        ("results/new", "results/new.before-run"),
    )
    assert (run.user / "data/in.before-run").read_text() == "by me"
    assert (run.user / "data/in.before-run-2").read_text() == "again by me"


@pytest.mark.parametrize("letter", ["x", "é", "\udce9"])
def test_an_edited_file_with_a_name_as_long_as_can_be(run, letter):
    """An edited file is kept beside even where its name leaves no room for more."""
    length = 255 // len(os.fsencode(letter))
    names = [letter * (length - 1) + last for last in "ab"]
    write(run.job, dict.fromkeys(names, "by the build"))
    write(run.user, {name: f"mine: {name[-1]}" for name in names})
    kept = dict(run.end().kept)
    assert sorted(kept) == sorted(names)
    for name, beside in kept.items():
        assert (run.user / beside).read_text() == f"mine: {name[-1]}"
        assert beside.startswith(letter * 100)
        assert ".before-run" in beside


@pytest.mark.parametrize(
    "name", ["environment.sh", "x" * 255, "é" * 127, "y" * 244 + ".before-run"]
)
def test_what_is_kept_beside_is_not_sent(run, name):
    """What a download has kept never travels with the next build, however its name was cut."""
    run_id = new_id("zika", datetime(2026, 11, 23, tzinfo=UTC), "1a2b3c4d")
    write(run.job, {name: "by the build"})
    for text in ("mine", "mine, too"):
        write(run.user, {name: text})
        assert run.end(run_id=run_id).kept
    skip = UploadFilter(run.user, ())
    sent = {each.path for each in walk(run.user, skip)}
    assert sent <= {"Snakefile", "data", "data/big", "data/in", name}
    kept = [each.path for each in skip.left_out if each.reason == KEPT]
    assert {(run.user / path).read_text() for path in kept} == {"mine", "mine, too"}


@pytest.mark.parametrize("edited", [False, True])
def test_results_that_are_never_sent_are_replaced(run, edited):
    """What an earlier download left is no edit, even where the build began without it."""
    write(run.job, {"results/tree": "of the first build"})
    run.end()
    first = run.output
    if edited:
        write(run.user, {"results/tree": "mine"})
    write(run.job, {"results/tree": "of the second build"})
    done = run.end(earlier=lambda: first)
    assert (run.user / "results/tree").read_text() == "of the second build"
    assert bool(done.kept) == edited
    if edited:
        assert (run.user / "results/tree.before-run").read_text() == "mine"


def test_an_edit_while_a_file_is_looked_at(tmp_path):
    """A file that somebody writes to while it is compared is not taken for what it was."""
    (file := tmp_path / "file").write_bytes(b"one" + b"two")
    os.utime(file, ns=(1001, 1001))

    def chunks(*, edit):
        yield chunk_of(b"one")
        if edit:
            with file.open("r+b") as opened:
                opened.write(b"ONE")
        yield chunk_of(b"two")

    assert holds(file, chunks(edit=False))
    assert not holds(file, chunks(edit=True))


def test_a_mode_that_was_changed_here_stays(run):
    """A file that was made executable here remains so, unless the build changed its mode, too."""
    for path in ("data/in", "Snakefile"):
        (run.user / path).chmod(0o755)
    write(run.job, {"data/in": "changed"})
    os.utime(run.job / "Snakefile", ns=(7, 7))
    (run.job / "data/big").chmod(0o600)
    (run.user / "data/big").chmod(0o755)
    run.end()
    modes = {
        path: (run.user / path).stat().st_mode & 0o777
        for path in ("data/in", "Snakefile", "data/big")
    }
    assert modes == {"data/in": 0o755, "Snakefile": 0o755, "data/big": 0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's file")
def test_a_colleagues_file(shared):
    """A file of somebody else's that the build touched is made anew, where that is allowed."""
    run = Run(shared, {"theirs": "same"})
    for each in (shared, run.user, run.job):
        each.chmod(0o777)
    os.utime(run.job / "theirs", ns=(7, 7))
    write(run.job, {"result": "new"})
    os.seteuid(NOBODY)
    try:
        done = run.end()
    finally:
        os.seteuid(0)
    assert done.written == ("result", "theirs")
    assert (run.user / "theirs").stat().st_mtime_ns == 7
    assert (run.user / "theirs").stat().st_uid == NOBODY


@pytest.mark.parametrize("seconds", [15_000_000_000, 1_700_000_000_000, -1_700_000_000_000])
def test_times_beyond_what_a_manifest_can_tell(run, seconds):
    """Files of the distant future go up and come back, and are the same the next time."""
    time = (seconds * 10**9,) * 2
    os.utime(run.user / "data/in", ns=time)
    run.begin()
    write(run.job, {"results/tree": "tree"})
    (run.job / "results/link").symlink_to("tree")
    for path in ("results/tree", "results/link", "results"):
        os.utime(run.job / path, ns=time, follow_symlinks=False)
    assert run.end().written == ("results/link", "results/tree")
    result = (run.user / "results/tree").lstat().st_mtime_ns
    assert result == min(max((run.job / "results/tree").lstat().st_mtime_ns, -(2**63)), 2**63 - 1)
    before = seen(run.user)
    again = send(run.user, run.transport, [run.base, run.output]).manifest
    assert again.entries == run.output.entries
    run.begin()
    done = run.end()
    assert (done.written, done.unchanged) == ((), 0)
    assert run.transport.counted() == {}
    assert seen(run.user) == before


@contextlib.contextmanager
def no_privileges(root):
    """Be somebody whom *root* belongs to, with all in it; the superuser may write anywhere."""
    if os.geteuid():
        yield
        return
    for each in (root, *root.rglob("*")):
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(("chosen", "mode"), [("results", 0o755), ("results/", 0o555)])
def test_a_directory_that_the_build_opened(shared, chosen, mode):
    """What was sent read-only and made writable by the build is written to at the first try."""
    run = Run(shared, {"results/tree": "old"})
    (run.user / "results").chmod(0o555)
    run.begin()
    (run.job / "results").chmod(0o755)
    write(run.job, {"results/tree": "by the build", "results/new": ""})
    shared.chmod(0o755)
    with no_privileges(run.user):
        done = run.end(wanted=lambda path: path.startswith(chosen))
    assert done.written == ("results/new", "results/tree")
    assert (run.user / "results").stat().st_mode & 0o777 == mode


def test_a_directory_that_its_owner_closed(shared):
    """What was made read-only here, and by no build, is not written to."""
    run = Run(shared, {"results/tree": "old"})
    (run.user / "results").chmod(0o555)
    write(run.job, {"results/tree": "by the build"})
    shared.chmod(0o755)
    with no_privileges(run.user), pytest.raises(LocalFilesError, match="You may not write there"):
        run.end()
    assert (run.user / "results/tree").read_text() == "old"
    assert (run.user / "results").stat().st_mode & 0o777 == 0o555


def test_an_edit_with_the_time_set_back_is_noticed(run):
    """An edit is found by content where the cache cannot tell."""
    write(run.job, {"data/in": "by the build"})
    before = (run.user / "data/in").stat()
    write(run.user, {"data/in": "me"})
    os.utime(run.user / "data/in", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run.end().kept == (("data/in", "data/in.before-run"),)


def test_snakemakes_own_records_are_replaced(run):
    """Below .snakemake a local change is replaced, not kept."""
    write(run.user, {".snakemake/metadata/x": "1"})
    write(run.job, {".snakemake/metadata/x": "2"})
    assert run.end().kept == ()
    assert (run.user / ".snakemake/metadata/x").read_text() == "2"
    assert [each.name for each in (run.user / ".snakemake/metadata").iterdir()] == ["x"]


def test_only_what_is_wanted_comes(run):
    """Unwanted changes stay away; directories that wanted files need are made."""
    write(run.job, {"results/deep/tree": "tree", "results/other": "other", "data/in": "changed"})
    (run.job / "results/deep").chmod(0o750)
    done = run.end(wanted=lambda path: path == "results/deep/tree")
    assert done.written == ("results/deep/tree",)
    assert (run.user / "results/deep").stat().st_mode & 0o777 == 0o750
    assert not (run.user / "results/other").exists()
    assert (run.user / "data/in").read_text() == "in"


@pytest.fixture
def edited(run):
    """An input, old enough to be known, was edited before the job made a result."""
    os.utime(run.user / "data/in", ns=(10**18, 10**18))
    run.begin()
    write(run.user, {"data/in": "on"})
    write(run.job, {"results/tree": "tree"})
    return run


def test_an_edit_that_the_results_do_not_know_of_is_told(edited):
    """A result that is newer than an edit looks as if it had been made of it."""
    done = edited.end()
    assert done.unused_edits == ("data/in",)
    assert (edited.user / "data/in").read_text() == "on"


def test_edits_that_show_by_themselves_are_not_told(edited):
    """A file touched but not changed, or edited after the results were made, needs no word."""
    later = (edited.job / "results/tree").stat().st_mtime_ns + 1
    os.utime(edited.user / "data/in", ns=(later, later))
    assert edited.end().unused_edits == ()
    write(edited.user, {"data/in": "in"})
    write(edited.job, {"results/tree": "newer"})
    assert edited.end().unused_edits == ()


def test_only_edits_of_what_the_build_used_are_told(edited):
    """Not one that is kept beside a result, nor any where nothing came."""
    assert edited.end(wanted=lambda _path: False).unused_edits == ()
    write(edited.job, {"data/in": "by the build"})
    done = edited.end()
    assert (done.kept, done.unused_edits) == ((("data/in", "data/in.before-run"),), ())


def test_nothing_is_taken_for_edited_in_another_copy(edited):
    """What was never here as it was sent has not been edited; neither have Snakemake's records."""
    assert edited.end(cache=StatCache()).unused_edits == ()
    older = StatCache()
    older.record("data/in", (edited.user / "data/in").stat(), (chunk_of(b"on"),), 2**62)
    assert edited.end(cache=older).unused_edits == ()
    note = ".snakemake/metadata/x"
    write(edited.user, {note: "note"})
    os.utime(edited.user / note, ns=(10**18, 10**18))
    edited.begin()
    write(edited.user, {note: "edit"})
    write(edited.job, {"results/tree": "newer"})
    assert edited.end().unused_edits == ()


def test_nothing_is_deleted(run):
    """What the build deleted is told, and stays, if it is wanted and still here."""
    for path in ("Snakefile", "data/in", "data/big"):
        (run.job / path).unlink()
    (run.user / "data/in").unlink()
    done = run.end(wanted=lambda path: path != "data/big")
    assert done.deleted_by_build == ("Snakefile",)
    assert (run.user / "Snakefile").read_text() == "rule"


def test_pieces_that_are_here_do_not_travel(run):
    """Of a big file that was edited in the job, only what is around the edit is fetched."""
    half = len(BIG) // 2
    write(run.job, {"data/big": BIG[:half] + b"inserted\n" + BIG[half:], "data/copy": BIG})
    done = run.end()
    assert done.written == ("data/big", "data/copy")
    assert (run.user / "data/big").read_bytes() == BIG[:half] + b"inserted\n" + BIG[half:]
    assert (run.user / "data/copy").read_bytes() == BIG
    assert run.transport.bytes_fetched < len(BIG) / 4


class Openings:
    """Opens files as ``os.open`` does, counts them, and may do something at each."""

    def __init__(self, at=lambda _number: None):
        self.count = 0
        self._at = at

    def __call__(self, path, flags, mode):
        self.count += 1
        self._at(self.count)
        return os.open(path, flags, mode)


@pytest.fixture
def known(run):
    """A run whose big file was last changed long ago, so that its status tells what it holds."""
    os.utime(run.user / "data/big", ns=(1001, 1001))
    run.begin()
    half = len(BIG) // 2
    write(run.job, {"data/big": BIG[:half] + b"inserted\n" + BIG[half:]})
    return run


def test_what_a_file_is_known_to_hold_is_copied_in_one_go(known):
    """A file that is as it was sent is not taken apart to be copied."""
    openings = Openings()
    known.end(opener=openings)
    half = len(BIG) // 2
    assert (known.user / "data/big").read_bytes() == BIG[:half] + b"inserted\n" + BIG[half:]
    entries = {entry.path: entry for entry in known.base.entries}
    # A new file, what comes before the edit, the edit, what comes after it.
    assert openings.count == 4 < len(entries["data/big"].chunks)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_file_that_changes_while_it_is_copied(known, number):
    """Whenever a local file changes, what was copied from it is not believed."""

    def change(count):
        if count == number:
            (known.user / "data/big").write_bytes(BIG.swapcase())

    known.end(opener=Openings(change))
    half = len(BIG) // 2
    assert (known.user / "data/big").read_bytes() == BIG[:half] + b"inserted\n" + BIG[half:]


def test_pieces_that_are_not_here_any_more_are_fetched(run):
    """When the local file was edited meanwhile, its pieces are fetched instead."""
    half = len(BIG) // 2
    write(run.job, {"data/big": BIG[:half] + b"inserted\n" + BIG[half:]})
    write(run.user, {"data/big": "something else"})
    assert run.end().kept == (("data/big", "data/big.before-run"),)
    assert (run.user / "data/big").read_bytes() == BIG[:half] + b"inserted\n" + BIG[half:]


def test_swapped_files(run):
    """Files that the build swapped come right although each is made from the other."""
    other = random.Random(1).randbytes(3_000_000)
    write(run.user, {"other": other})
    run.begin()
    write(run.job, {"other": BIG, "data/big": other})
    run.end()
    assert run.transport.counted() == {}
    assert (run.user / "other").read_bytes() == BIG
    assert (run.user / "data/big").read_bytes() == other


def test_cut_differently_is_equal_all_the_same(run):
    """Whether a file is equal is decided by the manifest's own chunks, however they are cut."""
    run.output = run.base
    entry = next(entry for entry in run.base.entries if entry.path == "data/big")
    assert len(entry.chunks) > 3
    smaller = write(run.user.parent / "pieces", {})
    smaller.mkdir(exist_ok=True)
    offset, parts = 0, []
    for number, size in enumerate([100_000] * (len(BIG) // 100_000) + [len(BIG) % 100_000]):
        write(smaller, {f"{number:05}": BIG[offset : offset + size]})
        parts.append(f"{number:05}")
        offset += size
    pieces = send(smaller, run.transport).manifest
    by_path = {each.path: each.chunks for each in pieces.entries}
    recut = replace(entry, chunks=tuple(chunk for part in parts for chunk in by_path[part]))
    run.output = Manifest(
        tuple(recut if each is entry else each for each in run.base.entries),
        run.base.packs | pieces.packs,
        run.base.locations | pieces.locations,
    )
    run.transport.counted()
    done = run.bring_back()
    assert (done.written, done.unchanged) == ((), 1)
    assert run.transport.counted() == {}


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("before", ["file", "directory", "full", "link", "dangling", "nothing"])
@pytest.mark.parametrize("after", ["file", "directory", "full", "link"])
def test_kinds_may_change(tmp_path, before, after, edited):
    """Whatever the build puts in the place of whatever was there arrives; no edit is lost."""

    def put(root, kind, text):
        place = root / "place"
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        if kind == "file":
            place.write_text(text)
        elif kind in {"directory", "full"}:
            place.mkdir()
            if kind == "full":
                (place / "inner").write_text(text)
        elif kind in {"link", "dangling"}:
            place.symlink_to("target" if kind == "link" else text)

    run = Run(tmp_path, {"target": "t"})
    put(run.user, before, "before")
    run.begin()
    put(run.job, after, "after")
    if edited:
        put(run.user, "file", "my edit")
    run.end()
    assert seen(run.job, times=False).items() <= seen(run.user, times=False).items()
    if edited and run.output.entries != run.base.entries:
        kept = [path for path in run.user.rglob("*") if "before-run" in path.name]
        assert [path.read_text() for path in kept] == ["my edit"]


def test_a_file_that_became_a_directory_is_there_until_the_directory_is(tmp_path):
    """Where the bucket fails meanwhile, what was there is still there, under another name."""
    run = Run(tmp_path, {"place": "before"})
    (run.job / "place").unlink()
    write(run.job, {"place/inner": "after"})

    def lost(verb, _key):
        if verb == "get":
            raise UnreachableError("No network.")

    run.transport.before = lost
    with pytest.raises(UnreachableError):
        run.end()
    assert (run.user / "place.before-run").read_text() == "before"
    run.transport.before = lambda _verb, _key: None
    assert run.bring_back().kept == ()
    assert (run.user / "place" / "inner").read_text() == "after"
    assert not (run.user / "place.before-run").exists(), "nobody has edited it"


def test_what_a_download_keeps_only_for_its_own_time_is_gone_at_its_end(tmp_path):
    """A file as it was sent, in whose place the build made a directory, is nobody's edit."""
    run = Run(tmp_path, {"place": "before"})
    (run.job / "place").unlink()
    write(run.job, {"place/inner": "after"})
    assert run.end().kept == ()
    assert {path.name for path in run.user.rglob("*")} == {"place", "inner"}


def test_a_directory_replaced_by_a_symlink_is_not_written_through(run):
    """A local symlink where the build has a directory is moved aside, not followed."""
    elsewhere = write(run.user.parent / "elsewhere", {"in": "precious"})
    shutil.rmtree(run.user / "data")
    (run.user / "data").symlink_to(elsewhere)
    write(run.job, {"data/in": "changed", "data/sub/new": "new"})
    done = run.end()
    assert done.kept == (("data", "data.before-run"),)
    assert seen(elsewhere).keys() == {"in"}
    assert (elsewhere / "in").read_text() == "precious"
    assert (run.user / "data/in").read_text() == "changed"
    assert not (run.user / "data").is_symlink()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
def test_a_full_disk(run, code):
    """When a file cannot be written, nothing is half-written and no temporary file stays."""
    for number in range(20):
        write(run.job, {f"results/{number:02}": b"%d" % number * 50_000, "data/in": "changed"})
    write(run.user, {"data/in": "edited"})
    calls = []

    def opener(path, flags, mode):
        calls.append(path)
        if len(calls) > 10:
            raise OSError(code, os.strerror(code))
        return os.open(path, flags, mode)

    with pytest.raises(LocalFilesError) as error:
        run.end(opener=opener)
    assert "nothing is half-written" in str(error.value)
    found = seen(run.user)
    assert not [path for path in found if "nextstrain-batch-tmp" in path]
    for path, (_, _, content, _) in found.items():
        if path.startswith("results/"):
            assert content == (run.job / path).read_bytes()
    assert b"edited" in {facts[2] for facts in found.values()}
    done = run.bring_back()
    assert done.written, "the next try brings the rest"
    assert done.kept == (("data/in", "data/in.before-run"),), "whichever try has kept it"
    assert seen(run.job, times=False).items() <= seen(run.user, times=False).items()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_while_writing(run):
    """A disk that is full only when it is written to is told as one, and cleaned up after."""
    write(run.job, {"results/new": "new"})

    def opener(path, flags, mode):
        os.close(os.open(path, flags, mode))
        return os.open("/dev/full", os.O_WRONLY)

    with pytest.raises(LocalFilesError, match="The disk is full"):
        run.end(opener=opener)
    assert list((run.user / "results").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [(UnreachableError("no network"), UnreachableError), (None, MissingObjectError)],
)
def test_a_bucket_that_fails(run, error, kind):
    """When the bucket fails, the error comes out and no temporary file stays."""
    write(run.job, {f"results/{number}": b"%d" % number * 50_000 for number in range(20)})
    half = len(BIG) // 2
    write(run.job, {"data/big": BIG[:half] + b"inserted\n" + BIG[half:]})
    before = (run.user / "data/big").read_bytes()
    run.output = send(run.job, run.transport, [run.base]).manifest

    def fail(_verb, _key):
        if error:
            raise error
        run.transport.objects.clear()

    run.transport.before = fail
    with pytest.raises(kind):
        run.bring_back()
    assert (run.user / "data/big").read_bytes() == before
    assert not [path for path in seen(run.user) if "nextstrain-batch-tmp" in path]


def test_a_damaged_pack(run):
    """Content that is not what the manifest says is refused, and nothing of it is placed."""
    write(run.job, {"results/new": "content of some length"})
    run.output = send(run.job, run.transport, [run.base]).manifest
    run.transport.change = lambda _key, data: data[:10] + bytes([data[10] ^ 1]) + data[11:]
    with pytest.raises(CorruptError, match="aws s3 rm"):
        run.bring_back()
    assert not (run.user / "results/new").exists()


def test_the_cache_learns(run):
    """What was brought back need not be read for the next upload."""
    write(run.job, {"results/tree": "tree"})
    os.utime(run.job / "results/tree", ns=(1001, 1001))
    run.end()
    status = (run.user / "results/tree").stat()
    assert run.cache.chunks("results/tree", status)


def test_progress_adds_up(run):
    """Progress grows to the total, which is what has to be fetched."""
    told = []
    write(run.job, {"results/a": "a" * 1000, "results/b": "b" * 500})
    run.end(progress=lambda *step: told.append(step))
    assert told[0] == ("fetch", 0, 1500)
    assert told[-1] == ("fetch", 1500, 1500)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
