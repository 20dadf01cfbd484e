"""Jobs as processes: started, signalled, waited for, cleaned up after.

Signals go to the job's first process, as a container engine sends them. ``start`` must be called
from one thread that lives as long as the server: bubblewrap ends with the *thread* that started
it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from . import leftovers, memory
from .images import Image, cannot_pull
from .isolation import merged
from .jobs import Exit
from .scripts import removed_tree, shown_scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .images import Images
    from .isolation import Host, Root
    from .memory import Group, Groups

log = logging.getLogger(__name__)

ENTRYPOINT = "/sbin/entrypoint"
"""What an image's containers run first, where it has one; it becomes the job's command."""
IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are in an image that is a directory."""
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"

_INFO_SECONDS = 10.0
_DRAIN_SECONDS = 5.0
_KILLED = 128
"""Exit codes above this one are those of signals; bubblewrap itself may have got one."""


@dataclass(frozen=True)
class Launch:
    """What to run."""

    task_id: str
    command: Sequence[str]
    environment: Mapping[str, str]
    output: Callable[[bytes], None]
    """Takes what the job prints, stdout and stderr as one."""
    done: Callable[[Exit], None]
    """Called once, from another thread, after the last output."""
    image: str = "nextstrain/base"
    memory: int | None = None
    """MiB that it may use; None for no limit."""
    disk: int | None = None
    """Bytes of the job's disk; None for as many as this computer's. Needs bubblewrap."""


class _Running:
    """A task's processes. *first* is the process id that signals go to.

    *group* says that the job is a bare process group, with nothing that ends its stragglers.
    """

    def __init__(self, process: subprocess.Popen[bytes], first: int, *, group: bool) -> None:
        self.process = process
        self.group = group
        self.limits: Group | None = None
        self._first = first
        self._handle: int | None = None
        # A handle cannot come to mean another process when the id is used again.
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._handle = os.pidfd_open(first)

    def signal(self, number: int) -> None:
        """Send a signal to the first process; SIGKILL to the whole group."""
        with contextlib.suppress(ProcessLookupError):
            if self.group and number == signal.SIGKILL:
                os.killpg(self._first, number)
            elif sys.platform == "linux":
                if self._handle is not None:
                    signal.pidfd_send_signal(self._handle, number)
            else:
                os.kill(self._first, number)

    def wait(self) -> int:
        """Wait for the end, end stragglers, and return the exit code as containers have it."""
        if self.group and sys.platform == "linux":
            # Not reaped yet, so that the group's id is still its own.
            os.waitid(os.P_PID, self._first, os.WEXITED | os.WNOWAIT)
            self.signal(signal.SIGKILL)
        code = self.process.wait()
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """Give the handle back; no signal reaches the task any more."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class Executor:
    """Runs tasks below *directory*, one directory each, in *root* or as plain processes.

    *groups* is where memory can be limited, None for nowhere; *limits_memory* tells whether to.
    """

    def __init__(
        self,
        directory: Path,
        host: Host,
        root: Root | None,
        images: Images,
        groups: Groups | None = None,
        limits_memory: Callable[[], bool] = lambda: True,
    ) -> None:
        self._directory = directory
        self._host = host
        self._root = root
        self._images = images
        self._groups = groups
        self._limits_memory = limits_memory
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._waiters: list[threading.Thread] = []

    @property
    def isolates(self) -> bool:
        """Whether jobs run under bubblewrap."""
        return self._root is not None

    def start(self, launch: Launch) -> bool:
        """Start a task. Where it cannot be started, ``done`` is told why; return false."""
        image = self._images.find(launch.image)
        why = cannot_pull(launch.image) if image is None else self._cannot_run(launch, image)
        if image is not None and why is None:
            task = self._prepare(launch.task_id)
            limits = self._limits(launch)
            try:
                running = self._spawn(task, launch, image, limits)
            except OSError as error:
                removed_tree(task)
                if limits is not None:
                    limits.remove()
                why = f"CannotStartContainerError: Error response from daemon: {error}"
        if why is not None:
            launch.done(Exit(None, why))
            return False
        with self._lock:
            running.limits = limits
            self._running[launch.task_id] = running
        waiter = threading.Thread(
            target=self._wait, args=(launch, running, task), name=f"task-{launch.task_id[:8]}"
        )
        self._waiters = [each for each in self._waiters if each.is_alive()] + [waiter]
        waiter.start()
        return True

    def signal(self, task_id: str, number: int) -> None:
        """Send a signal to a task's first process; one that is over is no error."""
        with self._lock:
            running = self._running.get(task_id)
            if running is not None:
                running.signal(number)

    def stop_all(self, seconds: float) -> None:
        """Kill every task and wait, *seconds* at most, until their files are gone."""
        with self._lock:
            tasks = list(self._running)
        for task_id in tasks:
            self.signal(task_id, signal.SIGKILL)
        for waiter in self._waiters:
            waiter.join(seconds)

    def clear(self) -> None:
        """Remove what tasks of an earlier server left."""
        if self._directory.is_dir():
            for task in self._directory.iterdir():
                leftovers.end(task)
                if self._groups is not None:
                    self._groups.remove_left(task.name)
            removed_tree(self._directory)

    @cached_property
    def _scripts(self) -> Path:
        """The directory that is ``/sbin`` in the host's image; made for the first job."""
        directory = self._directory.parent / "sbin"
        shown_scripts(directory)
        return directory

    def _cannot_run(self, launch: Launch, image: Image) -> str | None:
        if image.directory is not None and self._root is None:
            return (
                "CannotStartContainerError: Error response from daemon: this computer cannot keep "
                "processes apart with bubblewrap, which an image that is a directory needs"
            )
        if not launch.command:
            return "CannotStartContainerError: Error response from daemon: No command specified"
        program = launch.command[0]
        if self._has(image, program):
            return None
        return (
            "CannotStartContainerError: Error response from daemon: failed to create task for "
            "container: failed to create shim task: OCI runtime create failed: exec: "
            f'"{program}": executable file not found in $PATH: unknown'
        )

    def _has(self, image: Image, program: str) -> bool:
        if "/" in program and not program.startswith("/"):
            return True
        if image.directory is not None:
            entries = (
                [program]
                if program.startswith("/")
                else ([f"{each}/{program}" for each in IMAGE_PATH.split(":")])
            )
            return any(os.path.lexists(f"{image.directory}{entry}") for entry in entries)
        if program.startswith(ENTRYPOINT):
            return (self._scripts / Path(program).name).exists()
        if program.startswith("/"):
            return Path(program).exists()
        return bool(shutil.which(program, path=os.pathsep.join(self._host.path)))

    def _limits(self, launch: Launch) -> Group | None:
        if self._groups is None or launch.memory is None or not self._limits_memory():
            return None
        return self._groups.make(launch.task_id, launch.memory)

    def _prepare(self, task_id: str) -> Path:
        task = self._directory / task_id
        (task / "nextstrain" / "build").mkdir(parents=True)
        (task / "tmp").mkdir(mode=0o1777)
        return task

    def _spawn(self, task: Path, launch: Launch, image: Image, limits: Group | None) -> _Running:
        if self._root is None:
            return self._spawn_plain(task, launch, limits)
        read, write = os.pipe()
        command = self._root.command(
            task,
            write,
            self._with_entrypoint(launch, image),
            image,
            self._scripts,
            launch.disk,
        )
        try:
            process = subprocess.Popen(
                _limited(command, limits),
                env=self._environment(launch, image, Path("/nextstrain")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(write,),
                start_new_session=True,
            )
            os.close(write)
            write = -1
            return _Running(process, _child_of(read) or process.pid, group=False)
        finally:
            os.close(read)
            if write >= 0:
                os.close(write)

    def _with_entrypoint(self, launch: Launch, image: Image) -> list[str]:
        if image.directory is None:
            has = merged()
        else:
            has = os.path.lexists(f"{image.directory}{ENTRYPOINT}")
        return [*((ENTRYPOINT,) if has else ()), *launch.command]

    def _spawn_plain(self, task: Path, launch: Launch, limits: Group | None) -> _Running:
        home = task / "nextstrain"
        environment = self._environment(launch, Image(), home)
        environment |= {
            "NEXTSTRAIN_BATCH_BUILD_DIR": str(home / "build"),
            "TMPDIR": str(task / "tmp"),
        }
        program, *arguments = launch.command
        if program.startswith(ENTRYPOINT):
            program = str(self._scripts / Path(program).name)
        # A script of ours comes first, and does not depend on the job's PATH.
        entrypoint = str(self._scripts / Path(ENTRYPOINT).name)
        process = subprocess.Popen(
            _limited([entrypoint, program, *arguments], limits),
            cwd=home / "build",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return _Running(process, process.pid, group=True)

    def _environment(self, launch: Launch, image: Image, home: Path) -> dict[str, str]:
        path = os.pathsep.join(self._host.path) if image.directory is None else IMAGE_PATH
        return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8"} | dict(launch.environment)

    def _wait(self, launch: Launch, running: _Running, task: Path) -> None:
        reader = threading.Thread(target=_copy, args=(running.process, launch.output))
        reader.start()
        code = running.wait()
        if running.group or code > _KILLED:
            leftovers.end(task)
        with self._lock:
            del self._running[launch.task_id]
            running.close()
        reader.join(_DRAIN_SECONDS)
        removed_tree(task)
        launch.done(Exit(code, _memory_reason(running.limits, code)))


def _limited(command: Sequence[str], limits: Group | None) -> Sequence[str]:
    """Return what runs *command* within its limits: a shell that goes there and becomes it."""
    if limits is None:
        return command
    return ["/bin/sh", "-c", memory.ENTER, "sh", str(limits.processes), *command]


def _memory_reason(limits: Group | None, code: int) -> str | None:
    if limits is None:
        return None
    exceeded = limits.was_exceeded()
    limits.remove()
    return OUT_OF_MEMORY if exceeded and code else None


def _copy(process: subprocess.Popen[bytes], output: Callable[[bytes], None]) -> None:
    assert process.stdout is not None
    with process.stdout as pipe:
        while data := os.read(pipe.fileno(), 65_536):
            output(data)


def _child_of(info: int) -> int | None:
    """Return the process id that bubblewrap writes as JSON; None when it fails before that."""
    data = b""
    while select.select([info], [], [], _INFO_SECONDS)[0]:
        piece = os.read(info, 4096)
        data += piece
        with contextlib.suppress(ValueError):
            return int(json.loads(data)["child-pid"])
        if not piece:
            break
    return None
