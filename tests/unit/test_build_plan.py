"""What `build --dry-run` tells, and that it is the plan that an upload carries out."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_transport import MemoryTransport
from nextstrain_batch import upload
from nextstrain_batch.commands import build_plan
from nextstrain_batch.commands.build_plan import LINES, Line
from nextstrain_batch.pathogen import BY_PATTERN, LeftOut, UploadFilter
from nextstrain_batch.runtimes.aws_batch.gathering import Gathered
from nextstrain_batch.ui import Ui
from trees import send, snap, write


@pytest.fixture
def bucket():
    return MemoryTransport()


def planned(root, bucket, known=(), skip=None):
    taken = snap(root) if skip is None else snap(root, skip=skip)
    return upload.plan(taken, bucket, known=known, now=bucket.clock)


def told(plan, left_out=()):
    out = io.StringIO()
    build_plan.show(Gathered(plan, tuple(left_out)), Ui(out, out))
    return out.getvalue()


def lines(plan):
    return {line.name: (line.size, line.unsent) for line in build_plan.lines(plan)}


def test_a_plan_writes_nothing(tmp_path, bucket):
    """To plan is to list once; and what is planned is what is sent then."""
    plan = planned(write(tmp_path, {"a": "x", "b": "yy"}), bucket)
    assert bucket.counted() == {"list": 1}
    assert not bucket.objects
    sent = upload.execute(plan, bucket, now=bucket.clock)
    assert sent.packs_sent == len(plan.new)
    assert planned(tmp_path, bucket).new == ()


def test_what_is_there_and_what_is_not(tmp_path, bucket):
    """Of each file it is told how much of it is in the bucket; equal content counts once."""
    tree = write(tmp_path, {"a": "old", "empty": ""})
    known = send(tree, bucket).manifest
    write(tree, {"new": "content", "same": "content"})
    (tree / "link").symlink_to("a")
    plan = planned(tree, bucket, [known])
    assert lines(plan) == {
        "a": (3, 0),
        "empty": (0, 0),
        "link": (0, 0),
        "new": (7, 7),
        "same": (7, 0),
    }
    text = told(plan)
    assert "to be sent            new" in text
    assert "in the bucket         a" in text
    assert "sent with another     same  (same as new)\n" in text
    assert "In all: 5 files, 17 bytes" in text
    assert "In the bucket already: 3 bytes, in 1 pack." in text
    assert "The same as what is sent with another file: 7 bytes." in text
    assert "To be sent: 7 bytes before compression, in 1 pack." in text
    assert "packed anew" not in text


def test_copies_of_what_is_there_are_there(tmp_path, bucket):
    """Of two files with the same content in the bucket, both are in the bucket, and add up."""
    tree = write(tmp_path, {"a": "old", "b": "old"})
    plan = planned(tree, bucket, [send(tree, bucket).manifest])
    assert "In all: 2 files, 6 bytes\nIn the bucket already: 6 bytes, in 1 pack.\n" in told(plan)


def test_long_names_keep_the_columns(tmp_path, bucket):
    """However long the name of a file with equal content is, names are below each other."""
    tree = write(tmp_path, {"a" * 100: "content", "b": "content", "c": "other"})
    listed = told(planned(tree, bucket)).splitlines()[1:4]
    assert [line[36:].split()[0] for line in listed] == ["a" * 100, "b", "c"]
    assert listed[1].endswith(f"b  (same as {'a' * 100})")


def test_what_is_packed_anew(tmp_path, bucket):
    """Content that was sent before and has to be sent again is called so."""
    tree = write(tmp_path, {"a": "x" * 10, **{f"{n}": f"{n}" * 100 for n in range(1, 10)}})
    known = send(tree, bucket).manifest
    for number in range(1, 10):
        (tree / f"{number}").unlink()
    write(tree, {"b": "new"})
    text = told(planned(tree, bucket, [known]))
    assert "to be sent again      a" in text
    assert "to be sent            b" in text
    assert "Of that, 10 bytes was sent before and is packed anew." in text


def test_part_of_a_file(tmp_path, bucket):
    """Of a big file that has grown, only what is new is to be sent."""
    tree = write(tmp_path, {"big": b"".join(b"%d\n" % number for number in range(2_000_000))})
    known = send(tree, bucket).manifest
    with (tree / "big").open("ab") as file:
        file.write(b"more\n" * 1000)
    size, unsent = lines(planned(tree, bucket, [known]))["big"]
    assert 0 < unsent < size / 2


def test_snakemakes_state_is_one_line(tmp_path, bucket):
    """Snakemake's many small files do not drown the others."""
    notes = {".snakemake/metadata/b": "y", "sub/.snakemake/metadata/b": "y", "sub/c": "z"}
    plan = planned(write(tmp_path, {"a": "x", **notes}), bucket)
    listed = [line.name for line in build_plan.grouped(build_plan.lines(plan))]
    assert listed == [".snakemake/ (1 file)", "a", "sub/.snakemake/ (1 file)", "sub/c"]


paths = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4).map("/".join)


@given(st.sets(paths, max_size=60), st.integers(2, 20))
def test_a_long_listing_is_grouped(paths, limit):
    """However many files there are, the listing keeps to its limit and adds up."""
    files = sorted(path for path in paths if not any(each.startswith(f"{path}/") for each in paths))
    found = [Line(path, 3, 2, 1, 1, "x") for path in files]
    listed = build_plan.grouped(found, limit)
    assert len(listed) <= limit
    for count in ("size", "unsent", "shared", "again", "files"):
        assert sum(getattr(each, count) for each in listed) == sum(
            getattr(each, count) for each in found
        )
    if len(found) <= limit:
        assert listed == found


def test_the_fullest_directories_are_shut(tmp_path, bucket):
    """Of thousands of files, those in small directories are still named."""
    many = {f"data/raw/{number}": str(number) for number in range(LINES * 2)}
    text = told(planned(write(tmp_path, {"Snakefile": "", "rules/a.smk": "", **many}), bucket))
    assert "data/raw/ (100 files)\n" in text
    assert "rules/a.smk\n" in text
    assert "data/raw/1\n" not in text.partition("The largest")[0]


def test_what_is_left_out_is_told_with_its_rule_and_size(tmp_path, bucket):
    """Each rule is told with what it leaves out; directories with all that they hold."""
    files = {
        ".git/config": "x" * 10,
        ".git/objects/1": "y" * 5,
        "environment.sh": "TOKEN=1",
        **{f"big/{number:02}": "z" for number in range(20)},
        "keep": "",
        "old.bam": "12345",
        ".nextstrainignore": "*.bam\n",
    }
    write(tmp_path, files)
    skip = UploadFilter(tmp_path, ["big/*"])
    plan = planned(tmp_path, bucket, skip=skip)
    text = told(plan, skip.left_out)
    assert "2 files, 15 bytes  .git/\n" in text
    assert "--exclude-from-upload big/*\n" in text
    assert "10 files, 10 bytes  … 10 more\n" in text
    assert ".nextstrainignore, line 1: *.bam\n" in text
    assert "1 file, 5 bytes  old.bam\n" in text
    assert "may hold secrets" in text
    assert "TOKEN" not in text
    assert set(lines(plan)) == {"keep", ".nextstrainignore"}


def test_empty_directories_are_not_told(tmp_path, bucket):
    """A directory without files that is left out is not worth a line, nor is its rule."""
    (tmp_path / ".snakemake" / "conda").mkdir(parents=True)
    write(tmp_path, {"a": ""})
    skip = UploadFilter(tmp_path, [])
    plan = planned(tmp_path, bucket, skip=skip)
    assert skip.left_out == [
        LeftOut(".snakemake/conda", True, "never sent: Git's, Snakemake's and Python's own files")
    ]
    text = told(plan, skip.left_out)
    assert "conda" not in text
    assert "never sent" not in text


def test_the_largest_files_are_named_again(tmp_path, bucket):
    """Where there are many files, the largest are named once more at the end."""
    plan = planned(write(tmp_path, {f"{n:02}": "x" * n for n in range(30)}), bucket)
    largest = told(plan).partition("The largest files")[2]
    assert "29 bytes  29" in largest
    assert "19 bytes  19" not in largest


def test_no_file_is_the_largest_of_equals(tmp_path, bucket):
    """Where files are of much the same size, none is named as one of the largest."""
    plan = planned(write(tmp_path, {f"{n:02}": "x" for n in range(30)}), bucket)
    assert "The largest files" not in told(plan)
    plan = planned(write(tmp_path, {f"x/{n}": f"{n}" for n in range(300)}), bucket)
    assert "The largest files" not in told(plan)


def test_names_that_cannot_be_printed(tmp_path, bucket):
    """A name that would garble the terminal or cannot be encoded is quoted."""
    (tmp_path / "a\nb").write_text("x")
    (tmp_path / os.fsdecode(b"\xff")).write_text("y")
    text = told(planned(tmp_path, bucket))
    assert r"a\nb" in text
    assert r"\xff" in text
    text.encode()


def test_rules_that_cannot_be_printed(tmp_path, bucket):
    """A rule's bytes that are not UTF-8 look as in the names of what it leaves out."""
    name = os.fsdecode(b"a\xff")
    write(tmp_path, {name: "x", "b": "y"})
    left_out = [LeftOut(name, False, f"{BY_PATTERN}{name}"), LeftOut("b", False, "line 1: b\x1b")]
    text = told(planned(tmp_path, bucket), left_out)
    assert f"{BY_PATTERN}a\\xff\n" in text
    assert "'a\\xff'\n" in text
    assert "line 1: b\\x1b\n" in text
