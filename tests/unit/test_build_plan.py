"""What `build --dry-run` tells, and that it is the plan that an upload carries out."""

import io
import os

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch import upload
from nextstrain_batch.commands import build_plan
from nextstrain_batch.pathogen import UploadFilter
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
    build_plan.show(plan, left_out, Ui(out, io.StringIO()))
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
    assert "In the bucket already: 3 bytes, in 1 pack." in text
    assert "To be sent: 7 bytes before compression, in 1 pack." in text


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
    plan = planned(write(tmp_path, {"a": "x", ".snakemake/metadata/b": "y"}), bucket)
    assert lines(plan) == {"a": (1, 1), ".snakemake/ (1 file)": (1, 1)}


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


def test_the_largest_files_are_named_again(tmp_path, bucket):
    """Where there are many files, the largest are named once more at the end."""
    plan = planned(write(tmp_path, {f"{n:02}": "x" * n for n in range(30)}), bucket)
    largest = told(plan).partition("The largest files")[2]
    assert "29 bytes  29" in largest
    assert "19 bytes  19" not in largest


def test_names_that_cannot_be_printed(tmp_path, bucket):
    """A name that would garble the terminal or cannot be encoded is quoted."""
    (tmp_path / "a\nb").write_text("x")
    (tmp_path / os.fsdecode(b"\xff")).write_text("y")
    text = told(planned(tmp_path, bucket))
    assert r"a\nb" in text
    assert r"\xff" in text
    text.encode()
