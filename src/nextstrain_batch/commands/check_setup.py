"""``nextstrain check-setup``: whether the AWS account is ready for builds, part by part."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from nextstrain_batch.account.checks import Finding, Subject
    from nextstrain_batch.arguments import Subparsers
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import Settings
    from nextstrain_batch.ui import Ui

DESCRIPTION = """\
Looks at every part of the AWS account that builds need, with your own credentials: each is ok,
failed, or cannot be told, with what to do about it. Exits 0 unless something failed.

It changes nothing: permissions are simulated where that is allowed, else tried on a job and a log
that do not exist and on one small object in the bucket, which it removes.
"""


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    from nextstrain_batch.arguments import checked, count
    from nextstrain_batch.commands import aws_options
    from nextstrain_batch.quantities import parse_bytes

    parser = subparsers.add_parser(
        "check-setup", help="Tell whether the AWS account is ready.", description=DESCRIPTION
    )
    add = parser.add_argument
    add(
        "runtime",
        metavar="<runtime>",
        nargs="?",
        default="aws-batch",
        choices=["aws-batch"],
        help="What to check: aws-batch, the default.",
    )
    add("--json", action="store_true", help="Print the findings as JSON.")
    add("--canary", action="store_true", help="Also run a tiny job through the whole path.")
    add("--sandbox", action="store_true", default=None, help="Check the embedded AWS.")
    add("--aws-batch-job", metavar="<name>", help="Job definition; default: nextstrain-job.")
    add("--aws-batch-queue", metavar="<name>", help="Job queue; default: nextstrain-job-queue.")
    add(
        "--aws-batch-s3-bucket",
        metavar="<bucket>",
        help="Bucket; default: the one of your settings.",
    )
    aws_options.add_tag_jobs(parser.add_argument_group("jobs"))
    add("--cpus", metavar="<count>", type=checked(count), help="vCPUs of the jobs to check for.")
    add(
        "--memory",
        metavar="<amount>",
        type=checked(parse_bytes),
        help="Memory of the jobs to check for, such as 16gib.",
    )
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Check, print the findings and return 1 if one failed."""
    from nextstrain_batch import batch_settings, ui
    from nextstrain_batch.account.checks import Verdict
    from nextstrain_batch.config import Settings
    from nextstrain_batch.quantities import mebibytes

    settings = Settings.load(os.environ)
    given = batch_settings.Given(
        job=arguments.aws_batch_job,
        queue=arguments.aws_batch_queue,
        bucket=arguments.aws_batch_s3_bucket,
        cpus=arguments.cpus,
        memory_mib=mebibytes(arguments.memory) if arguments.memory else None,
        sandbox=arguments.sandbox,
        tag_jobs=arguments.aws_batch_tag_jobs,
    )
    batch = batch_settings.resolve(settings, given)
    subject = _subject(batch, settings)
    shown = ui.for_process(os.environ)
    found: list[Finding] = []
    for finding in _all(subject, batch, settings, arguments, shown):
        found.append(finding)
        if not arguments.json:
            _show(finding, shown)
    if arguments.json:
        sys.stdout.write(_json(found))
    return int(any(each.verdict is Verdict.FAILED for each in found))


def _all(
    subject: Subject, batch: BatchSettings, settings: Settings, arguments: Namespace, shown: Ui
) -> Iterable[Finding]:
    from nextstrain_batch.account.checks import Verdict, check

    failed = False
    for finding in check(subject):
        failed |= finding.verdict is Verdict.FAILED
        yield finding
    if arguments.canary:
        from nextstrain_batch.commands import canary

        yield canary.run(batch, settings, shown, skip=failed)


def _subject(batch: BatchSettings, settings: Settings) -> Subject:
    from nextstrain_batch.account.checks import Subject
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.aws import Aws, Credentials

    if batch.sandbox.value:
        from nextstrain_batch.sandbox import manager

        member, administrator = manager.ensure(settings.home), manager.administrator(settings.home)
        places = [
            Place(
                Aws(
                    endpoint=each.url,
                    region=each.region,
                    credentials=Credentials(each.access_key, each.secret_key),
                ).client,
                each.region,
            )
            for each in (administrator, member)
        ]
        source = "the sandbox's"
    else:
        aws = Aws(region=batch.region.value)
        places = [Place(aws.client, aws.region)] * 2
        source = str(batch.region.source)
    return Subject(
        place=places[0],
        own=places[1],
        bucket=batch.bucket.value if batch.bucket else None,
        queue=batch.queue.value,
        definition=batch.job.value,
        cpus=batch.cpus.value,
        memory_mib=batch.memory_mib.value,
        region_source=source,
        tag_jobs=batch.tag_jobs.value,
        options="--sandbox" if batch.sandbox.value else "",
    )


def _show(finding: Finding, ui: Ui) -> None:
    ui.say(f"{finding.verdict.value:<13}{finding.part}: {finding.detail}")
    if finding.remedy:
        for line in finding.remedy.splitlines():
            ui.say(f"{'':<13}  {line}")


def _json(found: list[Finding]) -> str:
    import json

    findings = [
        {
            "part": each.part,
            "verdict": each.verdict.value,
            "detail": each.detail,
            "remedy": each.remedy,
        }
        for each in found
    ]
    document = {"format": "nextstrain-batch check-setup", "version": 1, "findings": findings}
    return json.dumps(document, indent=2) + "\n"
