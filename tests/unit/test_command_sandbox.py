"""``nextstrain sandbox``: what it prints, without a server."""

import subprocess
import sys

import pytest

from nextstrain_batch.cli import run
from nextstrain_batch.commands.sandbox import exports
from nextstrain_batch.errors import SandboxError, UsageError
from nextstrain_batch.sandbox import manager


def test_status_of_a_sandbox_that_does_not_run(capsys):
    """It says so, says how to start it, and exits with 1."""
    assert run(["sandbox", "status"]) == 1
    assert "`nextstrain sandbox start`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("action", "says"),
    [("stop", "was not running"), ("reset", "stopped and empty")],
)
def test_ending_what_does_not_run_is_no_error(capsys, action, says):
    """Scripts may stop and reset whatever the state."""
    assert run(["sandbox", action]) == 0
    assert says in capsys.readouterr().out


def test_an_action_is_needed():
    """Without one, the usage is shown."""
    with pytest.raises(SystemExit) as caught:
        run(["sandbox"])
    assert caught.value.code == 2


def test_the_environment_has_all_that_tools_look_at():
    """Endpoint, keys, region, and the bucket for our own commands."""
    endpoint = manager.Endpoint("http://127.0.0.1:1", "us-east-1", "KEY", "SECRET")
    assert dict(exports(endpoint)) == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "KEY",
        "AWS_SECRET_ACCESS_KEY": "SECRET",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NEXTSTRAIN_AWS_BATCH_S3_BUCKET": "nextstrain-jobs",
    }


def test_without_the_extra_the_error_says_what_to_install(tmp_path):
    """Packages of the extra are looked for before anything is started."""
    script = (
        "import sys; sys.modules['moto'] = None; from pathlib import Path; "
        "from nextstrain_batch.sandbox import manager; manager.ensure(Path(sys.argv[1]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "SandboxError" in found.stderr
    assert "pip install 'nextstrain-batch[sandbox]'" in found.stderr


def test_a_home_that_cannot_be_written_to_is_an_error(tmp_path):
    """The message names the directory and what moves it."""
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match="NEXTSTRAIN_HOME"):
        manager.ensure(tmp_path / "file")


def test_the_manager_imports_nothing_heavy():
    """Whoever only asks for the status waits for no botocore, moto or waitress."""
    script = (
        "import sys; import nextstrain_batch.sandbox.manager; "
        "print({'botocore', 'moto', 'waitress', 'boto3'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"


def test_images_are_named_listed_and_forgotten(capsys, tmp_path):
    """`image` without arguments lists; a name that is no pair is a usage error."""
    assert run(["sandbox", "image", f"own={tmp_path}", "tools:1=host"]) == 0
    assert run(["sandbox", "image"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nextstrain/base=host",
        f"own={tmp_path}",
        "tools:1=host",
    ]
    assert run(["sandbox", "image", "--remove", "own", "--list"]) == 0
    assert f"own={tmp_path}" not in capsys.readouterr().out
    with pytest.raises(UsageError, match="NAME=DIR"):
        run(["sandbox", "image", "own"])


def test_settings_are_set_and_shown(capsys):
    """They are kept for a sandbox that starts later."""
    assert run(["sandbox", "set", "instance-start=90", "memory-limits=off"]) == 0
    assert run(["sandbox", "set"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert {"instance-start=90", "memory-limits=off", "instances=inf"} <= set(shown)
    with pytest.raises(SandboxError, match="no setting nothing"):
        run(["sandbox", "set", "nothing=1"])
