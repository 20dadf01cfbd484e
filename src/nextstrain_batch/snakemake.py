"""The arguments that Snakemake gets besides the user's own.

They stand before the user's, so that those win and targets stay last: Snakemake takes the last of
a repeated option. Whether the user has given an option is read off Snakemake's own rules
(argparse's): abbreviations, values after ``=``, attached to a letter, or in the next word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.quantities import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence


# The first says what the log's lines come from. The second makes an output again that a cut-off run
# left unfinished; without it Snakemake stops, and the user has to send the build once more.
DEFAULTS = ("--printshellcmds", "--rerun-incomplete")

# The shortest beginnings that Snakemake 9 accepts and their full names. What is shorter is
# ambiguous to Snakemake itself and ends in its own message.
_CORES = ("--cor", "--cores")
_JOBS = ("--jobs", "--jobs")
_RESOURCES = ("--res", "--resources")
_STORAGE_PREFIX = ("--local-s", "--local-storage-prefix")
# Letters of options without a value can stand before -c or -j in one word: -npc2. The class holds
# those of Snakemake 9; -s, -d and others take the rest of the word as their value.
_SHORT_CORES = re.compile(r"-[nptkfFlSDa]*([cj])")

SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
"""Where Snakemake looks for the workflow if it is not told."""

# What names the workflow, may name it, or makes it unnecessary.
_NEEDS_NO_SNAKEFILE = (
    ("--sn", "--snakefile"),
    ("--prof", "--profile"),
    ("--wo", "--workflow-profile"),
    ("--he", "--help"),
    ("--vers", "--version"),
)
_SHORT_SNAKEFILE = re.compile(r"-[nptkfFlSDa]*[shv]")


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and what the user should know about how they were made."""

    words: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def command(
    arguments: Sequence[str],
    *,
    cpus: int | None = None,
    memory: int | None = None,
    stores_remotely: bool = False,
) -> Command:
    """Return the Snakemake command for the user's *arguments*.

    *cpus* is ``--cpus`` and *memory* is ``--memory`` in bytes; both are told to Snakemake unless
    the arguments already do. *stores_remotely* says that the build's ``.snakemake`` directory is
    not this computer's.
    """
    warnings: list[str] = []
    cores = _cores(arguments, cpus, warnings)
    words = list(arguments)
    inserted: list[str] = []
    if memory is not None:
        words, inserted = _with_memory(words, max(memory // MIB, 1), warnings)
    if stores_remotely and (prefix := _first(arguments, _STORAGE_PREFIX)):
        warnings.append(
            f"{prefix} moves Snakemake's copies of remote files away from .snakemake/storage/,"
            " so they may not come back with the results."
        )
    return Command(("snakemake", *DEFAULTS, *cores, *inserted, *words), tuple(warnings))


def looks_for_snakefile(arguments: Sequence[str]) -> bool:
    """Tell whether Snakemake, given the user's *arguments*, looks for one of ``SNAKEFILES``."""
    return not any(
        _SHORT_SNAKEFILE.match(word) or any(_names(word, each) for each in _NEEDS_NO_SNAKEFILE)
        for word in _options(arguments)
    )


def other(program: str, arguments: Sequence[str]) -> Command:
    """Return the command of a program that is not Snakemake: it gets nothing of ours."""
    return Command((program, *arguments))


def _cores(arguments: Sequence[str], cpus: int | None, warnings: list[str]) -> list[str]:
    if option := cores_option(arguments):
        if cpus is not None:
            warnings.append(
                f"Snakemake is given {option}, so it is not told about --cpus={cpus};"
                " it may start more or fewer jobs at once than there are CPUs."
            )
        return []
    # Snakemake needs a number; all of them is what most people want.
    return [f"--cores={cpus or 'all'}"]


def cores_option(arguments: Sequence[str]) -> str | None:
    """Return the option by which the arguments say how many cores or jobs, if they do."""
    for word in _options(arguments):
        if match := _SHORT_CORES.match(word):
            return f"-{match.group(1)}"
        if _names(word, _CORES) or _names(word, _JOBS):
            return word.partition("=")[0]
    return None


def _options(arguments: Sequence[str]) -> list[str]:
    """Return the words that are options; after ``--`` there are none."""
    return [word for word in arguments[: _end(arguments)] if word.startswith("-")]


def _end(arguments: Sequence[str]) -> int:
    return list(arguments).index("--") if "--" in arguments else len(arguments)


def _names(word: str, option: tuple[str, str]) -> bool:
    """Whether *word* is the option, or a beginning of it, with or without ``=value``."""
    shortest, full = option
    name = word.partition("=")[0]
    return name.startswith(shortest) and full.startswith(name)


def _first(arguments: Sequence[str], option: tuple[str, str]) -> str | None:
    found = (word for word in _options(arguments) if _names(word, option))
    return next((word.partition("=")[0] for word in found), None)


def _with_memory(words: list[str], mem_mb: int, warnings: list[str]) -> tuple[list[str], list[str]]:
    """Return the user's words, changed where they must be, and the words to put before them."""
    resource = f"mem_mb={mem_mb}"
    span = _resources_span(words)
    if span is None:
        # One word, so that a target that follows is not taken for another resource.
        return words, [f"--resources={resource}"]
    start, end = span
    values = [words[start].partition("=")[2], *words[start + 1 : end]]
    if any(value.partition("=")[0] == "mem_mb" for value in values):
        warnings.append(
            "Snakemake is given the resource mem_mb, so it is not told about --memory;"
            " it may run more or fewer jobs at once than fit into the memory."
        )
        return words, []
    # Snakemake takes the last --resources only, so ours goes into the user's. The option after it
    # ends the list, in case a target comes next; it is one of the defaults.
    option = words[start].partition("=")[0]
    merged = [option, *(value for value in values if value), resource, DEFAULTS[0]]
    return [*words[:start], *merged, *words[end:]], []


def _resources_span(words: Sequence[str]) -> tuple[int, int] | None:
    """Return where the last ``--resources`` and its values lie: from, and up to but not with."""
    last = _end(words)
    starts = [index for index, word in enumerate(words[:last]) if _names(word, _RESOURCES)]
    if not starts:
        return None
    end = starts[-1] + 1
    if "=" not in words[starts[-1]]:
        while end < last and not words[end].startswith("-"):
            end += 1
    return starts[-1], end
