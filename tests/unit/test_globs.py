"""Patterns for file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.globs import checked, decider, is_negated, matcher, may_spare


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("results/**", "results/a/b.txt", True),
        ("results/**", "results/", True),
        ("results/**", "other/results/a", False),
        ("results/*", "results/a/b.txt", False),
        ("**/b.txt", "results/a/b.txt", True),
        ("**/b.txt", "b.txt", True),
        ("*.fasta", "data/deep/x.fasta", True),
        ("data/*.fasta", "data/deep/x.fasta", False),
        ("data/", "data/", True),
        ("data/", "data", False),
        ("data", "data/", True),
        ("{a,b}/*.txt", "b/x.txt", True),
        ("[ab].txt", "b.txt", True),
        ("@(a|b).txt", "b.txt", True),
        ("+(ab).txt", "abab.txt", True),
        ("!(a).txt", "b.txt", True),
        ("!(a).txt", "a.txt", False),
        ("a?c", "abc", True),
        ("*", ".hidden", False),
        (".*", ".hidden", True),
        ("results/**", "results/.hidden/x", False),
        ("Data/**", "data/x", False),
        ("./data/**", "data/x", True),
        ("!./data/**", "data/x", False),
        ("größe*", "größe.txt", True),
        ("a\nb", "a\nb", True),
        ("*.txt", "\udcff.txt", True),
    ],
)
def test_one_pattern(pattern, path, matches):
    """A pattern matches as Bash's would with extglob and globstar."""
    assert matcher([pattern])(path) is matches


def test_negations_take_away():
    """A negated pattern takes away from what the others match, in whichever order."""
    for patterns in (["data/**", "!data/x"], ["!data/x", "data/**"]):
        matches = matcher(patterns)
        assert matches("data/y")
        assert not matches("data/x")
        assert not matches("other")


def test_negations_alone_match_everything_else():
    """With negated patterns only, everything else matches."""
    matches = matcher(["!data/**", "!*.txt"])
    assert matches("other")
    assert not matches("data/x")
    assert not matches("deep/x.txt")


def test_what_a_negation_is():
    """A leading ! negates, unless it begins the wildcard !(…)."""
    assert is_negated("!a")
    assert not is_negated("!(a)")
    assert not is_negated("a!")


def test_the_pattern_that_decides():
    """Of several patterns the first that matches is told; of negated ones alone, all of them."""
    assert decider(["*.bam", "data/**", "!data/x"])("data/a.bam") == "*.bam"
    assert decider(["*.bam", "data/**", "!data/x"])("data/a") == "data/**"
    assert decider(["!a", "!b"])("c") == "!a, !b"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("out/", "out/a/.b", True),
        ("out", "deep/out/a", True),
        ("results/out", "results/out/a/b", True),
        ("results/out", "other/results/out/a", False),
        ("{a,b}/", "b/x", True),
        ("results/*", "results/a/b", False),
        ("out/", "out", False),
        ("out", "outer/a", False),
    ],
)
def test_a_pattern_that_names_a_directory(pattern, path, matches):
    """A pattern stands for what lies in a directory that it names, and negated it does so, too."""
    assert matcher([pattern])(path) is matches
    assert matcher([f"!{pattern}"])(path) is not matches


@pytest.mark.parametrize("pattern", ["data", "data/", "data/**", "d*", "**/data"])
def test_whole_directories(pattern):
    """For an upload every pattern that matches a directory stands for all that lies in it."""
    matches = matcher([pattern, "!*.md", "!data/keep/"], whole_directories=True)
    assert matches("data/.aws/credentials")
    assert matches("data/deep/er/.x")
    assert not matches("data/deep/a.md")
    assert not matches("data/keep/a")
    assert not matches("other/x")


def test_negations_alone_leave_hidden_files_alone():
    """A negated pattern takes away what it matches and nothing else, hidden files neither."""
    matches = matcher(["!nomatch.txt"])
    assert matches(".snakemake/metadata/x")
    assert matches("results/.hidden")
    assert not matches("deep/nomatch.txt")


@pytest.mark.parametrize(
    ("pattern", "directory", "may"),
    [
        ("!*.md", "data/", True), ("!data/keep.tsv", "data/", True), ("!a/b/c", "a/", True),
        ("!a/b/c", "a/x/", False), ("!data/keep.tsv", "secrets/", False), ("!a/b", "a/b/c/", True),
        ("!a*/b/c", "ab/", True), ("!{a,b}/c", "b/", True), ("data", "data/", False),
        ("!data/", "x/", True), ("!./data/x", "data/", True), ("!./data/x", "other/", False),
    ],
)  # fmt: skip
def test_where_a_negation_may_match(pattern, directory, may):
    """A directory has to be looked into if a negated pattern may match something there."""
    assert may_spare([pattern])(directory) is may


names = st.text("ab.", min_size=1, max_size=2).filter(lambda name: name.strip("."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
parts = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "[ab]", "{a,b}", ".a"])


@given(st.lists(parts, min_size=1, max_size=3).map("/".join), paths, st.sampled_from(["", "/"]))
def test_no_directory_is_overlooked(pattern, path, slash):
    """Whatever a negated pattern matches, each directory above it has to be looked into."""
    if not matcher([f"!{pattern}{slash}"])(path):
        above = path.split("/")[:-1]
        directories = ["/".join(above[:end]) + "/" for end in range(1, len(above) + 1)]
        assert all(map(may_spare([f"!{pattern}{slash}"]), directories))


@pytest.mark.parametrize(
    "pattern", ["[a]", "{a,b}", "!(a|b)", "[]a]", "[[:alpha:]]*", r"\[a", "a}", "(a"]
)
def test_what_can_be_meant(pattern):
    """A pattern that is whole is taken, and one with its wildcards escaped."""
    assert checked(pattern) == pattern
    if not pattern.startswith("("):
        assert checked(f"!{pattern}") == f"!{pattern}"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "names no file"), ("!", "names no file"), ("./", "names no file"),
        ("/", "names no file"), ("!//", "names no file"),
        ("!!a", "twice"), ("[", "without its end"), ("{a,b", "without its end"),
        ("@(a|b", "without its end"), ("a\\", "without its end"), ("a\0", "NUL"),
        ("data/{1..20000}", "more than 10,000"), ("{1..200}{1..200}", "more than 10,000"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(pattern, why):
    """A pattern that is not whole, or stands for too many, is refused with the reason."""
    with pytest.raises(ValueError, match=why):
        checked(pattern)


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        ("/auspice/*", "write 'auspice/*', or"),
        ("!//auspice/", "write '!auspice/', or"),
        ("!/(a)/", r"write '!\\(a)/', or"),
        ("/out", "write 'out/' for a directory there, 'out' for that name at any depth (a file"),
        ("/home/ada/zika/out", "what follows the root"),
        ("../x", "the part '..'"), ("a/../x", "the part '..'"), ("!a/..", "the part '..'"),
        ("./..", "the part '..'"), (".", "the part '.'"), ("a/./b", "the part '.'"),
    ],
)  # fmt: skip
def test_what_lies_outside(pattern, instead):
    """What can match nothing below the root is refused, with what to write instead."""
    with pytest.raises(ValueError, match="relative to the pathogen's root") as raised:
        checked(pattern)
    assert instead in str(raised.value)


def test_what_is_written_instead_is_right():
    """A slash at the end keeps a directory to the root; without any, a name is at any depth."""
    assert matcher([checked("out/")])("out/x")
    assert not matcher([checked("out/")])("deep/out/x")
    assert matcher([checked("out")])("deep/out/x")


@pytest.mark.parametrize("pattern", ["./a", "a..b", "..a/b.", "a//b", "...", "**/.x", "./!(a)"])
def test_dots_and_slashes_that_can_be_meant(pattern):
    """Dots within a name, and ./ at the beginning, are taken."""
    assert checked(pattern) == pattern


def test_many_patterns_in_one():
    """Braces may stand for thousands of patterns."""
    matches = matcher([checked("data/{1..2000}.fasta"), checked("{0001..9000}")])
    assert matches("data/1999.fasta")
    assert not matches("data/2001.fasta")
