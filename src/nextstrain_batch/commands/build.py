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
    from nextstrain_batch.interrupts import Interrupts
    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runs import Run
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

    from nextstrain_batch.runtimes.aws_batch.context import Batch

    assert options.batch is not None
    batch = Batch.connect(options.batch, settings.home, report.ui)
    if options.dry_run:
        assert pathogen is not None
        return _show_plan(batch, pathogen, options, report)
    if options.attach:
        launched, left = _attach(batch, options.attach, pathogen, options, report)
    else:
        assert pathogen is not None
        launched, left = _launch(batch, pathogen, options, report)
    if left is not None:
        return left
    return _end(batch, launched, pathogen, options, report)


def program(options: BuildOptions, report: Report) -> tuple[str, ...]:
    """Return the command that runs inside the build's directory; warn of what it will not do."""
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
    exclude = options.exclude_from_upload
    gathered = gathering.gather(batch, pathogen, exclude, program=words, dry_run=True)
    build_plan.show(gathered, report.ui)
    build_plan.show_job(pathogen, words, options, report.ui)
    return 0


def _launch(
    batch: Batch, pathogen: Pathogen, options: BuildOptions, report: Report
) -> tuple[Launched, int | None]:
    """Send the files, submit the job and watch it; see ``_watch``."""
    from nextstrain_batch.runtimes.aws_batch.way_back import WayBack, before_there_is_a_job

    with before_there_is_a_job():
        run = _send(batch, pathogen, options, report)

    from nextstrain_batch.runtimes.aws_batch import launching

    interrupts = launching.interrupts_of(
        batch, lambda: launched.job_id, detach_on_interrupt=options.detach_on_interrupt
    )
    with interrupts.installed():
        with interrupts.submitting():
            launched = launching.launch(batch, run, options.environment, pathogen.directory)
        way_back = WayBack.to(batch, launched.job_id, options.directory)
        with way_back.while_it_runs():
            report.launched(launched, way_back.attach)
        return launched, _watch(batch, launched, interrupts, options, report)


def _send(batch: Batch, pathogen: Pathogen, options: BuildOptions, report: Report) -> Run:
    """Send the files, and write the run down."""
    from nextstrain_batch.runtimes.aws_batch import gathering

    words = program(options, report)
    gathered = gathering.gather(batch, pathogen, options.exclude_from_upload, program=words)
    report.sending(pathogen, gathered)
    uploaded = gathering.send(batch, gathered.plan)
    report.sent(uploaded)

    # Imported when the files are there already, and what follows the job when that is queued.
    from nextstrain_batch.runtimes.aws_batch import launching

    return launching.record(batch, pathogen, words, uploaded, options)


def _attach(
    batch: Batch, name: str, pathogen: Pathogen | None, options: BuildOptions, report: Report
) -> tuple[Launched, int | None]:
    """Take up a job that exists, and watch it; see ``_watch``."""
    from nextstrain_batch.runtimes.aws_batch import attaching, launching

    launched = attaching.attach(batch, name)
    report.attached(launched, pathogen)
    interrupts = launching.interrupts_of(
        batch, lambda: launched.job_id, detach_on_interrupt=options.detach_on_interrupt
    )
    return launched, _watch(batch, launched, interrupts, options, report)


def _watch(
    batch: Batch,
    launched: Launched,
    interrupts: Interrupts,
    options: BuildOptions,
    report: Report,
) -> int | None:
    """Watch the job to its end; return the exit code where it is left before."""
    from nextstrain_batch.interrupts import Detach, StopWaiting
    from nextstrain_batch.runtimes.aws_batch.way_back import WayBack

    way_back = WayBack.to(batch, launched.job_id, options.directory)
    left = way_back.once_it_is_over if launched.is_over else way_back.while_it_runs
    with left():
        if options.detach and interrupts.asked:
            raise KeyboardInterrupt
        if options.detach:
            report.detached(way_back.attach)
            return 0

        from nextstrain_batch.runtimes.aws_batch import following

        try:
            events = following.watch(
                batch, launched, interrupts, cancel=options.cancel, with_logs=options.logs
            )
            for event in events:
                report.event(event, interrupts)
        except Detach:
            report.detached(way_back.attach)
            return 0
        except StopWaiting:
            report.left_ending(way_back.attach)
            return INTERRUPTED
    return None


def _end(
    batch: Batch,
    launched: Launched,
    pathogen: Pathogen | None,
    options: BuildOptions,
    report: Report,
) -> int:
    """Bring the results of a job that is over back, or say how to; return the build's exit code."""
    from nextstrain_batch.runtimes.aws_batch import following
    from nextstrain_batch.runtimes.aws_batch.way_back import WayBack

    way_back = WayBack.to_results(batch, launched, options.directory)
    with way_back.once_it_is_over():
        outcome = following.end(batch, launched, report.job)
        report.ended(outcome)
        if options.download and pathogen is not None:
            downloaded = following.bring_back(batch, launched, outcome, pathogen, options.download)
            report.brought_back(downloaded, pathogen)
        elif outcome.attempts.manifests:
            report.left_there(way_back.fetch)
    return outcome.exit_code
