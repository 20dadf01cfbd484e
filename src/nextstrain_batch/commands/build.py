"""``nextstrain build``: runs a pathogen build, in place or on AWS Batch.

The one path, in order; ``--attach`` enters it at ``watch``:

    find        directory → build root, working directory
    gather      the files that travel, and what of them is not in the bucket yet
    send        that
    record      the run, written down before its job exists
    launch      the job
    watch       its states and its log, until it is over
    outcome     the build's own exit code
    bring_back  the new and changed files

A runtime that works in place takes over after ``find``; ``--dry-run`` shows the plan, and ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nextstrain_batch.commands import build_options

if TYPE_CHECKING:
    from argparse import Namespace

    from nextstrain_batch.arguments import Subparsers
    from nextstrain_batch.commands.build_report import Report
    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.aws_batch import AwsBatch, Launched
    from nextstrain_batch.runtimes.options import BuildOptions
    from nextstrain_batch.snakemake import Command

INTERRUPTED = 130


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "build",
        help="Run a pathogen build.",
        usage="nextstrain build [options] <directory> [<argument> ...]",
        description=build_options.DESCRIPTION,
        program_arguments=True,
    )
    build_options.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Run the build and return its exit code."""
    from nextstrain_batch import ui
    from nextstrain_batch.commands.build_report import Report
    from nextstrain_batch.config import Settings
    from nextstrain_batch.pathogen import find
    from nextstrain_batch.runtimes import base

    settings = Settings.load(os.environ)
    options = build_options.read(arguments, settings)
    report = Report(ui.for_process(os.environ), options)
    pathogen = find(options.directory) if options.directory is not None else None
    local = base.in_place(options.runtime)
    if local is not None:
        assert pathogen is not None
        words = program(options, report)
        return local.run(base.Invocation(pathogen, words, options.environment))

    from nextstrain_batch.runtimes.aws_batch import AwsBatch

    assert options.batch is not None
    batch = AwsBatch.connect(options.batch, settings.home, report.ui)
    if options.dry_run:
        assert pathogen is not None
        return _show_plan(batch, pathogen, options, report)
    if options.attach:
        launched = batch.attach(options.attach)
        report.attached(launched)
    else:
        assert pathogen is not None
        launched = _launch(batch, pathogen, options, report)
    if options.detach:
        report.detached(batch.attach_command(launched, options.directory))
        return 0
    return _follow(batch, launched, pathogen, options, report)


def program(options: BuildOptions, report: Report) -> tuple[str, ...]:
    """Return the command that runs inside the build's directory."""
    from nextstrain_batch import snakemake

    command: Command = (
        snakemake.command(
            options.arguments,
            cpus=options.cpus,
            memory=options.memory,
            stores_remotely=options.batch is not None,
        )
        if options.is_snakemake
        else snakemake.other(options.program, options.arguments)
    )
    for warning in (*options.warnings, *command.warnings):
        report.ui.warn(warning)
    return command.words


def _show_plan(batch: AwsBatch, pathogen: Pathogen, options: BuildOptions, report: Report) -> int:
    """Tell what would be done."""
    from nextstrain_batch.commands import build_plan

    words = program(options, report)
    gathered = batch.gather(pathogen, options.exclude_from_upload, dry_run=True)
    build_plan.show(gathered.plan, gathered.left_out, report.ui)
    build_plan.show_job(pathogen, words, options, report.ui)
    return 0


def _launch(batch: AwsBatch, pathogen: Pathogen, options: BuildOptions, report: Report) -> Launched:
    """Send the files and submit the job."""
    words = program(options, report)
    gathered = batch.gather(pathogen, options.exclude_from_upload)
    report.sending(pathogen, gathered.plan.snapshot)
    uploaded = batch.send(gathered.plan)
    report.sent(uploaded)
    run = batch.record(pathogen, words, uploaded, options)
    launched = batch.launch(run, pathogen.directory)
    report.launched(launched, batch.attach_command(launched, options.directory))
    return launched


def _follow(
    batch: AwsBatch,
    launched: Launched,
    pathogen: Pathogen | None,
    options: BuildOptions,
    report: Report,
) -> int:
    """Watch the job to its end, bring its results back and return the build's exit code."""
    from nextstrain_batch.interrupts import Detach, StopWaiting
    from nextstrain_batch.watch import leading_back

    interrupts = batch.interrupts(launched, detach_on_interrupt=options.detach_on_interrupt)
    again = batch.attach_command(launched, options.directory)
    try:
        for event in batch.watch(launched, interrupts, again, cancel=options.cancel):
            report.event(event, interrupts)
    except Detach:
        report.detached(again)
        return 0
    except StopWaiting:
        report.left_ending(again)
        return INTERRUPTED
    with leading_back(again, "What the job has stored stays in the bucket."):
        outcome = batch.outcome(launched, report.job)
        report.ended(outcome)
        if options.download and pathogen is not None:
            downloaded = batch.bring_back(launched, outcome, pathogen, options.download)
            report.brought_back(downloaded, pathogen)
    return outcome.exit_code
