"""Jobs as processes, with bubblewrap and without."""

import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import rootfs
from needs import missing
from nextstrain_batch.sandbox import memory
from nextstrain_batch.sandbox.executor import Executor, Launch
from nextstrain_batch.sandbox.images import Images
from nextstrain_batch.sandbox.isolation import Host, root
from nextstrain_batch.sandbox.jobs import Exit


class Task:
    """A task's launch, and what became of it."""

    def __init__(self, *command, **environment):
        self.printed = b""
        self.end = None
        self.over = threading.Event()
        self.some = threading.Event()
        self.launch = Launch("task", command, environment, self.output, self.done)

    def output(self, data):
        self.printed += data
        self.some.set()

    def done(self, end):
        self.end = end
        self.over.set()

    def wait(self):
        assert self.over.wait(20)
        return self.end


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return Host.of(os.environ["PATH"], tmp_path_factory.mktemp("home"))


@pytest.fixture(params=["bubblewrap", "plain"])
def executor(request, tmp_path, host):
    isolated = root(host) if request.param == "bubblewrap" else None
    if request.param == "bubblewrap" and isolated is None:
        missing("bubblewrap does not work here")
    made = Executor(tmp_path / "tasks", host, isolated, Images(tmp_path / "images.json"))
    made.clear()
    yield made
    made.stop_all(5)


def run(executor, *command, **environment):
    task = Task(*command, **environment)
    executor.start(task.launch)
    return task.wait(), task.printed.decode()


def started(executor, *command):
    """Start a task that prints something when it is ready."""
    task = Task(*command)
    executor.start(task.launch)
    assert task.some.wait(20)
    return task


def test_output_and_exit_code_come_back(executor):
    """stdout and stderr are one, and the code is the program's."""
    assert run(executor, "sh", "-c", "echo a; echo b >&2; exit 5") == (Exit(5), "a\nb\n")


def test_the_environment_is_what_was_given(executor, monkeypatch):
    """Nothing of the server's own environment reaches a job."""
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    _, printed = run(executor, "env", GREETING="hello")
    names = {line.partition("=")[0] for line in printed.splitlines()}
    assert "GREETING=hello" in printed.splitlines()
    expected = {"GREETING", "PATH", "HOME", "LANG", "PWD", "TMPDIR", "NEXTSTRAIN_BATCH_BUILD_DIR"}
    assert names <= expected


def test_a_program_killed_by_a_signal_has_its_code(executor):
    """As containers report it: 128 and the signal's number."""
    script = "import os; os.abort()"
    end, _ = run(executor, "sh", "-c", f"{sys.executable} -c '{script}'; exit $?")
    assert end == Exit(128 + signal.SIGABRT)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 3), (signal.SIGKILL, 128 + signal.SIGKILL)]
)
def test_signals_reach_the_first_process(executor, number, code):
    """SIGTERM can be handled, SIGKILL cannot."""
    script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    task = started(executor, "sh", "-c", script)
    executor.signal("task", number)
    assert task.wait() == Exit(code)


def test_signals_to_a_task_that_is_over_are_nothing(executor):
    """The race between an end and a signal has no loser."""
    run(executor, "true")
    executor.signal("task", signal.SIGKILL)


def test_files_are_gone_after_the_job(executor, tmp_path):
    """Directories that forbid writing included."""
    script = "mkdir -p a/b; touch a/b/c; chmod 500 a/b a; touch /tmp/x; ls"
    end, printed = run(executor, "sh", "-c", script)
    assert (end, printed) == (Exit(0), "a\n")
    assert list((tmp_path / "tasks").iterdir()) == []
    Path("/tmp/x").unlink(missing_ok=True)


def test_what_was_left_running_is_ended(executor):
    """A process in the background does not keep the job from ending."""
    before = time.monotonic()
    end, printed = run(executor, "sh", "-c", "sleep 1000 & echo done")
    assert (end, printed) == (Exit(0), "done\n")
    assert time.monotonic() - before < 4


@pytest.mark.parametrize("command", [(), ("no-such-program",), ("/no/such/program",)])
def test_what_cannot_be_started_says_so(executor, command):
    """There is no exit code, and a reason."""
    end, printed = run(executor, *command)
    assert (end.code, printed) == (None, "")
    assert end.reason.startswith("CannotStartContainerError")


def test_stopping_ends_all(executor):
    """No task is left, nor are its files."""
    task = started(executor, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    executor.stop_all(10)
    assert task.wait() == Exit(137)


def test_an_isolated_job_sees_only_programs(tmp_path, host):
    """Neither the user's files nor other processes; it writes where it may."""
    isolated = root(host) or missing("bubblewrap does not work here")
    secret = tmp_path / "secret"
    secret.write_text("x")
    executor = Executor(tmp_path / "tasks", host, isolated, Images(tmp_path / "images.json"))
    executor.clear()
    script = (
        f"cat {secret} 2>&1; pwd; echo $HOME $$; "
        "touch /usr/x 2>/dev/null || echo read-only; touch ~/y /tmp/z . && echo writable"
    )
    end, printed = run(executor, "sh", "-c", script)
    lines = printed.splitlines()
    assert end == Exit(0)
    assert "No such file" in lines[0]
    assert lines[1:] == ["/nextstrain/build", "/nextstrain 1", "read-only", "writable"]


@pytest.mark.parametrize("disk", [None, 1_000_000])
def test_programs_that_lie_in_tmp_are_found(tmp_path_factory, disk):
    """The job's own ``/tmp`` hides the host's, but not an environment that was made in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        tools = Path(directory, "tools", "bin")
        tools.mkdir(parents=True)
        (tools / "own-tool").write_text("#!/bin/sh\necho found\n")
        (tools / "own-tool").chmod(0o755)
        Path(directory, "secret").touch()
        path = f"{tools}:{os.environ['PATH']}"
        shown = Host.of(path, tmp_path_factory.mktemp("home"))
        isolated = root(shown) or missing("bubblewrap does not work here")
        place = tmp_path_factory.mktemp("tasks")
        executor = Executor(place / "tasks", shown, isolated, Images(place / "images.json"))
        executor.clear()
        task = Task("sh", "-c", f"own-tool; ls {directory}; touch /tmp/y && echo writable")
        executor.start(replace(task.launch, disk=disk))
        assert task.wait() == Exit(0)
        assert task.printed == b"found\ntools\nwritable\n"


def image_of(tmp_path, host, directory):
    """Return an executor in which the image ``own`` is a directory."""
    isolated = root(host) or missing("bubblewrap does not work here")
    images = Images(tmp_path / "images.json")
    images.add("own", str(directory))
    executor = Executor(tmp_path / "tasks", host, isolated, images)
    executor.clear()
    return executor


def run_image(executor, image, *command):
    task = Task(*command)
    executor.start(replace(task.launch, image=image))
    return task.wait(), task.printed.decode()


def test_an_image_that_is_a_directory_is_the_jobs_root(tmp_path, host):
    """Its programs, and no others; read-only, but for the places that jobs write to."""
    directory = rootfs.make(tmp_path / "image", "ls", "cat", scripts={"hello": "echo own"})
    executor = image_of(tmp_path, host, directory)
    script = "hello; ls /usr/bin; pwd; echo x > ~/y && echo writable; echo x > /bin/y"
    end, printed = run_image(executor, "own:1", "sh", "-c", script)
    lines = printed.splitlines()
    assert lines[:4] == ["own", "hello", "/nextstrain/build", "writable"]
    assert "Read-only" in lines[4]
    assert end.code
    end, _ = run_image(executor, "own", "python3", "-V")
    assert end.reason.startswith("CannotStartContainerError")


def test_the_entry_point_of_an_image_runs_first(tmp_path, host):
    """Where the image has ``/sbin/entrypoint``, it is given the command."""
    directory = rootfs.make(tmp_path / "image")
    (directory / "sbin").mkdir()
    entrypoint = directory / "sbin/entrypoint"
    entrypoint.write_text('#!/bin/sh\necho first; exec "$@"\n')
    entrypoint.chmod(0o755)
    executor = image_of(tmp_path, host, directory)
    assert run_image(executor, "own", "sh", "-c", "echo then; exit 3") == (
        Exit(3),
        "first\nthen\n",
    )


def test_an_image_that_nobody_has_cannot_be_pulled(executor):
    """The reason is ECS's, and there is no exit code."""
    end, _ = run_image(executor, "nobody/nothing:1", "true")
    assert end.code is None
    assert end.reason.startswith("CannotPullContainerError")
    assert "nobody/nothing" in end.reason


def test_a_job_over_its_memory_is_killed(tmp_path, host):
    """With 137 and ECS's reason; a job within its limit is not."""
    groups = memory.find() or missing("no control groups for memory here")
    images = Images(tmp_path / "images.json")
    executor = Executor(tmp_path / "tasks", host, root(host), images, groups)
    executor.clear()

    def use(megabytes):
        task = Task(sys.executable, "-c", f"x = bytearray({megabytes}_000_000); print(len(x))")
        executor.start(replace(task.launch, memory=100))
        return task.wait()

    assert use(300) == Exit(137, "OutOfMemoryError: Container killed due to memory usage")
    assert use(10) == Exit(0)
    assert not list(groups.parent.glob("nextstrain-sandbox-task*"))
