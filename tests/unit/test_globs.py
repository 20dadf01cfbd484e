"""Patterns for file names."""

import pytest

from nextstrain_batch.globs import decider, is_negated, matcher


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
