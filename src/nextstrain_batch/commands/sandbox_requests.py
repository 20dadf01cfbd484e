"""``nextstrain sandbox requests``: who asked what of the embedded AWS, and with what outcome."""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nextstrain_batch.arguments import Subparsers
    from nextstrain_batch.sandbox.journal import Entry, Total

HELP = "Show the requests that were made: caller, action, resource, bytes, status, time."

DESCRIPTION = """\
Shows the requests that were made to the sandbox, oldest first: when, by whom, for what, the bytes
of both bodies, the HTTP status and the milliseconds it took. The journal goes on when the sandbox
is stopped and started; it keeps the last 20,000 requests or more.
"""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def register(actions: Subparsers) -> None:
    """Add the action."""
    parser = actions.add_parser("requests", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "--since",
        metavar="<when>",
        type=since,
        help="Only requests from then on: 90s, 10m, 2h or 1d ago, or a time such as"
        " 2026-11-23T14:05.",
    )
    parser.add_argument(
        "--summary",
        action="store_true",
        help="Show how often each caller made each kind of request, and what it came to.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON: one object on each line.")


def run(arguments: argparse.Namespace, home: Path) -> Iterator[str]:
    """Yield the lines that the command prints."""
    from nextstrain_batch.sandbox import journal
    from nextstrain_batch.sandbox.layout import Layout

    entries = journal.read(Layout(home).journal, arguments.since)
    if arguments.summary:
        totals = journal.totals(entries)
        return map(_json, totals) if arguments.json else _table(totals)
    return map(_json if arguments.json else _line, entries)


def since(text: str, now: float | None = None) -> float:
    """Return the seconds since 1970 that an age or a local time means."""
    age = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if age:
        return (time.time() if now is None else now) - float(age[1]) * _UNITS[age[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither an age such as 10m nor a time such as 2026-11-23T14:05"
        ) from None


def _json(found: Entry | Total) -> str:
    import json  # here: every `sandbox --help` would pay for it

    return json.dumps(asdict(found))


def _line(entry: Entry) -> str:
    when = datetime.fromisoformat(entry.time).astimezone()
    size = f"{entry.bytes_in}/{entry.bytes_out}"
    outcome = f"{entry.status} {entry.error}" if entry.error else f"{entry.status}"
    return (
        f"{when:%H:%M:%S}.{when.microsecond // 1000:03d} {_short(entry.caller)}"
        f" {entry.service}:{entry.operation} {entry.resource} {size} bytes"
        f" {outcome} {entry.seconds * 1000:.1f} ms"
    )


def _table(totals: tuple[Total, ...]) -> Iterator[str]:
    yield f"{'calls':>7} {'failed':>7} {'bytes in':>12} {'bytes out':>12} {'mean ms':>8}"
    caller = None
    for each in totals:
        if each.caller != caller:
            caller = each.caller
            yield f"{_short(caller)}:"
        mean = each.seconds * 1000 / each.calls
        yield (
            f"{each.calls:7} {each.failed:7} {each.bytes_in:12} {each.bytes_out:12} {mean:8.1f}"
            f" {each.service}:{each.operation}"
        )


def _short(caller: str) -> str:
    return caller.rpartition(":")[2] or "(nobody)"
