"""``nextstrain storage``: what the bucket holds, and removing what nothing refers to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nextstrain_batch.arguments import checked
from nextstrain_batch.commands import aws_options

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from nextstrain_batch.arguments import Parser, Subparsers
    from nextstrain_batch.aws import Aws
    from nextstrain_batch.store.transport import Transport
    from nextstrain_batch.ui import Ui

DESCRIPTION = """\
Looks after the bucket that builds are sent through. Everything in it expires by itself, usually 30
days after it was written; this shows what it holds, and makes room earlier.
"""

PRUNE = """\
Removes what nothing refers to: packs of files that no run needs, runs whose manifests are gone,
environment values of runs that are over, and job-side programs that no run needs. With
--older-than, finished runs of that age go, too, with their results and logs, whoever started them.

It is safe while others build: what is younger than a day is left alone, and so are jobs that wait
or run, and objects that this program did not make. It shows what it will remove and asks.
"""


_MOST_DAYS = 100_000
_CUT_SHORT = (
    "Nothing else is removed; run the same command again to go on. For an hour at most, builds that"
    " rely on older packs wait."
)


def register(subparsers: Subparsers) -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser(
        "storage", help="Show and tidy what the bucket holds.", description=DESCRIPTION
    )
    actions = parser.add_subparsers(
        title="actions", metavar="<action>", dest="action", required=True
    )
    text = "Show what the bucket holds, by run and by user."
    usage = actions.add_parser("usage", help=text, description=text)
    usage.add_argument("--json", action="store_true", help="As JSON, for programs.")
    _add_aws(usage)
    text = "Remove what nothing refers to."
    prune = actions.add_parser("prune", help=text, description=PRUNE)
    prune.add_argument("--dry-run", action="store_true", help="Only show what would be removed.")
    prune.add_argument(
        "--older-than",
        metavar="<days>",
        type=checked(_days),
        help="Also remove finished runs that were started so many days ago or earlier.",
    )
    prune.add_argument("--yes", action="store_true", help="Do not ask.")
    _add_aws(prune)
    parser.set_defaults(run=run)


def _add_aws(parser: Parser) -> None:
    group = parser.add_argument_group("which bucket")
    aws_options.add_bucket(group)
    aws_options.add_sandbox(group)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number of days")
    if int(text) > _MOST_DAYS:
        raise ValueError(f"{text} days are more than anything has been kept for")
    return int(text)


def run(arguments: Namespace) -> int:
    """Do what the action says."""
    from nextstrain_batch import ui
    from nextstrain_batch.config import Settings
    from nextstrain_batch.connection import connect

    settings = Settings.load(os.environ)
    batch = aws_options.bucket_settings(arguments, settings)
    url = batch.required_bucket
    _check(arguments)
    aws = connect(batch, settings.home)
    shown = ui.for_process(os.environ)
    if arguments.action == "usage":
        return _usage(aws.bucket(url), shown, as_json=arguments.json)
    return _prune(arguments, aws, aws.bucket(url), shown)


def _check(arguments: Namespace) -> None:
    """Raise ``UsageError`` where consent is needed and nobody can be asked."""
    import sys

    from nextstrain_batch.errors import UsageError

    if arguments.action != "prune" or arguments.yes or arguments.dry_run:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "Nobody can be asked here whether to remove anything, as this is no terminal.\n\n"
            "Add --yes to remove without being asked, or --dry-run to see what it would be."
        )


def _usage(bucket: Transport, ui: Ui, *, as_json: bool) -> int:
    from nextstrain_batch.commands import storage_report
    from nextstrain_batch.inventory import Surveyor

    usage = storage_report.usage(Surveyor(bucket, _now).take(), bucket.url)
    if as_json:
        ui.say(storage_report.as_json(usage))
    else:
        storage_report.show(usage, ui)
    return 0


def _prune(
    arguments: Namespace,
    aws: Aws,
    bucket: Transport,
    ui: Ui,
) -> int:
    import secrets
    from datetime import timedelta

    from nextstrain_batch import prune, run_ends
    from nextstrain_batch.commands import storage_report
    from nextstrain_batch.interrupts import saying
    from nextstrain_batch.inventory import Surveyor
    from nextstrain_batch.ui import ask

    days = arguments.older_than
    older_than = None if days is None else timedelta(days=days)
    surveyor = Surveyor(bucket, _now)
    inventory = surveyor.take()
    ends = run_ends.ends(inventory, aws.batch)
    if ends.warning:
        ui.warn(ends.warning)
    plan = prune.plan(inventory, ends.ids, older_than)
    storage_report.show_plan(plan, inventory, bucket.url, ui)
    if arguments.dry_run or not plan.objects:
        return 0
    if not arguments.yes and ask("Remove this? [y/N] ").strip().lower() not in {"y", "yes"}:
        ui.say("Nothing was removed.")
        return 0
    with saying(_CUT_SHORT), ui.progress() as progress:
        pruned = prune.execute(
            plan,
            lambda: prune.plan(surveyor.take(), ends.ids, older_than),
            bucket,
            token=secrets.token_hex(8),
            now=_now,
            progress=progress,
        )
    storage_report.show_pruned(pruned, ui)
    return 0


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)
