"""The build on this computer, and the files that travel."""

from pathlib import Path

import pytest

from nextstrain_batch.errors import PathogenError
from nextstrain_batch.pathogen import MARKER, download_filter, find, holds_secrets, upload_filter


@pytest.fixture
def zika(tmp_path):
    root = tmp_path / "zika"
    (root / "ingest" / "deep").mkdir(parents=True)
    return root


def test_without_a_marker_the_directory_is_the_root(zika):
    """Without nextstrain-pathogen.yaml the directory itself is the root."""
    found = find(zika / "ingest")
    assert found.root == found.directory == zika / "ingest"
    assert (found.working_directory, found.name) == ("", "ingest")


@pytest.mark.parametrize(
    ("below", "working"), [("", ""), ("ingest", "ingest"), ("ingest/deep", "ingest/deep")]
)
def test_the_nearest_marker_is_the_root(below, working, zika):
    """The root is the nearest directory upwards with a marker, and the program runs below it."""
    (zika.parent / MARKER).touch()
    (zika / MARKER).write_text("not: [even yaml")
    found = find(zika / below)
    assert found.root == zika
    assert (found.working_directory, found.name) == (working, "zika")


def test_paths_are_resolved(zika, tmp_path, monkeypatch):
    """A relative path or a symlink leads to the directory itself."""
    (zika / MARKER).touch()
    (tmp_path / "link").symlink_to(zika / "ingest")
    monkeypatch.chdir(tmp_path)
    assert find(Path("link")).directory == zika / "ingest"
    assert find(Path("link")).root == zika


def test_a_missing_directory(tmp_path):
    """A directory that does not exist is an error that names it."""
    with pytest.raises(PathogenError, match="no directory"):
        find(tmp_path / "nowhere")


def test_a_relative_path_that_is_missing_hints_at_the_current_directory():
    """For a relative path the error asks about the current directory."""
    with pytest.raises(PathogenError, match="current directory"):
        find(Path("nowhere"))


def test_a_file_is_no_directory(tmp_path):
    """A file in the directory's place is an error that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(PathogenError, match="file is not a directory"):
        find(tmp_path / "file")
    with pytest.raises(PathogenError, match="cannot be used"):
        find(tmp_path / "file" / "below")


def test_a_loop_of_symlinks(tmp_path):
    """A symlink to itself is an error, not a traceback."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PathogenError, match="cannot be used"):
        find(tmp_path / "loop")


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        (".git", True), ("sub/.git", True), ("sub/.git", False), (".git/HEAD", False),
        (".snakemake/log", True), (".snakemake/conda", True), ("sub/.snakemake/locks", True),
        (".snakemake/storage", True), ("a.pyc", False), ("sub/a.pyc", False),
        ("__pycache__", True), ("sub/__pycache__", True), ("environment", False),
        ("environment.sh", False), ("environment-rethink.sh", False), ("a/environment.env", False),
        ("environment.json", False), ("environment_local", False), ("environments.sh", False),
    ],
)  # fmt: skip
def test_what_never_goes_up(path, is_directory):
    """Git's, Python's and most of Snakemake's own files stay here, and what may hold secrets."""
    assert upload_filter()(path, is_directory)


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        (".snakemake", True), (".snakemake/metadata", True), (".snakemake/metadata/x", False),
        (".snakemake/incomplete/x", True), ("envs/environment.yaml", False),
        ("environment.yml", False), ("environment.YAML", False), ("environments", True),
        ("environment", True), ("data/environment_samples.tsv", False), ("Snakefile", False),
        (".gitignore", False), ("a.pyc", True), ("my.environment.sh", False),
    ],
)  # fmt: skip
def test_what_goes_up(path, is_directory):
    """The rest travels: Conda's environments, directories of such names, Snakemake's records."""
    assert not upload_filter()(path, is_directory)


def test_patterns_leave_out_files_and_whole_directories():
    """A pattern leaves out files and directories; what is always left out stays so."""
    skip = upload_filter(["data/**", "*.bam", "old/"])
    assert skip("data", True)
    assert skip("data/x", False)
    assert skip("deep/x.bam", False)
    assert skip("old", True)
    assert not skip("old", False)
    assert not skip("results", True)
    assert skip(".git", True)


def test_a_negated_pattern_keeps_what_lies_in_a_directory():
    """With a negated pattern directories stay, so that the exception inside can stay too."""
    skip = upload_filter(["data/**", "!data/keep.txt"])
    assert not skip("data", True)
    assert skip("data/x", False)
    assert not skip("data/keep.txt", False)
    only = upload_filter(["!results/**"])
    assert not only("results", True)
    assert not only("results/x", False)
    assert only("other", False)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("auspice/zika.json", True), (".snakemake/log/x.log", True),
        (".snakemake/metadata/x", True), ("sub/.snakemake/storage/x", True),
        (".snakemake/conda/x", False), (".snakemake/incomplete/x", True), (".git/x", False),
        ("a/__pycache__/x", False), ("x.pyc", False), ("environment.sh", True),
    ],
)  # fmt: skip
def test_what_comes_down(path, wanted):
    """Everything comes back but Git's and Python's files and most of Snakemake's."""
    assert download_filter(True)(path) is wanted
    assert not download_filter(False)(path)


def test_patterns_choose_what_comes_down():
    """Patterns choose among what may come back."""
    wanted = download_filter(("auspice/*.json", "!auspice/b.json", "**"))
    assert wanted("auspice/a.json")
    assert not wanted("auspice/b.json")
    assert not wanted(".snakemake/conda/x")
    negated = download_filter(["!results/**"])
    assert negated("auspice/a.json")
    assert not negated("results/x")


def test_names_that_look_like_secrets():
    """A file's own name decides, not its directory's."""
    assert holds_secrets("a/environment")
    assert not holds_secrets("environment/readme.txt")
