"""The real commands on an account that is damaged part by part: check names it, setup mends it."""

import io
import json
import shlex

import pytest

from damaging import DAMAGES
from nextstrain_batch import cli
from nextstrain_batch.sandbox import manager
from sandbox_account import clients_of


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    yield home
    manager.stop(home)


@pytest.fixture
def run(home, monkeypatch, capsys):
    """Return the command line as a function: exit code and standard output."""
    monkeypatch.setenv("NEXTSTRAIN_HOME", str(home))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def command(*words):
        capsys.readouterr()
        code = cli.run(words)
        return code, capsys.readouterr().out

    return command


@pytest.fixture
def check(run):
    def checked():
        code, out = run("check-setup", "--sandbox", "--json")
        found = json.loads(out)["findings"]
        assert code == int(any(each["verdict"] == "failed" for each in found))
        return {each["part"]: each for each in found}

    return checked


@pytest.fixture
def set_up(run):
    def setting(*words):
        code, out = run("setup", "aws-batch", "--sandbox", "--yes", *words)
        assert code == 0, out
        return out

    return setting


@pytest.fixture
def use_keys(run, monkeypatch):
    """Return `nextstrain sandbox env` as a function that does to this process what it prints."""

    def evaluated(*words):
        code, out = run("sandbox", "env", *words)
        assert code == 0
        for line in shlex.split(out.replace("export ", "")):
            name, is_set, value = line.partition("=")
            if is_set:
                monkeypatch.setenv(name, value)

    return evaluated


def failed(found):
    return {part for part, each in found.items() if each["verdict"] == "failed"}


def test_an_empty_account_is_set_up_checked_and_emptied(run, check, set_up):
    """Setup, check, setup again with nothing to do, destroy, and everything is missing."""
    set_up()
    set_up("--destroy", "--delete-data")
    empty = check()
    assert "permissions for AWS Batch" in failed(empty)
    assert {empty[part]["verdict"] for part in ("bucket", "job queue")} <= {"failed", "cannot tell"}
    assert "to make" in set_up()
    found = check()
    assert failed(found) == set()
    assert {each["verdict"] for each in found.values()} == {"ok"}
    assert "There is nothing to do." in set_up()
    assert "to remove" in set_up("--destroy")
    code, out = run("setup", "aws-batch", "--sandbox", "--destroy", "--dry-run")
    assert (code, "nothing to do" in out) == (0, True)
    set_up()


@pytest.mark.parametrize("damage", ["queue disabled", "job role removed", "one subnet removed"])
def test_the_commands_name_and_mend_what_is_damaged(damage, home, check, set_up):
    """check-setup fails on the damaged part, and setup mends it; more damages are tested apart."""
    set_up("--disk=100", "--new-vpc")
    found = DAMAGES[damage]
    found.does(clients_of(manager.administrator(home)))
    assert found.part in failed(check())
    set_up()
    assert failed(check()) == set()


def test_a_member_with_the_documented_policies_alone_is_told_what_they_can_see(
    run, set_up, use_keys
):
    """What they may not look at cannot be told, with who can; nothing fails, and the code is 0."""
    set_up()
    use_keys()
    code, out = run("check-setup", "--json")
    found = {each["part"]: each for each in json.loads(out)["findings"]}
    assert code == 0, out
    verdicts = {part: each["verdict"] for part, each in found.items()}
    assert set(verdicts.values()) == {"ok", "cannot tell"}
    ok = ("bucket", "job queue", "job definition", "permissions for AWS Batch")
    ok += ("permissions for the bucket", "permissions for logs")
    assert {verdicts[part] for part in ok} == {"ok"}
    assert {verdicts[part] for part in ("bucket is private", "job role", "network")} == {
        "cannot tell"
    }
    for each in found.values():
        if each["verdict"] == "cannot tell" and not each["part"].startswith("optional"):
            assert "administers" in each["remedy"]


def test_an_administrator_sees_all_of_it(run, set_up, use_keys):
    """With an administrator's own keys, nothing is left that cannot be told."""
    set_up()
    use_keys("--administrator")
    code, out = run("check-setup", "--json")
    assert code == 0, out
    assert {each["verdict"] for each in json.loads(out)["findings"]} == {"ok"}


def test_the_canary_comes_back(run, set_up):
    """A tiny job goes the whole path, and says so."""
    set_up()
    code, out = run("check-setup", "--sandbox", "--canary")
    assert code == 0, out
    assert out.splitlines()[-1].startswith("ok           canary: ")
