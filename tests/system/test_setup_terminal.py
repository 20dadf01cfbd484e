"""`nextstrain setup aws-batch` as an administrator sees it on a terminal."""

import pexpect
import pytest

from nextstrain_batch.sandbox import manager


@pytest.fixture
def administrator(tmp_path):
    """Return the environment of an administrator of an empty account."""
    place = manager.administrator(tmp_path / "sandbox")
    yield {
        "AWS_ENDPOINT_URL": place.url,
        "AWS_ACCESS_KEY_ID": place.access_key,
        "AWS_SECRET_ACCESS_KEY": place.secret_key,
        "AWS_REGION": place.region,
    }
    manager.stop(tmp_path / "sandbox")


def test_it_asks_shows_asks_again_and_makes(no_sandbox, administrator, tmp_path):
    """Questions with defaults, the plan, one yes: the account is there, and the choices kept."""
    terminal = no_sandbox.in_terminal("setup", "aws-batch", env=administrator)
    terminal.expect(r"Bucket .*\[nextstrain-jobs-123456789012\]: ")
    terminal.sendline("our-jobs")
    terminal.expect(r"\[256\]: ")
    terminal.sendline("")
    terminal.expect("Spot instances")
    terminal.sendline("")
    terminal.expect(r"\[100\]: ")
    terminal.sendline("200")
    terminal.expect("for the instances alone")
    terminal.sendline("y")
    terminal.expect(r"\+ bucket our-jobs")
    terminal.expect(r"\+ VPC nextstrain-jobs")
    terminal.expect(r"200 GiB of disk")
    terminal.expect(r"Go on\? \[y/N\] ")
    terminal.sendline("y")
    terminal.expect("Making the job definition")
    terminal.expect("add people to the group")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    kept = tmp_path / ".nextstrain" / "aws-batch" / "sandbox" / "setup" / "our-jobs.toml"
    assert "disk-gib = 200" in kept.read_text()


def test_no_changes_nothing(no_sandbox, administrator, tmp_path):
    """Anything but yes leaves the account as it is."""
    terminal = no_sandbox.in_terminal("setup", "aws-batch", "--bucket=our-jobs", env=administrator)
    for prompt in (r"\[256\]: ", r"\[y/N\] ", r"\[100\]: ", r"\[y/N\] ", r"Go on\? \[y/N\] "):
        terminal.expect(prompt)
        terminal.sendline("")
    terminal.expect("Nothing was changed")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert not (tmp_path / ".nextstrain" / "config").exists()
