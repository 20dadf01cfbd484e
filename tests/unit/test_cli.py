"""The command line as a whole."""

import pytest

from nextstrain_batch import __version__, cli


def test_version_option_and_command_agree(capsys):
    """`--version` and `version` print the same line."""
    with pytest.raises(SystemExit) as ended:
        cli.run(["--version"])
    assert ended.value.code == 0
    option = capsys.readouterr().out
    assert cli.run(["version"]) == 0
    assert capsys.readouterr().out == option == f"nextstrain-batch {__version__}\n"


def test_help_names_every_command(capsys):
    """`--help` lists every command with a line of help."""
    with pytest.raises(SystemExit) as ended:
        cli.run(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"\n    {command}" in out


def test_no_command_is_help_and_2(capsys):
    """Without a command the help is shown and the exit code is 2."""
    assert cli.run([]) == 2
    assert "<command>" in capsys.readouterr().out


def test_an_unknown_command_is_usage(capsys):
    """An unknown command is a usage error that lists the known ones."""
    with pytest.raises(SystemExit) as ended:
        cli.run(["bild"])
    assert ended.value.code == 2
    assert "build" in capsys.readouterr().err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    """Each command has --help, and a function to run."""
    with pytest.raises(SystemExit) as ended:
        cli.run([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: nextstrain {command}" in capsys.readouterr().out


def test_version_verbose_names_the_parts(capsys):
    """`version --verbose` tells what a report of a bug needs."""
    assert cli.run(["version", "--verbose"]) == 0
    out = capsys.readouterr().out
    for part in ("Python", "System", "botocore"):
        assert part in out


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["build", "--nope", "zika"], "build"),
        (["storage", "usage", "extra"], "storage usage"),
        (["storage", "prune", "--nope"], "storage prune"),
    ],
)
def test_unknown_words_show_the_usage_of_their_command(words, command, capsys):
    """A word that a command does not know is named, below that command's own usage."""
    with pytest.raises(SystemExit) as ended:
        cli.run(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: nextstrain {command} ")
    word = "extra" if "extra" in words else "--nope"
    assert said.endswith(f"nextstrain {command}: error: unrecognized arguments: {word}\n")
