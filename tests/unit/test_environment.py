"""The variables that a program is given."""

import os

import pytest

from nextstrain_batch.environment import (
    WELL_KNOWN,
    applied,
    read_envdir,
    resolve,
    without_removed,
)
from nextstrain_batch.errors import UserError


@pytest.fixture
def envdir(tmp_path):
    directory = tmp_path / "envdir"
    directory.mkdir()
    return directory


def test_assignments_and_pass_through():
    """NAME=VALUE sets a variable, NAME passes on this computer's, or removes what it lacks."""
    found = resolve(["A=1", "B", "C", "D=", "E=x=y"], [], {"B": "two"})
    assert found == {"A": "1", "B": "two", "C": None, "D": "", "E": "x=y"}


def test_well_known_variables_only_without_any_other():
    """The well-known variables are passed on when nothing else says what to pass on."""
    environ = {"AUGUR_DEBUG": "1", "AWS_ACCESS_KEY_ID": "key", "PATH": "/bin"}
    assert resolve([], [], environ) == {"AUGUR_DEBUG": "1", "AWS_ACCESS_KEY_ID": "key"}
    assert resolve(["A=1"], [], environ) == {"A": "1"}


def test_credentials_can_be_left_out():
    """The AWS keys are no well-known variables where the account is another one."""
    environ = {"AUGUR_DEBUG": "1", "AWS_ACCESS_KEY_ID": "key", "AWS_SESSION_TOKEN": "t"}
    assert resolve([], [], environ, with_credentials=False) == {"AUGUR_DEBUG": "1"}
    assert resolve(["AWS_ACCESS_KEY_ID"], [], environ, with_credentials=False) == {
        "AWS_ACCESS_KEY_ID": "key"
    }


def test_the_well_known_variables_are_those_people_rely_on():
    """The list is the one that builds written for the reference client count on."""
    assert len(WELL_KNOWN) == len(set(WELL_KNOWN)) == 13


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"value\n", "value"),
        (b"value", "value"),
        (b"two words \t \nsecond line\n", "two words"),
        (b"  leading\n", "  leading"),
        (b"a\0b\0c\n", "a\nb\nc"),
        (b"\n", ""),
        (b"", None),
        (b"carriage\r\n", "carriage\r"),
        ("größe\n".encode(), "größe"),
    ],
)
def test_an_envdir_is_read_as_daemontools_does(content, value, envdir):
    """The first line without blanks at its end; NUL is a newline; an empty file removes."""
    (envdir / "NAME").write_bytes(content)
    assert read_envdir(envdir) == {"NAME": value}


def test_bytes_that_are_no_text_survive(envdir):
    """A value that is not UTF-8 reaches the program byte for byte."""
    (envdir / "NAME").write_bytes(b"\xff\xfe\n")
    assert os.fsencode(read_envdir(envdir)["NAME"]) == b"\xff\xfe"


def test_hidden_files_are_passed_over(envdir):
    """Files whose names begin with a dot are no variables."""
    (envdir / ".DS_Store").write_bytes(b"x\n")
    assert read_envdir(envdir) == {}


def test_an_envdir_holds_files_only(envdir):
    """A directory inside an environment directory is an error that names it."""
    (envdir / "sub").mkdir()
    with pytest.raises(UserError, match="sub"):
        read_envdir(envdir)


def test_an_impossible_name_is_an_error(envdir):
    """A name that no variable can have is an error that quotes it."""
    (envdir / "a=b").write_bytes(b"x\n")
    with pytest.raises(UserError, match="a=b"):
        read_envdir(envdir)
    with pytest.raises(UserError, match="--env"):
        resolve(["=x"], [], {})


def test_a_missing_envdir_is_an_error_that_says_who_named_it(tmp_path):
    """A missing directory is an error; from the variable, it names the variable."""
    with pytest.raises(UserError, match="nowhere"):
        resolve([], [str(tmp_path / "nowhere")], {})
    environ = {"NEXTSTRAIN_RUNTIME_ENVDIRS": str(tmp_path / "nowhere")}
    with pytest.raises(UserError, match="NEXTSTRAIN_RUNTIME_ENVDIRS"):
        resolve([], [], environ)


def test_order_of_precedence(tmp_path):
    """--env wins over --envdir, a later directory over an earlier, the variable's come first."""
    for number in (1, 2, 3):
        directory = tmp_path / str(number)
        directory.mkdir()
        for name in ("A", "B", "C", "D")[: 5 - number]:
            (directory / name).write_text(f"{number}\n")
    environ = {"NEXTSTRAIN_RUNTIME_ENVDIRS": f"{tmp_path / '1'}:", "AUGUR_DEBUG": "1"}
    found = resolve(["A=env"], [str(tmp_path / "2"), str(tmp_path / "3")], environ)
    assert found == {"A": "env", "B": "3", "C": "2", "D": "1"}


def test_removed_variables():
    """None removes a variable from a local program's and is absent from a fresh environment."""
    asked = {"A": "1", "B": None}
    assert without_removed(asked) == {"A": "1"}
    assert applied(asked, {"B": "x", "C": "y"}) == {"A": "1", "C": "y"}
