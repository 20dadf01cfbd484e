"""Files of the host's image, and of tasks: laying out ``/sbin``, removing a task's tree."""

from __future__ import annotations

import logging
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).parent / "image"
"""What the host's image has in ``/sbin`` that the host has not, as ``nextstrain/base`` has it."""
REAL = Path("/usr/sbin")


def shown_scripts(directory: Path) -> None:
    """Make *directory* what ``/sbin`` is in the host's image: the host's programs and ours."""
    removed_tree(directory)
    directory.mkdir(parents=True)
    for path in SCRIPTS.iterdir():
        if path.is_file():
            shutil.copyfile(path, directory / path.name)
            (directory / path.name).chmod(0o755)
    for path in REAL.iterdir() if REAL.is_dir() else ():
        if not (directory / path.name).exists():
            (directory / path.name).symlink_to(path)


def removed_tree(directory: Path) -> None:
    """Remove a tree, directories that forbid it included; what stays is only logged."""

    def allow(function: Callable[[str], object], path: str, error: object) -> None:
        if isinstance(error, tuple) and isinstance(error[1], FileNotFoundError):
            return
        try:
            Path(path).parent.chmod(stat.S_IRWXU)
            if Path(path).is_dir() and not Path(path).is_symlink():
                Path(path).chmod(stat.S_IRWXU)
                shutil.rmtree(path, ignore_errors=True)
            else:
                function(path)
        except OSError:
            log.warning("Cannot remove %s: %s", path, error)

    shutil.rmtree(directory, onerror=allow)
