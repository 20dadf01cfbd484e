"""Control-C outside of watching: the command ends at once, and says what is where."""

import os
import re
import time

import pexpect
import pytest

SANDBOX = ("build", "--aws-batch", "--sandbox")
SLEEPER = ("-c", "echo ready; exec sleep 60")
READY = r"\] ready"
"""What it prints. A job that is cancelled before its program runs has no exit code."""
SOON = 10.0
"""Seconds; a request that hangs would take much longer."""


@pytest.fixture
def pathogen(tmp_path):
    directory = tmp_path / "toy"
    directory.mkdir()
    (directory / "data.bin").write_bytes(os.urandom(40_000_000))
    return directory


def struck(fault):
    """Wait until a fault has met a request."""
    end = time.monotonic() + 60
    while not fault.struck:
        assert time.monotonic() < end
        time.sleep(0.05)


def interrupt(terminal, times=1):
    """Press Control-C; return what is shown from then on, once the command has ended."""
    began = time.monotonic()
    for _ in range(times):
        terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert time.monotonic() - began < SOON
    assert (terminal.exitstatus, terminal.signalstatus) == (130, None)
    assert "Traceback" not in terminal.before
    return " ".join(terminal.before.split())


def attach_words(text):
    return re.findall(r"nextstrain (build --aws-batch --sandbox --attach \S+)", text)[-1].split()


@pytest.mark.parametrize("times", [1, 3])
def test_while_files_are_sent(nextstrain, pathogen, broken, times):
    """Whatever hangs in the network, the command ends, and nothing was submitted."""
    fault = broken.add("delay", api="PutObject", key="packs/*", seconds=30)
    terminal = nextstrain.in_terminal(*SANDBOX, "--exec", "true", pathogen)
    struck(fault)
    text = interrupt(terminal, times)
    assert "No job was submitted." in text
    assert "run the same command" in text


def test_while_results_are_fetched(nextstrain, pathogen, broken):
    """Nothing is half-written, and the command that fetches the results is said."""
    fault = broken.add("delay", api="GetObject", key="packs/*", caller="user", seconds=30)
    terminal = nextstrain.in_terminal(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "head -c 9000000 data.bin > out; rm data.bin"
    )
    struck(fault)
    text = interrupt(terminal)
    assert [path.name for path in pathogen.iterdir()] == ["data.bin"]
    fault.clear()
    (pathogen / "data.bin").unlink()
    attached = nextstrain(*attach_words(text), pathogen)
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert (pathogen / "out").stat().st_size == 9_000_000


def test_while_the_job_is_submitted(nextstrain, tmp_path, broken):
    """Control-C then counts as the first one of those that cancel."""
    fault = broken.add("delay", api="SubmitJob", seconds=2)
    terminal = nextstrain.in_terminal(*SANDBOX, "--exec", "sh", tmp_path, *SLEEPER)
    struck(fault)
    terminal.sendintr()
    terminal.expect("as soon as its id is known")
    terminal.expect("Submitted the AWS Batch job")
    for _ in range(2):  # in either order
        terminal.expect(["again within 10 seconds to cancel", READY])
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 143


def test_a_submission_that_is_not_waited_for(nextstrain, tmp_path, broken):
    """A third Control-C leaves at once, and says how to find out about the job."""
    fault = broken.add("delay", api="SubmitJob", seconds=30)
    terminal = nextstrain.in_terminal(*SANDBOX, "--exec", "true", tmp_path)
    struck(fault)
    for answer in ("twice more to leave", "once more to leave"):
        terminal.sendintr()
        terminal.expect(answer)
    text = interrupt(terminal)
    assert "The job may exist." in text
    attached = nextstrain(*attach_words(text), tmp_path)
    # The sandbox's user may not list jobs, as nobody may without an optional policy.
    assert attached.returncode == 1
    assert "batch:ListJobs" in attached.stderr
    assert "by the name" in attached.stderr


def test_a_detached_job_that_was_interrupted(nextstrain, tmp_path, broken):
    """With --detach, Control-C during the submission ends with how to cancel the job."""
    fault = broken.add("delay", api="SubmitJob", seconds=2)
    terminal = nextstrain.in_terminal(*SANDBOX, "--detach", "--exec", "sh", tmp_path, *SLEEPER)
    struck(fault)
    text = interrupt(terminal)
    assert "goes on" in text
    attached = nextstrain.in_terminal(*attach_words(text), "--no-download")
    attached.expect(READY)
    cancelled = nextstrain(*attach_words(text), "--cancel", "--no-download")
    assert cancelled.returncode == 143, cancelled.stdout + cancelled.stderr
    attached.expect(pexpect.EOF)
    attached.close()
    assert attached.exitstatus == 143


def test_a_job_that_is_over_cannot_be_cancelled(nextstrain, no_sandbox, account, tmp_path):
    """--cancel of a job that is over says so; another computer may name the run."""
    build = nextstrain(*SANDBOX, "--exec", "true", tmp_path)
    (run,) = re.findall(r"Its run is (\S+)\.$", build.stdout, re.MULTILINE)
    attach = ("build", "--aws-batch", "--attach", run, "--cancel", "--no-download")
    again = no_sandbox(*attach, env=account)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to cancel" in again.stdout
