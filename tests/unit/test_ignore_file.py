"""`.nextstrainignore`, against Git's own idea of what its lines mean."""

import os
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nextstrain_batch.errors import PathogenError
from nextstrain_batch.ignore_file import IgnoreFile
from nextstrain_batch.pathogen import upload_filter
from nextstrain_batch.walk import walk
from trees import write

TREE = (
    *("a", "b.txt", "dir/a", "dir/b.txt", "dir/deep/a", "dir/deep/c.bam", "other/dir/a"),
    *("other/x y", "other/#hash", "data/raw/one.fa", "data/raw/two.fa", "data/keep.txt"),
)


def by_git(root, rules):
    """Return which files Git would not ignore."""
    (root / ".gitignore").write_bytes(rules.encode())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"],
        cwd=root,
        env={**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"},
        capture_output=True,
        check=True,
    )
    return {path.decode() for path in listed.stdout.split(b"\0") if path} - {".gitignore"}


def by_us(root, rules):
    skip = upload_filter((), IgnoreFile(rules))
    found = walk(root, lambda path, is_directory: skip(path, is_directory) is not None)
    return {each.path for each in found if (root / each.path).is_file()} - {".gitignore"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = write(tmp_path_factory.mktemp("ignore") / "tree", dict.fromkeys(TREE, "x"))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


@pytest.mark.parametrize(
    "rules",
    [
        *("a", "/a", "dir", "dir/", "/dir/", "dir/*", "dir/**", "**/a", "other/**/a", "*.bam"),
        *("*.txt\n!keep.txt", "data/*\n!data/raw", "data/**\n!data/keep.txt", "dir\n!dir/a"),
        *("# a\n\n  \n\\#hash", "x\\ y", "a   ", "*\n!*/\n!*.fa", "b.txt\r\na\r\n", "[ab]", "?"),
        *("/*\n!/data\n/data/*\n!/data/raw", "[!a]", "**", "d*/**\n!dir/deep", "!!a", "\\!a"),
    ],
)
def test_the_rules_are_gits(tree, rules):
    """A file stays here exactly if Git would ignore it."""
    assert by_us(tree, rules) == by_git(tree, rules)


pieces = st.sampled_from(["a", "dir", "deep", "*", "**", "?", "*.txt", "data", "raw", "[a-d]*"])
rule = st.builds(
    lambda sign, front, parts, back: f"{sign}{front}{'/'.join(parts)}{back}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(pieces, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rule, min_size=1, max_size=4).map("\n".join))
def test_any_rules_are_gits(tree, rules):
    """So it is with any rules, their order and their negations."""
    assert by_us(tree, rules) == by_git(tree, rules)


@pytest.mark.parametrize("rule", ["[abc", "!", "/", "a\\", "a/[z-a]", "[[:alpha:]]x", "[]"])
def test_a_malformed_line_is_named(tmp_path, rule):
    """A line that cannot match anything is an error that names the file, the line and its text."""
    file = tmp_path / ".nextstrainignore"
    file.write_text(f"# fine\n*.bam\n{rule}\n")
    with pytest.raises(PathogenError) as raised:
        IgnoreFile.of(tmp_path)
    assert f"Line 3 of {file}" in str(raised.value)
    assert repr(rule) in str(raised.value)


def test_no_file(tmp_path):
    """Without a file there are no rules."""
    assert IgnoreFile.of(tmp_path) is None


def to(target):
    """Return what makes a symlink to *target*."""
    return lambda path: path.symlink_to(target)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkdir, "no regular file"),
        (os.mkfifo, "no regular file"),
        (to("/dev/zero"), "no regular file"),
        (to("nowhere"), "a symlink to what does not exist"),
        (to(".nextstrainignore"), "symbolic links"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, make, why):
    """One that cannot be read, or is none, is an error, as what it leaves out may be secret."""
    make(tmp_path / ".nextstrainignore")
    with pytest.raises(PathogenError, match=f"cannot be read: .*{why}"):
        IgnoreFile.of(tmp_path)


def test_a_symlink_to_a_file(tmp_path):
    """It may be a symlink, as where several pathogens share one."""
    (tmp_path / "shared").write_text("*.bam\n")
    (tmp_path / ".nextstrainignore").symlink_to("shared")
    ignored = IgnoreFile.of(tmp_path)
    assert ignored is not None
    assert ignored.rule("x.bam", False)


def test_no_rules_by_way_of_dev_null(tmp_path):
    """A symlink to /dev/null stands for an empty file, as is usual."""
    (tmp_path / ".nextstrainignore").symlink_to("/dev/null")
    ignored = IgnoreFile.of(tmp_path)
    assert ignored is not None
    assert not ignored.rule("x.bam", False)


def test_the_rule_is_told():
    """Why something is left out is told with the rule and its line; the last match counts."""
    ignored = IgnoreFile("# big\n\ndata/raw/\n*.bam\n!keep.bam\n")
    assert ignored.rule("data/raw", True) == ".nextstrainignore, line 3: data/raw/"
    assert ignored.rule("x/y.bam", False) == ".nextstrainignore, line 4: *.bam"
    assert ignored.rule("x/keep.bam", False) is None
    assert ignored.rule("data/raw", False) is None


def test_names_that_are_not_utf8(tmp_path):
    """A name that is not UTF-8 is matched byte by byte; a byte order mark is no part of a rule."""
    (tmp_path / ".nextstrainignore").write_bytes(b"\xef\xbb\xbfa\xff\n")
    ignored = IgnoreFile.of(tmp_path)
    assert ignored is not None
    assert ignored.rule("a\udcff", False)
    assert ignored.rule("b\udcff", False) is None


def test_both_leave_out_and_neither_brings_back():
    """The file and --exclude-from-upload add up; a negation takes back only what is its own."""
    skip = upload_filter(["*.bam", "!x.fa"], IgnoreFile("*.fa\n!x.bam\n!environment.sh\n"))
    assert skip("x.bam", False) == "--exclude-from-upload *.bam"
    assert skip("x.fa", False) == ".nextstrainignore, line 1: *.fa"
    assert "secret" in skip("environment.sh", False)
    assert skip("x.txt", False) is None
