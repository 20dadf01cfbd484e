"""The native runtime."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nextstrain_batch.errors import PathogenError, UserError
from nextstrain_batch.pathogen import Pathogen
from nextstrain_batch.runtimes.base import Invocation
from nextstrain_batch.runtimes.native import Native


class Executed(Exception):  # noqa: N818
    """Stands for the program that the process has become."""


def run(invocation, environ=None, error=None):
    def execute(program, command, variables):
        if error:
            raise error
        raise Executed(program, command, variables, Path.cwd())

    Native(execute, {} if environ is None else environ).run(invocation)


@pytest.fixture
def pathogen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ingest").mkdir()
    return Pathogen(tmp_path, tmp_path / "ingest")


def test_the_program_runs_inside_the_directory_with_its_variables(pathogen):
    """The program gets its directory, its arguments, and this environment as changed."""
    invocation = Invocation(pathogen, ("p", "-x"), {"A": "1", "B": None})
    with pytest.raises(Executed) as became:
        run(invocation, {"B": "2", "C": "3"})
    assert became.value.args == (
        "p",
        ("p", "-x"),
        {"A": "1", "C": "3"},
        pathogen.directory,
    )


def test_a_missing_program(pathogen):
    """A program that is not installed is an error that says what to do."""
    with pytest.raises(UserError, match="p is not installed"):
        run(
            Invocation(pathogen, ("p",)),
            {"PATH": "/nowhere"},
            FileNotFoundError(errno.ENOENT, "no"),
        )


def test_a_missing_interpreter(pathogen):
    """A script whose interpreter is missing is told apart from a missing program."""
    script = pathogen.root / "p"
    script.write_text("#!/nowhere/python\n")
    script.chmod(0o755)
    with pytest.raises(UserError, match="interpreter"):
        run(
            Invocation(pathogen, ("p",)),
            {"PATH": str(pathogen.root)},
            FileNotFoundError(errno.ENOENT, "no"),
        )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (OSError(errno.ENOEXEC, "Exec format error"), "Exec format error"),
        (OSError(errno.E2BIG, "Argument list too long"), "too long"),
    ],
)
def test_other_reasons(error, words, pathogen):
    """Any other reason is told in an error too."""
    with pytest.raises(UserError, match=words):
        run(Invocation(pathogen, ("p",)), error=error)


def test_a_directory_that_is_gone(pathogen):
    """A directory that has vanished since is an error that names it."""
    pathogen.directory.rmdir()
    with pytest.raises(PathogenError, match="ingest"):
        run(Invocation(pathogen, ("p",)))


# A process that becomes a program in the directory that is its first argument.
DRIVER = """
import sys
from pathlib import Path
from nextstrain_batch.pathogen import Pathogen
from nextstrain_batch.runtimes.base import Invocation
from nextstrain_batch.runtimes.native import Native
directory = Path(sys.argv[1])
Native().run(Invocation(Pathogen(directory, directory), tuple(sys.argv[2:])))
"""


def started(directory, *command):
    words = [sys.executable, "-c", DRIVER, str(directory), *command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_passes_through(code, tmp_path):
    """The command ends with the program's own exit code."""
    with started(tmp_path, "sh", "-c", f"exit {code}") as process:
        assert process.wait() == code


def test_signals_reach_the_program(tmp_path):
    """A signal to the command is the program's, which decides what it means."""
    with started(
        tmp_path,
        "sh",
        "-c",
        "sleep 60 & child=$!; trap 'kill $child; exit 42' TERM; echo ready; wait $child",
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 42


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_python_ignores_is_as_from_a_shell(tmp_path):
    """The program starts with the signal handling that a shell would give it."""
    with started(tmp_path, "grep", "SigIgn", "/proc/self/status") as process:
        ignored = int(process.stdout.read().split()[1], 16)
    assert not ignored & 1 << (signal.SIGPIPE - 1)


def test_the_program_starts_in_the_directory(tmp_path):
    """The program's current directory is the build's."""
    with started(tmp_path, "pwd", "-P") as process:
        assert process.stdout.read() == f"{tmp_path.resolve()}\n"
