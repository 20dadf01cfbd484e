"""Writes ``docs/reference/commands.md`` from the command-line parser.

    python docs/generate_reference.py           # write it
    python docs/generate_reference.py --check   # fail if it differs

The parser's structure is read, not its help's layout, which differs between Python versions.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from nextstrain_batch import cli

PAGE = Path(__file__).parent / "reference" / "commands.md"

INTRODUCTION = """\
# Commands

<!-- Written by docs/generate_reference.py from the parser: change the help there, not here. -->

Options may be shortened as far as they stay unambiguous, and take their value as the next word or
after `=`. Each command explains itself with `--help`. [Settings](settings.md) says where an
option's value comes from when it is not given.
"""


def page() -> str:
    """Return the page's text."""
    return "\n".join([INTRODUCTION, *_sections(cli.make_parser(), ("nextstrain",))]).rstrip() + "\n"


def _sections(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a command, then those of its subcommands."""
    yield f"{'#' * (len(words) + 1)} `{' '.join(words)}`\n"
    yield f"```\n{_usage(parser, words)}\n```\n"
    if parser.description:
        yield f"{_text(parser.description)}\n"
    subcommands = None
    for group in parser._action_groups:  # noqa: SLF001 (argparse has no public way)
        shown = [a for a in group._group_actions if _is_shown(a)]  # noqa: SLF001
        found = [a for a in shown if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001
        subcommands = found[0] if found else subcommands
        if rows := [_row(action) for action in shown if action not in found]:
            yield f"| {_title(group.title)} | |\n|---|---|"
            yield from rows
            yield ""
    for name, subparser in subcommands.choices.items() if subcommands else ():
        yield from _sections(subparser, (*words, name))


def _is_shown(action: argparse.Action) -> bool:
    return action.help != argparse.SUPPRESS and action.dest != "help"


def _usage(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> str:
    """Return one line: argparse's own is wrapped differently by each Python version."""
    if parser.usage:
        return parser.usage
    parts = list(words)
    optional = [a for a in parser._actions if a.option_strings and a.dest != "help"]  # noqa: SLF001
    if optional:
        parts.append("[options]")
    parts += [_name(action) for action in parser._actions if not action.option_strings]  # noqa: SLF001
    return " ".join(parts)


def _title(title: str | None) -> str:
    name = {"positional arguments": "arguments"}.get(title or "", title or "")
    return _as_code(name[:1].upper() + name[1:])


def _name(action: argparse.Action) -> str:
    name = action.metavar or f"<{action.dest}>"
    text = name if isinstance(name, str) else " ".join(name)
    return {"?": f"[{text}]", "*": f"[{text} ...]", "...": "..."}.get(str(action.nargs), text)


def _row(action: argparse.Action) -> str:
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {_name(action)}"
        names = ", ".join(f"`{option}{value}`" for option in action.option_strings)
    else:
        names = f"`{_name(action)}`"
    return f"| {names} | {_text(action.help or '')} |".replace("||", "\\|\\|")


def _text(text: str) -> str:
    """Return a help text as Markdown: one line a paragraph, what looks like markup as code."""
    paragraphs = text.strip("\n").split("\n\n")
    written = [p if p.startswith("    ") else _as_code(" ".join(p.split())) for p in paragraphs]
    return "\n\n".join(written).replace("%%", "%")


def _as_code(text: str) -> str:
    """Put options, placeholders and patterns into backquotes, except where they are already."""
    parts = re.split(r"(`[^`]*`)", text)
    words = r"(?<![\w`-])(--[a-z][\w-]*(?: '[^']*')?|<[\w-]+>|\*\*?|\{a,b\}|\[ab\]|@\(a\|b\))"
    return "".join(p if p.startswith("`") else re.sub(words, r"`\1`", p) for p in parts).replace(
        "|", "\\|"
    )


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit code."""
    if arguments == ["--check"]:
        if PAGE.read_text() == page():
            return 0
        sys.stderr.write(f"{PAGE} is out of date: run `python docs/generate_reference.py`.\n")
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
