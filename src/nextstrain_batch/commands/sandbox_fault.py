"""``nextstrain sandbox fault``: break the embedded AWS on purpose."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from nextstrain_batch.arguments import Parser, Subparsers

# As ``sandbox.faults.KINDS``, which must not be imported for a help text; a test compares them.
KINDS = (
    "throttle",
    "error",
    "delay",
    "cut",
    "expire",
    "skew",
    "plain-http",
    "kill-agent",
    "reclaim-host",
    "fill-disk",
    "lose-log",
    "delay-log",
    "reorder-log",
)

DESCRIPTION = """\
Breaks the embedded AWS on purpose, to see what a build does when AWS is not well.

A fault stays until it is cleared, or the sandbox stops. How often each one has struck is counted.
"""

ADD = """\
Puts a fault in force and prints its id. Without further options it strikes whatever it meets;
kill-agent and reclaim-host strike once. For example:

    nextstrain sandbox fault add throttle --api DescribeJobs --times 3

    nextstrain sandbox fault add cut --api GetObject --key '*packs/*' --times 1

    nextstrain sandbox fault add reclaim-host --seconds 5

`docs/how-to/break-things.md` shows most kinds in use.
"""


def register(actions: Subparsers) -> None:
    """Add ``fault`` and its own actions."""
    parser = actions.add_parser(
        "fault", help="Break it on purpose: faults of services and jobs.", description=DESCRIPTION
    )
    own = parser.add_subparsers(title="actions", metavar="<what>", dest="what", required=True)
    summary = "Put a fault in force."
    _add_options(own.add_parser("add", help=summary, description=ADD))
    summary = "Show the faults in force, and how often each has struck."
    own.add_parser("list", help=summary, description=summary)
    summary = "Take one fault, or all, out of force."
    clear = own.add_parser("clear", help=summary, description=summary)
    clear.add_argument("id", nargs="?", metavar="<id>", help="The fault; all when not given.")


def run(arguments: Namespace, home: Path) -> int:
    """Do what the action says. Raises ``SandboxError``."""
    from nextstrain_batch.sandbox.breaking import Breaking

    breaking = Breaking(home)
    match arguments.what:
        case "add":
            _say(breaking.add(arguments.kind, **_values(arguments)).id)
        case "list":
            for each in breaking.all():
                _say(shown(each))
        case _:
            count = breaking.clear(arguments.id)
            _say(f"{count} fault{'' if count == 1 else 's'} cleared.")
    return 0


def shown(fault: dict[str, Any]) -> str:
    """Return a fault as one line."""
    from nextstrain_batch.sandbox.faults import Fault

    default = vars(Fault.of({"kind": fault["kind"], "size": 4 * 1024**2}))
    chosen = " ".join(
        f"--{name} {fault[name]}"
        for name in default
        if name != "kind" and fault[name] is not None and fault[name] != default[name]
    )
    state = "spent" if fault["is_spent"] else "in force"
    counts = f"struck {fault['struck']} of {fault['met']}, {state}"
    return f"{fault['id']}  {fault['kind']} {chosen}".rstrip() + f": {counts}"


def _add_options(parser: Parser) -> None:
    parser.add_argument("kind", choices=KINDS, metavar="<kind>", help=f"One of {_listed(KINDS)}.")
    meets = parser.add_argument_group("what it meets")
    meets.add_argument(
        "--api", metavar="<pattern>", help="Operations, such as s3:Put* or ListJobs."
    )
    meets.add_argument("--key", metavar="<pattern>", help="Requests that name such an S3 key.")
    meets.add_argument(
        "--caller", choices=("any", "user", "job"), help="Requests of users or jobs."
    )
    meets.add_argument("--job", metavar="<pattern>", help="Jobs with such a name or id.")
    meets.add_argument("--line", metavar="<pattern>", help="Lines that jobs print.")
    when = parser.add_argument_group("when it strikes")
    when.add_argument("--after", type=int, metavar="<n>", help="Spare the first <n>.")
    when.add_argument("--every", type=int, metavar="<n>", help="Strike each <n>th only.")
    when.add_argument("--times", type=int, metavar="<n>", help="Strike <n> times at most.")
    when.add_argument("--lasting", type=float, metavar="<seconds>", help="Strike for so long.")
    how = parser.add_argument_group("what it does")
    how.add_argument("--status", type=int, metavar="<status>", help="error: 500, 502, 503 or 504.")
    how.add_argument(
        "--seconds",
        type=float,
        metavar="<seconds>",
        help="delay, delay-log: how late. reclaim-host: how long the notice is; 120 when not "
        "given. skew: how far ahead the service's clock is. kill-agent: how much later.",
    )
    how.add_argument(
        "--size",
        type=_size,
        metavar="<bytes>",
        help="fill-disk: how big the disk is. cut: after how much; half when not given.",
    )
    how.add_argument("--way", choices=("answer", "request"), help="cut: what is cut.")


def _values(arguments: Namespace) -> dict[str, Any]:
    of_what = ("api", "key", "caller", "job", "line")
    of_when = ("after", "every", "times", "lasting")
    of_how = ("status", "seconds", "size", "way")
    given = {name: getattr(arguments, name) for name in (*of_what, *of_when, *of_how)}
    return {name: value for name, value in given.items() if value is not None}


def _size(text: str) -> int:
    from nextstrain_batch.quantities import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
