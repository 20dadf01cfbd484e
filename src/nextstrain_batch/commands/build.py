"""``nextstrain build``: runs a pathogen build, in place or on AWS Batch.

The one path, in order; ``--attach`` enters it at ``watch``:

    find        directory → build root, working directory
    gather      the files that travel, and what of them is not in the bucket yet
    send        that
    record      the run, written down before its job exists
    launch      the job
    watch       its states and its log, until it is over
    end         the build's own exit code
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
    from nextstrain_batch.runtimes.aws_batch.context import Batch, Launched
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

    from nextstrain_batch.runtimes.aws_batch.context import Batch, attach_command

    assert options.batch is not None
    batch = Batch.connect(options.batch, settings.home, report.ui)
    if options.dry_run:
        assert pathogen is not None
        return _show_plan(batch, pathogen, options, report)
    launched = _attach(batch, options.attach, report) if options.attach else None
    if launched is None:
        assert pathogen is not None
        launched = _launch(batch, pathogen, options, report)
    if options.detach:
        report.detached(attach_command(batch, launched.job_id, options.directory))
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


def _show_plan(batch: Batch, pathogen: Pathogen, options: BuildOptions, report: Report) -> int:
    """Tell what would be done."""
    from nextstrain_batch.commands import build_plan
    from nextstrain_batch.runtimes.aws_batch import gathering

    words = program(options, report)
    gathered = gathering.gather(batch, pathogen, options.exclude_from_upload, dry_run=True)
    build_plan.show(gathered.plan, gathered.left_out, report.ui)
    build_plan.show_job(pathogen, words, options, report.ui)
    return 0


def _launch(batch: Batch, pathogen: Pathogen, options: BuildOptions, report: Report) -> Launched:
    """Send the files and submit the job."""
    from nextstrain_batch.runtimes.aws_batch import gathering
    from nextstrain_batch.runtimes.aws_batch.context import attach_command

    words = program(options, report)
    gathered = gathering.gather(batch, pathogen, options.exclude_from_upload)
    report.sending(pathogen, gathered.plan.snapshot)
    uploaded = gathering.send(batch, gathered.plan)
    report.sent(uploaded)

    # Imported when the files are there already, and what follows the job when that is queued.
    from nextstrain_batch.runtimes.aws_batch import launching

    run = launching.record(batch, pathogen, words, uploaded, options)
    launched = launching.launch(batch, run, pathogen.directory)
    report.launched(launched, attach_command(batch, launched.job_id, options.directory))
    return launched


def _attach(batch: Batch, job_id: str, report: Report) -> Launched:
    """Take up a job that exists."""
    from nextstrain_batch.runtimes.aws_batch import launching

    launched = launching.attach(batch, job_id)
    report.attached(launched)
    return launched


def _follow(
    batch: Batch,
    launched: Launched,
    pathogen: Pathogen | None,
    options: BuildOptions,
    report: Report,
) -> int:
    """Watch the job to its end, bring its results back and return the build's exit code."""
    from nextstrain_batch.interrupts import Detach, StopWaiting
    from nextstrain_batch.runtimes.aws_batch import following
    from nextstrain_batch.runtimes.aws_batch.context import attach_command
    from nextstrain_batch.watch import leading_back

    interrupts = following.interrupts_of(
        batch, launched, detach_on_interrupt=options.detach_on_interrupt
    )
    again = attach_command(batch, launched.job_id, options.directory)
    try:
        for event in following.watch(batch, launched, interrupts, again, cancel=options.cancel):
            report.event(event, interrupts)
    except Detach:
        report.detached(again)
        return 0
    except StopWaiting:
        report.left_ending(again)
        return INTERRUPTED
    with leading_back(again, "What the job has stored stays in the bucket."):
        outcome = following.end(batch, launched, report.job)
        report.ended(outcome)
        if options.download and pathogen is not None:
            downloaded = following.bring_back(batch, launched, outcome, pathogen, options.download)
            report.brought_back(downloaded, pathogen)
    return outcome.exit_code
