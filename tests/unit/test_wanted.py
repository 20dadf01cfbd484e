"""What of a job's results is wanted here, and that Snakemake's notes are true of it."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.persistence.file import FilePersistence

from nextstrain_batch.snakemake_state import key_of
from nextstrain_batch.wanted import Wanted
from trees import Run, bring_back, send, write


def name_of(key, kind="metadata", where=""):
    """Return where Snakemake keeps its note about an output."""
    return f"{where}.snakemake/{kind}/{base64.urlsafe_b64encode(key.encode()).decode()}"


class Build(Run):
    """A run whose results are chosen as a build's."""

    def end(self, *download):
        """Send the job's directory and bring what is wanted."""
        self.output = send(self.job, self.transport, [self.base]).manifest
        self.wanted = Wanted(download or True, self.output, self.base, self.user)
        return bring_back(self.wanted, self.base, self.transport, self.user, cache=self.cache)

    def here(self, path):
        """Return what a file here holds; None without one."""
        full = self.user / path
        return full.read_text() if full.exists() else None


@pytest.fixture
def build(tmp_path):
    """Two outputs with their notes, all of them made anew by the job."""
    paths = ["a", "sub/b", name_of("a"), name_of("sub/b"), ".snakemake/log/x", "results/.hidden"]
    build = Build(tmp_path, dict.fromkeys(paths, "old"))
    write(build.job, dict.fromkeys(paths, "new"))
    return build


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(keys | keys.map(lambda key: key * 200))
def test_notes_are_named_as_snakemake_names_them(key):
    """The output that a note is about is told, however long Snakemake's name for the note."""
    snakemake = object.__new__(FilePersistence)
    snakemake._max_len = 255
    for kind in ("metadata", "incomplete"):
        path = snakemake._record_path(f"work/.snakemake/{kind}", key)
        assert key_of(path) == key
        assert key_of(str(Path(path).parent)) is None


@pytest.mark.parametrize("name", ["migration_underway", "x", "YQ==/YQ==", "gICA", "", "@YQ=="])
def test_what_is_no_note(name):
    """A name that Snakemake would not look for is about no output."""
    assert key_of(f".snakemake/metadata/{name}") is None


def test_everything_comes(build):
    """Without patterns everything comes, notes and logs included."""
    build.end()
    assert {build.here(path) for path in ("a", name_of("a"), ".snakemake/log/x")} == {"new"}
    assert build.wanted.passed_over() == 0


@pytest.mark.parametrize("download", [["a"], ["!sub/"], ["!sub/**"], ["a", "!.snakemake/**"]])
def test_a_note_comes_exactly_with_its_output(build, download):
    """The note of a file that comes does, too, and that of one that stays behind does not."""
    build.end(*download)
    assert (build.here("a"), build.here(name_of("a"))) == ("new", "new")
    assert (build.here("sub/b"), build.here(name_of("sub/b"))) == ("old", "old")


@pytest.mark.parametrize("download", [["a"], ["!sub/"]])
def test_an_older_output_beside_newer_ones_is_marked(build, download):
    """Else Snakemake would believe that the new one was made of it, were all as it was before."""
    build.end(*download)
    assert build.here(name_of("sub/b", "incomplete")) == ""
    assert build.here(name_of("a", "incomplete")) is None


def test_a_mark_goes_once_the_newer_output_comes(build):
    """Fetching the rest later leaves nothing to be made again."""
    build.end("a")
    build.end()
    assert build.here("sub/b") == build.here(name_of("sub/b")) == "new"
    assert build.here(name_of("sub/b", "incomplete")) is None


@pytest.mark.parametrize("first", [["a"], []])
def test_what_has_come_before_is_not_older(build, first):
    """Results may be fetched one by one, or one again that was lost here."""
    for path in ("a", "sub/b"):
        (build.user / path).unlink()
    build.begin()
    write(build.job, dict.fromkeys(["a", "sub/b", name_of("a"), name_of("sub/b")], "new"))
    build.end(*first)
    (build.user / "sub" / "b").unlink(missing_ok=True)
    build.end("sub/b")
    for key in ("a", "sub/b"):
        assert build.here(key) == build.here(name_of(key)) == "new"
        assert build.here(name_of(key, "incomplete")) is None


def test_a_mark_of_what_the_job_did_not_touch_stays(build):
    """A rule that was interrupted here meanwhile has left half a file."""
    write(build.begin().job, {"a": "newer"})
    write(build.user, {name_of("sub/b", "incomplete"): "{}"})
    build.end()
    assert build.here(name_of("sub/b", "incomplete")) == "{}"


def test_older_outputs_stay_as_good_where_nothing_newer_comes(build):
    """What is here was made together then; Snakemake's own log is no result."""
    build.end("nomatch.txt", ".snakemake/log/x")
    assert build.here(name_of("a", "incomplete")) is None
    assert build.here(name_of("sub/b", "incomplete")) is None


def test_an_exclusion_takes_away_what_it_names_and_nothing_else(build):
    """Hidden files and Snakemake's logs come where only something else is excluded."""
    build.end("!nomatch.txt")
    assert build.here("results/.hidden") == "new"
    assert build.here(".snakemake/log/x") == "new"
    assert build.here("sub/b") == "new"


def test_files_that_are_passed_over_are_counted(build):
    """New or changed files that no pattern chose are counted, without Snakemake's own."""
    build.end("out/")
    assert build.wanted.passed_over() == 3


def test_a_note_of_what_is_not_here(build):
    """Of a file that is not here the note comes: with it, Snakemake checks its rule's others."""
    write(build.job, {"temporary": "new", name_of("temporary"): "new", name_of("gone"): "new"})
    build.end("a")
    assert build.here("temporary") is None
    assert build.here(name_of("temporary")) == "new"
    assert build.here(name_of("gone")) == "new"


def test_directories_that_the_job_removed_are_no_files(build):
    """Of a directory that the job removed, its files are told, and not the directory."""
    (build.job / "sub" / "b").unlink()
    (build.job / "sub").rmdir()
    assert build.end("sub/", "results/").deleted_by_build == ("sub/b",)


def test_a_note_of_what_the_job_removed_and_is_still_here(build):
    """What the job removed stays here, and so does the note that is true of it."""
    (build.job / "a").unlink()
    build.end()
    assert (build.here("a"), build.here(name_of("a"))) == ("old", "old")


@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("../sub/b", "work/"), ("./b", "sub/"), ("b", "sub/"),
        ("/nextstrain/build/sub/b", ""), ("/elsewhere/sub/b", "work/"),
    ],
)  # fmt: skip
def test_paths_as_workflows_write_them(build, key, where):
    """A note's path begins at its working directory, or at the job's name for the root."""
    note = name_of(key, where=where)
    write(build.user, {note: "old"})
    write(build.begin().job, {note: "new", "sub/b": "newer"})
    build.end("a")
    assert build.here(note) == "old"
    build.end("sub/b")
    assert build.here(note) == "new"


def test_paths_through_links(build):
    """A note is about the file that its path leads to, through links to directories."""
    (build.user / "link").symlink_to("sub")
    (build.user / "sub" / "back").symlink_to("../link")
    note = name_of("link/back/b")
    write(build.user, {note: "old"})
    write(build.begin().job, {note: "new", "sub/b": "newer"})
    build.end("a")
    assert build.here(note) == "old"
    build.end("sub/b")
    assert build.here(note) == "new"


@pytest.mark.parametrize("key", ["s3://bucket/x", "../../x", "/tmp/x"])
def test_outputs_outside_the_root(build, key):
    """The note of an output that no download brings, nor leaves old, always comes."""
    write(build.job, {name_of(key): "new"})
    build.end("a")
    assert build.here(name_of(key)) == "new"


def test_marks_come_and_go_with_their_outputs(build):
    """So it is with marks of unfinished outputs: one is set, and removed, with its output only."""
    write(build.user, {name_of("a", "incomplete"): "{}", name_of("sub/b", "incomplete"): "{}"})
    build.begin()
    for key in ("a", "sub/b"):
        (build.job / name_of(key, "incomplete")).unlink()
        write(build.job, {key: "new"})
    build.end("a")
    assert build.here(name_of("a", "incomplete")) is None
    assert build.here(name_of("sub/b", "incomplete")) == "{}"


MARK = name_of("out", "incomplete")


@pytest.mark.parametrize(
    ("download", "came", "note", "mark"),
    [
        (["out/"], {"new"}, "new", None),
        (["!a"], {"new"}, "new", None),
        (["a"], {"old"}, "old", ""),
        ([".snakemake/log/x"], {"old"}, "old", None),
        (["out/x"], {"new", "old"}, "old", ""),
        (["!out/x"], {"new", "old"}, "old", ""),
    ],
)
def test_an_output_that_is_a_directory(build, download, came, note, mark):
    """A note comes with all of a directory; where a part comes, it is marked as not finished."""
    files = ["out/x", "out/deep/y", "out/.snakemake_timestamp", name_of("out")]
    write(build.user, dict.fromkeys(files, "old"))
    write(build.begin().job, dict.fromkeys([*files, "a"], "new"))
    build.end(*download)
    assert {build.here("out/x"), build.here("out/deep/y")} == came
    assert build.here(name_of("out")) == build.here("out/.snakemake_timestamp") == note
    assert build.here(MARK) == mark


def test_a_directory_that_came_in_two_goes_is_whole(build):
    """Once all of it is here, so is its note, and no mark."""
    files = ["out/x", "out/y", name_of("out")]
    write(build.user, dict.fromkeys(files, "old"))
    write(build.begin().job, dict.fromkeys(files, "new"))
    build.end("out/x")
    assert build.here(MARK) == ""
    build.end("out/y")
    assert {build.here(path) for path in files} == {"new"}
    assert build.here(MARK) is None


def test_a_mark_that_was_set_here_goes(build):
    """The mark that a part has got goes once a job has made all of it, and all of it came."""
    write(build.job, {"out/x": "1", "out/y": "1", name_of("out"): "1"})
    build.end("out/x")
    build.begin()
    (build.job / MARK).unlink()
    write(build.job, {"out/x": "2", "out/y": "2", name_of("out"): "2"})
    build.end("a")
    assert build.here(MARK) == ""
    build.end("out/")
    assert build.here(MARK) is None
    assert build.here(name_of("out")) == "2"
