"""The command-line parser of every command, and the words that belong to the program it runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from nextstrain_batch.errors import UsageError

if TYPE_CHECKING:
    from argparse import _ArgumentGroup, _SubParsersAction
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    Subparsers: TypeAlias = "_SubParsersAction[Parser]"
    Group: TypeAlias = _ArgumentGroup

T = TypeVar("T")
N = TypeVar("N")


class HelpFormatter(argparse.HelpFormatter):
    """Help that stays readable on wide terminals and keeps paragraphs.

    A paragraph that is indented, as commands to type are, stays as it is.
    """

    def __init__(self, prog: str, **options: Any) -> None:  # noqa: ANN401 - argparse's own
        options.setdefault("max_help_position", 30)
        super().__init__(prog, **options)
        self._width = min(self._width, 98)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(
            p if p.startswith("    ") else fill(p, width, indent) for p in paragraphs
        )


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that can leave the rest of the line to another program.

    A subcommand's parser itself refuses words that it does not know, with the usage of the
    subcommand; argparse's leaves that to the parser at the top.

    With *program_arguments*, the first word that is neither an option nor an option's value ends
    the options: it becomes ``directory``, and the words after it become the list
    ``program_arguments``, untouched, even where they look like options of ours. argparse's own
    ``REMAINDER`` still reads them, and stops at one that abbreviates two of our options.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - argparse's own
        program_arguments: bool = False,
        **options: Any,  # noqa: ANN401
    ) -> None:
        defaults: dict[str, Any] = {"formatter_class": HelpFormatter, "add_help": False}
        super().__init__(*args, **defaults | options)
        self.program_arguments = program_arguments
        self.add_argument("-h", "--help", action="help", help="Show this help.")

    # argparse declares overloads that say the same of three kinds of namespace.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: N | None = None
    ) -> tuple[argparse.Namespace | N, list[str]]:
        """Parse the words up to the directory; the others wait in ``program_arguments``."""
        if not self.program_arguments or args is None:
            found, extra = super().parse_known_args(args, namespace)
        else:
            options, rest = self._split(list(args))
            found, extra = super().parse_known_args(options, namespace)
            vars(found).update(directory=rest[0] if rest else None, program_arguments=rest[1:])
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)}")
        return found, extra

    def _split(self, words: list[str]) -> tuple[list[str], list[str]]:
        position = 0
        while position < len(words):
            word = words[position]
            if word == "--":
                return words[:position], words[position + 1 :]
            if not word.startswith("-") or word == "-":
                break
            position += 2 if self._takes_next_word(word) else 1
        return words[:position], words[position:]

    def _takes_next_word(self, word: str) -> bool:
        """Whether the option's value is the next word; an unknown option has none."""
        if "=" in word:
            return False
        actions = {id(action): action for action in self._matching(word)}
        return len(actions) == 1 and next(iter(actions.values())).nargs is None

    def _matching(self, word: str) -> Iterable[argparse.Action]:
        """Yield the actions that *word* names; a unique beginning is enough, as in argparse."""
        named = self._option_string_actions
        if word in named:
            return [named[word]]
        return [named[name] for name in named if word.startswith("--") and name.startswith(word)]


def checked(convert: Callable[[str], T]) -> Callable[[str], T]:
    """Turn a converter's ``ValueError`` and its words into argparse's message and exit code 2."""

    def converter(text: str) -> T:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return converter


def count(text: str) -> int:
    """Read a whole number of at least 1; ``ValueError`` otherwise."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def conflict(message: str) -> UsageError:
    """Return the error for options that do not go together."""
    return UsageError(f"{message}\n\n`nextstrain build --help` explains every option.")
