"""Memory limits of jobs by control groups, where the kernel and our rights allow them.

As root, on version 1 or 2 of control groups; as an ordinary user where version 2 has been
delegated. Elsewhere, macOS included, jobs have no limit.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

CGROUPS = Path("/sys/fs/cgroup")
PREFIX = "nextstrain-sandbox"
_TRIES, _PAUSE = 50, 0.02
"""How often, and how many seconds apart, an emptying group is tried to be removed."""

ENTER = 'echo $$ > "$1" || exit 125; shift; exec "$@"'
"""A shell script that puts itself, and what it becomes, into the group whose file is ``$1``."""


@dataclass(frozen=True)
class Group:
    """One task's control group."""

    path: Path
    version: int

    @property
    def processes(self) -> Path:
        """The file that takes the ids of processes."""
        return self.path / "cgroup.procs"

    def was_exceeded(self) -> bool:
        """Tell whether the kernel has killed something for lack of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        try:
            lines = (self.path / name).read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)

    def remove(self) -> None:
        """Remove it. What was killed with its task leaves it within moments."""
        for _ in range(_TRIES):
            try:
                self.path.rmdir()
            except OSError as error:
                trouble = error
                time.sleep(_PAUSE)
            else:
                return
        log.warning("Cannot remove %s: %s", self.path, trouble)


@dataclass(frozen=True)
class Groups:
    """Where tasks' groups are made."""

    parent: Path
    version: int

    def make(self, task_id: str, mib: int) -> Group | None:
        """Return a new group with a limit; None where the kernel refuses it after all."""
        group = Group(self.parent / f"{PREFIX}-{task_id}", self.version)
        limit = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        swap = (
            ("memory.memsw.limit_in_bytes", mib << 20)
            if self.version == 1
            else ("memory.swap.max", 0)
        )
        try:
            group.path.mkdir()
            (group.path / limit).write_text(str(mib << 20))
        except OSError as error:
            log.warning("No memory limit for %s: %s", task_id, error)
            with contextlib.suppress(OSError):
                group.path.rmdir()
            return None
        with contextlib.suppress(OSError):  # where swap is not accounted for, it stays unlimited
            (group.path / swap[0]).write_text(str(swap[1]))
        return group

    def remove_left(self, task_id: str) -> None:
        """Remove the group of a task whose server was killed, if it has one."""
        with contextlib.suppress(OSError):
            (self.parent / f"{PREFIX}-{task_id}").rmdir()


def find(root: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> Groups | None:
    """Return where groups with a limit can be made, by trying; None for nowhere."""
    for candidate in _candidates(root, own):
        group = candidate.make(f"probe-{os.getpid()}", 64)
        if group is not None:
            works = group.processes.exists()
            group.remove()
            if works:
                return candidate
    return None


def _candidates(root: Path, own: Path) -> list[Groups]:
    if (root / "memory" / "memory.limit_in_bytes").exists() or (root / "memory").is_dir():
        return [Groups(root / "memory", 1)]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    # A group with processes of its own hands no limits down, but the one above it may.
    return [
        Groups(each, 2)
        for each in dict.fromkeys([(root / path).parent, root])
        if each.is_relative_to(root) and _hands_memory_down(each)
    ]


def _hands_memory_down(path: Path) -> bool:
    control = path / "cgroup.subtree_control"
    try:
        if "memory" not in control.read_text().split():
            control.write_text("+memory")
    except OSError:
        return False
    return "memory" in control.read_text().split()
