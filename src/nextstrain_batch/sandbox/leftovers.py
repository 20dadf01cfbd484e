"""What a task's program has left running, where no container ends it with the task.

Such processes are known by the task's own ``TMPDIR``, or by the task's id, in their environment.
bubblewrap leaves some, too, when it is killed with the server while it sets a task up: the task's
first process asks to die with it only after that. Linux only: elsewhere, those that have left the
task's process group stay.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROUNDS = 5
"""A process may start another one while it is looked for."""

_LOOKS = 20
_MOMENT = 0.001
"""Seconds between looks at a process that seems to have no environment."""

_ID = re.compile(r"[0-9a-f]{32}")
"""A task's id, which is nobody else's."""


def end(task: Path) -> int:
    """Kill the processes of a task, by its directory; return how many there were."""
    marks = [f"TMPDIR={task / 'tmp'}\0".encode()]
    if _ID.fullmatch(task.name):
        marks.append(task.name.encode())
    count = 0
    for _ in range(_ROUNDS):
        found = sum(1 for _ in _killed(marks))
        count += found
        if not found:
            break
    return count


def _killed(marks: Sequence[bytes]) -> Iterator[int]:
    if sys.platform != "linux":
        return
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with contextlib.suppress(OSError):
            # The handle first, so that the environment is of the process that is killed.
            handle = os.pidfd_open(pid)
            try:
                environ = _environment(path)
                if pid != os.getpid() and any(mark in environ for mark in marks):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    yield pid
            finally:
                os.close(handle)


def _environment(process: Path) -> bytes:
    """Return what a process in ``/proc`` was given as its environment.

    For a moment, one that is becoming another program (execve) has none to be known by. Raises
    ``OSError`` for what has ended, is of the kernel's own or somebody else's.
    """
    environ = b""
    for _ in range(_LOOKS):
        environ = (process / "environ").read_bytes()
        if environ:
            break
        (process / "exe").readlink()  # The kernel's own have none, nor has what has ended.
        time.sleep(_MOMENT)
    return environ
