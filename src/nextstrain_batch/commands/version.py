"""``nextstrain version``: which version this is, and of what it depends on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nextstrain_batch import __version__

if TYPE_CHECKING:
    from argparse import Namespace

    from nextstrain_batch.arguments import Subparsers

# What a report of a bug should tell; the last ones are optional.
PACKAGES = ("botocore", "backports.zstd", "pathspec", "rich", "wcmatch", "moto", "waitress")


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "version",
        help="Show the version.",
        description="Shows the version of this program; with --verbose, of its parts too.",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="Show Python's, the system's and the packages', too."
    )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Print the version."""
    lines = [f"nextstrain-batch {__version__}"]
    if arguments.verbose:
        lines += details()
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def details() -> list[str]:
    """Return what a report of a bug should tell, a line each."""
    import platform

    python = f"{platform.python_version()} ({sys.executable})"
    lines = ["", f"Python          {python}", f"System          {platform.platform()}"]
    return lines + [f"{package:<15} {_installed(package)}" for package in PACKAGES]


def _installed(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
