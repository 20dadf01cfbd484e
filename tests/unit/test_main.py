"""Exceptions become messages and exit codes."""

import errno
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nextstrain_batch import errors
from nextstrain_batch.__main__ import guarded


def ending(exception):
    """Return the exit code and message of a command that raises *exception*."""

    def run(_words):
        raise exception

    err = io.StringIO()
    return guarded(run, [], err), err.getvalue()


def all_errors():
    waiting = [errors.UserError]
    while waiting:
        found = waiting.pop()
        waiting += found.__subclasses__()
        yield found


@pytest.mark.parametrize("kind", sorted(all_errors(), key=lambda kind: kind.__name__))
def test_an_error_is_its_message_and_its_code(kind):
    """What the user can mend is shown as its message alone, with its class's exit code."""
    code, message = ending(kind("what happened"))
    assert code == (2 if issubclass(kind, errors.UsageError) else 1)
    assert message == "nextstrain: error: what happened\n"


INTERRUPTED = """
import os, signal, sys, threading
from nextstrain_batch.__main__ import main
def run(words):
    threading.Thread(target=threading.Event().wait).start()
    {body}
sys.exit(main(run))
"""


def interrupted(body):
    """Return how a command ends that does *body* while one of its threads hangs."""
    script = INTERRUPTED.format(body=body)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False
    )


def test_an_interrupt_is_130_and_waits_for_nobody():
    """Control-C ends with 130 and no traceback, even if threads hang in the network."""
    ended = interrupted("os.kill(os.getpid(), signal.SIGINT)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_an_interrupt_says_what_it_knows():
    """What the interrupted step has to say is the last line."""
    ended = interrupted("print('so far'); raise KeyboardInterrupt('Run it again.')")
    assert (ended.returncode, ended.stdout) == (130, "so far\n")
    assert ended.stderr == "\nnextstrain: interrupted. Run it again.\n"


TIDY = """
    kill = lambda: os.kill(os.getpid(), signal.SIGINT)
    try:
        kill()
    finally:
        {first}
        kill()
        print("tidied")"""


@pytest.mark.parametrize(("first", "said"), [("", "tidied\n"), ("time.sleep(1.1)", "")])
def test_a_second_interrupt(first, said):
    """Pressed twice in quick succession, Control-C does not break into the tidying up; later on
    it ends that, quietly."""
    ended = interrupted("import time" + TIDY.format(first=first))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, said, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_as_good_as_empty_ones(tmp_path, closed):
    """A scheduler may start a command without one of the streams; no file takes its place."""
    script = (
        "import os, sys; from nextstrain_batch.__main__ import main\n"
        "def run(words):\n"
        "    file = os.open('opened', os.O_CREAT | os.O_WRONLY)\n"
        "    print('out', flush=True); print('err', file=sys.stderr); sys.stdin.read()\n"
        "    if file < 3: return 4\n"
        "    os.execvp('sh', ['sh', '-c', ': >theirs 3>&1; echo OUT; echo ERR >&2; cat; exit 3'])\n"
        "sys.exit(main(run))"
    )
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    assert (tmp_path / "opened").read_bytes() == b""
    assert ended.stdout == ("" if ">&-" in closed.split() else "out\nOUT\n")
    assert ended.stderr == ("" if "2>&-" in closed else "err\nERR\n")


def test_a_bug_shows_its_traceback_and_asks_for_a_report():
    """A bug shows where it is and asks for a report."""
    code, message = ending(ZeroDivisionError("oops"))
    assert code == 1
    assert "Traceback" in message
    assert "ZeroDivisionError: oops" in message
    assert "report" in message


def test_the_commands_code_passes_through():
    """What the command returns is the exit code."""
    assert guarded(lambda _words: 17, [], io.StringIO()) == 17


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", [[], ["-u"]])
def test_a_full_disk_below_the_output_is_told(unbuffered):
    """What was printed and could not be written is an error."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, *unbuffered, "-m", "nextstrain_batch", "version", "--verbose"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert re.match(r"nextstrain: error: .* output,? cannot be written: No space", ended.stderr)
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("error:") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_below_the_errors_leaves_the_exit_code():
    """Where nothing can be said, the exit code still tells."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "nextstrain_batch", "build"],
            stdout=subprocess.DEVNULL, stderr=full, timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 2


def test_a_full_disk_is_told_with_the_file_where_that_is_known():
    """No traceback, and nobody is told to look at a file that is not the one."""
    code, message = ending(OSError(errno.ENOSPC, "No space left on device", "/there/file"))
    assert (code, message.splitlines()[0]) == (
        1,
        "nextstrain: error: /there/file cannot be written: No space left on device.",
    )
    code, message = ending(OSError(errno.ENOSPC, "No space left on device"))
    assert (code, message.splitlines()[0]) == (
        1,
        "nextstrain: error: A file, or the output, cannot be written: No space left on device.",
    )


@pytest.mark.parametrize("words", [["version", "--verbose"], ["build", "--help"]])
def test_a_closed_output_is_quiet(words):
    """When the reader of the output goes away, the command ends without a word."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nextstrain_batch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    # argparse itself passes over what it cannot write, and then nothing is left to fail.
    assert process.wait() in {141, 0 if "--help" in words else 141}


def test_what_is_to_be_known_when_the_output_is_closed_goes_to_the_other_stream():
    """A job that goes on is not left without a word because ``| tee`` was interrupted too."""
    script = (
        "import sys\n"
        "from nextstrain_batch.__main__ import main\n"
        "def run(_words):\n"
        "    error = BrokenPipeError()\n"
        "    error.add_note('The job 1 goes on.')\n"
        "    raise error\n"
        "sys.exit(main(run))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 141
    assert done.stderr == "nextstrain: the output was closed. The job 1 goes on.\n"
