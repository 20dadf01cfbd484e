"""The build on this computer, and the files that travel."""

from pathlib import Path

import pytest

from nextstrain_batch.errors import PathogenError
from nextstrain_batch.ignore_file import IgnoreFile
from nextstrain_batch.pathogen import (
    BY_PATTERN,
    MARKER,
    Pathogen,
    UploadFilter,
    check_travels,
    download_filter,
    find,
    holds_secrets,
    upload_filter,
)
from nextstrain_batch.walk import walk
from trees import write

BEFORE = ".before-zika-20261123T041500Z-1a2b3c4d"
"""How the name ends of what a download has kept."""


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
        ("environment_local", False), ("environments.sh", False), ("environment.local", False),
        ("ingest/environment.sh", False), ("environment_rethink.sh~", False),
        ("environment.secret.sh.bak", False), (".nextstrain-batch-tmp-1a-0", False),
        ("sub/.nextstrain-batch-tmp-1a-0", False), (f"sub/x{BEFORE}", False),
        (f"results{BEFORE}-12", True), (f"results{BEFORE}/x", False), (f".snakemake{BEFORE}", True),
    ],
)  # fmt: skip
def test_what_never_goes_up(path, is_directory):
    """Git's, Python's, most of Snakemake's files stay here; secrets; unfinished and kept files."""
    assert upload_filter()(path, is_directory)


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        (".snakemake", True), (".snakemake/metadata", True), (".snakemake/metadata/x", False),
        (".snakemake/incomplete/x", True), ("envs/environment.yaml", False),
        ("environment.yml", False), ("environment.YAML", False), ("environments", True),
        ("environment", True), ("data/environment_samples.tsv", False), ("Snakefile", False),
        ("data/environmental_samples.fasta.zst", False), ("config/environment.json", False),
        ("auspice/environmental_flu.json", False), ("defaults/environment.txt", False),
        ("environmental.fasta.xz", False), ("environment.yaml.tmpl", False),
        ("data/environmental", False), ("environmental.sh", False),
        (".gitignore", False), ("a.pyc", True), ("my.environment.sh", False),
        ("x.before-run", False), (f"x{BEFORE}.txt", False), ("x.before-2026-11-23", False),
    ],
)  # fmt: skip
def test_what_goes_up(path, is_directory):
    """The rest travels: Conda's environments, directories of such names, Snakemake's records."""
    assert not upload_filter()(path, is_directory)


@pytest.mark.parametrize("rule", [".snakemake/", ".snakemake/**", "**/metadata/", ".snakemake*"])
def test_no_ignored_line_chooses_among_snakemakes_records(rule):
    """Without them, the job would take an old result for one of a changed parameter."""
    skip = upload_filter((), IgnoreFile(f"{rule}\n"))
    assert not skip(".snakemake", True)
    assert not skip(".snakemake/metadata", True)
    assert not skip("sub/.snakemake/metadata/x", False)
    assert skip(".snakemake/conda", True)


def test_what_cannot_be_sent_of_snakemakes_can_be_left_out():
    """An option leaves out a record, and either way a symlink to a directory elsewhere."""
    assert upload_filter([".snakemake/metadata/x"])(".snakemake/metadata/x", False)
    assert not upload_filter([".snakemake/metadata/x"])(".snakemake/metadata/y", False)
    assert upload_filter([".snakemake"])(".snakemake", False)
    assert upload_filter((), IgnoreFile(".snakemake\n"))(".snakemake", False)


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


SECRETS = ("Snakefile", "data/big", "data/keep.tsv", "data/a.md", "secrets/.aws/credentials")


def sent(root, *exclude):
    """Return what travels of a directory, and what is left out."""
    skip = UploadFilter(root, exclude)
    found = skip.travelling(walk(root, skip))
    return [each.path for each in found], skip


@pytest.mark.parametrize(
    ("exclude", "travels"),
    [
        (("data", "!*.md"), {"data", "data/a.md"}),
        (("data/", "!*.md"), {"data", "data/a.md"}),
        (("data/**", "!data/keep.tsv"), {"data", "data/keep.tsv"}),
        (("data", "!data/keep.tsv"), {"data", "data/keep.tsv"}),
        (("data", "!nothing"), set()),
        (("!data", "!Snakefile", "!secrets/"), {"data", "data/a.md", "data/big", "data/keep.tsv"}),
    ],
)
def test_a_negation_spares_what_it_matches_and_no_more(tmp_path, exclude, travels):
    """What lies in an excluded directory stays here, but for what a negated pattern matches."""
    write(tmp_path, dict.fromkeys(SECRETS, ""))
    found, _skip = sent(tmp_path, *exclude)
    assert {path for path in found if path.startswith("data")} == travels
    assert "Snakefile" in found


@pytest.mark.parametrize("exclude", ["secrets", "secrets/", "secrets/**"])
@pytest.mark.parametrize("negation", ["!*.md", "!data/keep.tsv", "!x"])
def test_secrets_stay_here_whatever_is_negated(tmp_path, exclude, negation):
    """No negated pattern lets hidden files of an excluded directory travel, or its name."""
    write(tmp_path, dict.fromkeys(SECRETS, ""))
    found, skip = sent(tmp_path, exclude, negation)
    assert not [path for path in found if path.startswith("secrets")]
    (left_out,) = skip.left_out
    assert (left_out.path, left_out.is_directory) == ("secrets", True)
    assert left_out.reason == BY_PATTERN + exclude


def test_patterns_that_match_nothing_are_known(tmp_path):
    """Each pattern that has matched nothing is remembered, negated ones as well."""
    write(tmp_path, dict.fromkeys(SECRETS, ""))
    _found, skip = sent(tmp_path, "data", "*.bam", "!*.md", "!x", "!(data|secrets|Snakefile)")
    assert skip.unmatched() == ["*.bam", "!x"]


@pytest.mark.parametrize(
    ("rules", "exclude", "why"),
    [
        ("ingest/\n", (), "line 1: ingest/"),
        ("", ("ingest",), "--exclude-from-upload ingest"),
        ("", ("ingest", "!*.md"), "--exclude-from-upload ingest"),
        ("", ("ingest/*",), r"--exclude-from-upload ingest/\*"),
    ],
)
def test_a_working_directory_that_stays_here(tmp_path, rules, exclude, why):
    """It is an error, naming the rule, if the directory of the build does not travel."""
    write(tmp_path, {".nextstrainignore": rules, MARKER: "", "ingest/deep/Snakefile": ""})
    skip = UploadFilter(tmp_path, exclude)
    found = skip.travelling(walk(tmp_path, skip))
    with pytest.raises(PathogenError, match=why):
        check_travels(Pathogen(tmp_path, tmp_path / "ingest" / "deep"), found, skip.left_out)
    check_travels(Pathogen(tmp_path, tmp_path), found, skip.left_out)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("auspice/zika.json", True), (".snakemake/log/x.log", True),
        (".snakemake/metadata/x", True), ("sub/.snakemake/storage/x", True),
        (".snakemake/conda/x", False), (".snakemake/incomplete/x", True), (".git/x", False),
        ("a/__pycache__/x", False), ("x.pyc", False), ("environment.sh", True),
        (f"x{BEFORE}", False), (f"x{BEFORE}/", False), (f"x{BEFORE}-2/y", False),
    ],
)  # fmt: skip
def test_what_comes_down(path, wanted):
    """Everything comes back but Git's, Python's and kept files and most of Snakemake's."""
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
    """A file's own name decides, and without an ending it does so at the root only."""
    assert holds_secrets("environment")
    assert not holds_secrets("bin/environment")
    assert not holds_secrets("environment/readme.txt")
