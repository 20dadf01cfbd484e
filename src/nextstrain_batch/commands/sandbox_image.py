"""``nextstrain sandbox image``: which programs an image name stands for in the embedded AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace, _SubParsersAction
    from collections.abc import Iterator
    from pathlib import Path

HELP = "Choose what images stand for: a directory, or this computer's programs."
DESCRIPTION = """\
No image is ever pulled: each name stands for a directory that holds a root file system, which jobs
see read-only, or with NAME=host for the programs of this computer. From the start,
nextstrain/base stands for those, with any tag. A job whose image has not been named here fails,
as on AWS when there is no such image.

A name without a tag is for any tag that is not named itself.
"""


def register(actions: _SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = actions.add_parser("image", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "images", metavar="NAME=DIR", nargs="*", help="what a name stands for, or NAME=host"
    )
    parser.add_argument(
        "--remove", metavar="NAME", action="append", default=[], help="forget a name"
    )
    parser.add_argument("--list", action="store_true", help="print all names (the default)")


def run(arguments: Namespace, home: Path) -> Iterator[str]:
    """Yield the lines to print; raises ``SandboxError`` and ``UsageError``."""
    from nextstrain_batch.errors import UsageError
    from nextstrain_batch.sandbox import adjust

    images = adjust.images(home)
    pairs = [each.partition("=") for each in arguments.images]
    for name, equals, target in pairs:
        if not (name and equals and target):
            raise UsageError(f"An image is named as NAME=DIR or NAME=host, not {name}{equals}.")
    for name, _, target in pairs:
        images.add(name, target)
    for name in arguments.remove:
        images.remove(name)
    if arguments.list or not (pairs or arguments.remove):
        for name, target in sorted(images.all().items()):
            yield f"{name}={target}"
