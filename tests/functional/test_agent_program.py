"""Running a program, with real processes."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from needs import missing
from nextstrain_batch.agent.program import Ended, Program, run
from nextstrain_batch.agent.termination import TerminatedError, Termination

ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Output:
    """What a program said; asks for the job's end when it says *last_line*."""

    def __init__(self, termination, last_line=None):
        self.data = b""
        self._termination = termination
        self._last_line = last_line

    def __call__(self, data):
        self.data += data
        if self._last_line and self._last_line in self.data:
            os.kill(os.getpid(), signal.SIGTERM)
            self._last_line = None


@pytest.fixture
def termination():
    with Termination() as termination:
        yield termination


def run_shell(script, termination, directory, *, last_line=None, **options):
    output = Output(termination, last_line)
    program = Program(("sh", "-c", script), directory, ENVIRONMENT)
    return run(program, output, termination, **options), output.data


def test_exit_code_and_output(termination, tmp_path):
    """The program's exit code and output come through, both streams in their order."""
    ended, output = run_shell("echo one; echo two >&2; printf three; exit 7", termination, tmp_path)
    assert (ended, output) == (Ended(7), b"one\ntwo\nthree")


def test_runs_in_its_directory_with_its_environment(termination, tmp_path):
    """The program sees the directory and the environment it is given, and no input."""
    output = Output(termination)
    program = Program(("sh", "-c", "pwd; echo $X; cat"), tmp_path, ENVIRONMENT | {"X": "y"})
    assert run(program, output, termination) == Ended(0)
    assert output.data.decode().splitlines() == [str(tmp_path.resolve()), "y"]


def test_not_found(termination, tmp_path):
    """A program that does not exist is 127, as in a shell, and is named."""
    program = Program(("no-such-program",), tmp_path, ENVIRONMENT)
    ended = run(program, Output(termination), termination)
    assert ended.exit_code == 127
    assert "no-such-program does not exist" in ended.error


def test_interpreter_not_found(termination, tmp_path):
    """A script whose interpreter does not exist is 127, and the message thinks of that."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    ended = run(Program(("./script",), tmp_path, ENVIRONMENT), Output(termination), termination)
    assert ended.exit_code == 127
    assert "#!" in ended.error


@pytest.mark.parametrize(("mode", "text"), [(0o644, "#!/bin/sh\n"), (0o755, "no program\n")])
def test_not_executable(termination, tmp_path, mode, text):
    """A file that cannot be executed is 126, as in a shell, and is named."""
    script = tmp_path / "script"
    script.write_text(text)
    script.chmod(mode)
    ended = run(Program(("./script",), tmp_path, ENVIRONMENT), Output(termination), termination)
    assert ended.exit_code == 126
    assert "./script cannot be run" in ended.error


def test_killed_by_a_signal(termination, tmp_path):
    """A program killed by a signal is 128 more than its number, and the signal is named."""
    ended, _ = run_shell("kill -SEGV $$", termination, tmp_path)
    assert ended == Ended(139, "The program was killed by SIGSEGV.")


def test_killed_for_memory(termination, tmp_path):
    """SIGKILL is explained by its most likely cause."""
    ended, _ = run_shell("kill -KILL $$", termination, tmp_path)
    assert ended.exit_code == 137
    assert "memory" in ended.error


def test_huge_output_without_a_line_end(termination, tmp_path):
    """Output without line ends arrives whole, in pieces that bound memory."""
    sizes = []
    program = Program(("head", "-c", "20000000", "/dev/zero"), tmp_path, ENVIRONMENT)
    assert run(program, lambda data: sizes.append(len(data)), termination) == Ended(0)
    assert sum(sizes) == 20_000_000
    assert max(sizes) <= 64 * 1024


def test_output_comes_as_it_is_said(termination, tmp_path):
    """A line is passed on while the program still runs."""
    ended, output = run_shell(
        "echo ready; exec sleep 60", termination, tmp_path, last_line=b"ready\n"
    )
    assert output == b"ready\n"
    assert ended.exit_code == 143


def test_termination_is_forwarded_to_all(termination, tmp_path):
    """SIGTERM reaches the program and its children, and what they say then is kept."""
    script = """
        exec 2>/dev/null  # the shell announces that its sleep was terminated
        (trap 'echo child; exit' TERM; echo ready; while :; do sleep 0.01; done) &
        trap 'wait; echo parent; exit 3' TERM
        wait
    """
    ended, output = run_shell(script, termination, tmp_path, last_line=b"ready\n")
    assert ended == Ended(3)
    assert output == b"ready\nchild\nparent\n"


def test_a_program_that_ignores_termination_is_killed(termination, tmp_path):
    """After the grace SIGKILL ends the program and its children."""
    begun = time.monotonic()
    script = "trap '' TERM; echo ready; sleep 60 & wait; sleep 60"
    ended, _ = run_shell(script, termination, tmp_path, last_line=b"ready\n", grace=0.2)
    assert ended.exit_code == 137
    assert time.monotonic() - begun < 5


def test_leftovers_do_not_hold_the_job(termination, tmp_path):
    """What the program leaves running is killed, though it holds the pipe open."""
    begun = time.monotonic()
    script = "sleep 60 & echo $!; exit 0"
    ended, output = run_shell(script, termination, tmp_path, linger=0.1)
    assert ended == Ended(0)
    assert time.monotonic() - begun < 5
    assert is_dead(int(output))


def test_leftovers_in_another_session_do_not_hold_the_job(termination, tmp_path):
    """Not even what has left the program's session, and cannot be killed, holds the job."""
    if not shutil.which("setsid"):
        missing("needs setsid")
    script = "setsid sleep 60 & echo $!; exit 0"
    ended, output = run_shell(script, termination, tmp_path, linger=0.1)
    assert ended == Ended(0)
    os.kill(int(output.split()[0]), signal.SIGKILL)


def test_last_words_of_a_leftover_are_kept(termination, tmp_path):
    """What a background process says shortly after the program's end is still in the log."""
    script = "(sleep 0.2; echo late) & exit 0"
    assert run_shell(script, termination, tmp_path) == (Ended(0), b"late\n")


def test_guard_ends_at_once_on_termination(termination):
    """Work that is guarded is abandoned as soon as SIGTERM comes."""
    never = threading.Event()

    def work():
        os.kill(os.getpid(), signal.SIGTERM)
        never.wait(20)

    with pytest.raises(TerminatedError):
        termination.guard(work)
    never.set()


def test_guard_passes_results_and_errors(termination):
    """Work that is guarded returns or raises as if it were not."""
    assert termination.guard(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        termination.guard(lambda: 1 / 0)


def test_pause_ends_on_termination(termination):
    """Waiting to try again ends when SIGTERM comes."""
    begun = time.monotonic()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    termination.pause(20)
    assert 0.05 < time.monotonic() - begun < 5


AS_PROCESS_1 = """
import os, sys, pathlib
sys.path.insert(0, sys.argv[1])
from nextstrain_batch.agent.program import Program, run
from nextstrain_batch.agent.termination import Termination
assert os.getpid() == 1
script = '''
    (sleep 0.1 &) ; (sleep 0.1 &); sleep 0.5
    ps=$(cat /proc/[0-9]*/stat | grep -c ' Z ')
    echo zombies $ps
    (setsid sleep 60 &)
    exit 4
'''
with Termination() as termination:
    what = Program(("sh", "-c", script), pathlib.Path("/"), dict(os.environ))
    ended = run(what, lambda data: os.write(1, data), termination, linger=0.1)
    left = [name for name in os.listdir("/proc") if name.isdigit()]
    alive = [pid for pid in left if " Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()]
    print("ended", ended.exit_code, "alive", alive)
"""


def test_as_process_1_reaps_and_kills_all(tmp_path):
    """As process 1 it reaps orphans, and at the end nothing else is alive in the container."""
    bubblewrap = shutil.which("bwrap")
    script = tmp_path / "script.py"
    script.write_text(AS_PROCESS_1)
    source = Path(sys.modules["nextstrain_batch"].__file__).parents[1]
    isolation = ["--unshare-pid", "--as-pid-1", "--dev-bind", "/", "/", "--proc", "/proc"]
    if not bubblewrap or subprocess.run([bubblewrap, *isolation, "true"], check=False).returncode:
        missing("needs bubblewrap")
    command = [bubblewrap, *isolation, sys.executable, str(script), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "zombies 0\nended 4 alive ['1']\n", done.stderr


def is_dead(pid):
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False
