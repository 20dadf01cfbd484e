"""The parser that leaves the rest of the line to another program."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.arguments import Parser, checked, count


def parser():
    made = Parser(prog="x", program_arguments=True)
    made.add_argument("--cpus", type=checked(count))
    made.add_argument("--exclude-from-upload", action="append")
    made.add_argument("--exclude-from-download", action="append")
    made.add_argument("--detach", action="store_true")
    return made


def parsed(*words):
    return parser().parse_args(list(words))


@given(st.lists(st.text(max_size=8)))
def test_what_follows_the_directory_is_untouched(rest):
    """Every word after the directory reaches the program, whatever it looks like."""
    found = parsed("--detach", "dir", *rest)
    assert found.directory == "dir"
    assert found.program_arguments == rest


@pytest.mark.parametrize(
    "rest",
    [["--cpus", "2"], ["--detach"], ["--exclude"], ["--", "-j", "4"], ["--help"], ["-h"], ["--d"]],
)
def test_even_our_own_options(rest):
    """Options of ours, even ambiguous beginnings of them, are the program's after the directory."""
    found = parsed("dir", *rest)
    assert found.program_arguments == rest
    assert found.cpus is None
    assert not found.detach


@pytest.mark.parametrize(
    "words",
    [["--cpus", "2", "dir"], ["--cpus=2", "dir"], ["--cpu", "2", "dir"], ["--cpus=2", "--", "dir"]],
)
def test_values_are_not_taken_for_the_directory(words):
    """An option's value, in the same word or the next, is not the directory."""
    found = parsed(*words)
    assert (found.cpus, found.directory, found.program_arguments) == (2, "dir", [])


def test_a_directory_may_look_like_an_option_after_two_dashes():
    """After -- the next word is the directory, whatever it looks like."""
    found = parsed("--", "--detach", "--cpus")
    assert (found.directory, found.program_arguments) == ("--detach", ["--cpus"])


def test_no_directory():
    """Without a directory there are no program arguments either."""
    found = parsed("--detach")
    assert (found.directory, found.program_arguments) == (None, [])


@pytest.mark.parametrize(
    "words",
    [["--exclude-from", "x", "dir"], ["--unknown", "dir"], ["--cpus"], ["--cpus", "x", "d"]],
)
def test_nonsense_is_a_usage_error(words, capsys):
    """An unknown or ambiguous option, or a bad value, ends with exit code 2 and the usage."""
    with pytest.raises(SystemExit) as ended:
        parsed(*words)
    assert ended.value.code == 2
    assert "usage: x" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "1.5"])
def test_a_count_is_at_least_one(text):
    """A count is a whole number of at least 1."""
    with pytest.raises(ValueError, match="whole number"):
        count(text)


def test_help_keeps_paragraphs_and_commands_to_type():
    """A description keeps its paragraphs, and what is indented stays as it was written."""
    made = Parser(prog="x", description="One\ntwo.\n\n    eval  this\n\nThree.")
    assert "One two.\n\n    eval  this\n\nThree.\n" in made.format_help()
