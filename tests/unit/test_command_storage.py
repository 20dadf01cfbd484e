"""The command line of `nextstrain storage`."""

import pytest

from nextstrain_batch import cli


@pytest.mark.parametrize("text", ["0.5", "-1", "two", "²", ""])
def test_days_are_whole(text, capsys):
    """An age that is not a whole number of days ends with exit code 2 and says what is needed."""
    with pytest.raises(SystemExit) as ended:
        cli.make_parser(["storage"]).parse_args(["storage", "prune", f"--older-than={text}"])
    assert ended.value.code == 2
    assert f"{text!r} is not a whole number of days" in capsys.readouterr().err


def test_an_age_that_no_calendar_has_is_refused(capsys):
    """More days than can be counted back end as any other mistake does."""
    with pytest.raises(SystemExit) as ended:
        cli.make_parser(["storage"]).parse_args(["storage", "prune", "--older-than=1000000000"])
    assert ended.value.code == 2
    assert "1000000000 days are more than" in capsys.readouterr().err


@pytest.mark.parametrize("days", [0, 14])
def test_any_whole_number_of_days_is_an_age(days):
    """None at all is an age, too: that of every finished run."""
    words = ["storage", "prune", "--older-than", str(days)]
    assert cli.make_parser(["storage"]).parse_args(words).older_than == days
