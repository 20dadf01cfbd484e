"""The command line: which commands there are, and running one.

A command is one line of ``COMMANDS``; its module does the rest (see ``commands``). Only the module
of the command that is run is imported, so that each starts as fast as it can.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nextstrain_batch import __version__
from nextstrain_batch.arguments import Parser

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

COMMANDS = {
    "build": "nextstrain_batch.commands.build",
    "setup": "nextstrain_batch.commands.setup",
    "check-setup": "nextstrain_batch.commands.check_setup",
    "sandbox": "nextstrain_batch.commands.sandbox",
    "storage": "nextstrain_batch.commands.storage",
    "version": "nextstrain_batch.commands.version",
}

DESCRIPTION = """\
Runs Nextstrain pathogen builds on AWS Batch as if they ran on your own computer.

`nextstrain <command> --help` explains a command. First steps: `nextstrain build --aws-batch
--sandbox <directory>` needs no AWS account.
"""

VERSION = f"nextstrain-batch {__version__}"


def make_parser(commands: Iterable[str] = tuple(COMMANDS)) -> Parser:
    """Return the parser with the given commands registered."""
    parser = Parser(prog="nextstrain", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=VERSION, help="Show the version.")
    parser.set_defaults(run=None)
    subparsers = parser.add_subparsers(title="commands", metavar="<command>")
    for command in commands:
        import_module(COMMANDS[command]).register(subparsers)
    return parser


def _needed(words: Sequence[str]) -> Iterable[str]:
    """Return the commands to register: the one to run, none for the version, else all."""
    first = words[0] if words else ""
    if first == "--version":
        return ()
    return (first,) if first in COMMANDS else COMMANDS


def run(words: Sequence[str]) -> int:
    """Run a command line, without the program's name, and return the exit code.

    Raises ``UserError`` for what the user can mend, ``SystemExit`` for argparse's own messages.
    """
    parser = make_parser(_needed(words))
    arguments: Namespace = parser.parse_args(words)
    command: Any = arguments.run
    if command is None:
        parser.print_help()
        return 2
    exit_code: int = command(arguments)
    return exit_code
