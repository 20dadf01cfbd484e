"""``nextstrain setup aws-batch``: makes an AWS account ready for builds.

    choices     options, a file, earlier choices, answers on a terminal → what is desired
    plan        what is desired minus what is there, by reading only
    show        the plan in words
    consent     on a terminal, or --yes
    execute     the plan
    remember    settings and choices, so that the first build and the next setup know them

``--destroy`` makes another plan, ``--export`` prints what is desired in another form.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from nextstrain_batch.commands import setup_options

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from nextstrain_batch.account.options import Options
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.account.plan import Plan, Step
    from nextstrain_batch.account.resources import Account
    from nextstrain_batch.arguments import Subparsers
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.commands.setup_questions import Questions
    from nextstrain_batch.config import Settings
    from nextstrain_batch.ui import Ui

NOT_DONE = 1


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "setup", help="Make an AWS account ready.", description=setup_options.DESCRIPTION
    )
    setup_options.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Set the account up, remove it, or print it; return the exit code.

    Raises ``UserError`` for what cannot be done.
    """
    from nextstrain_batch import batch_settings, ui
    from nextstrain_batch.config import Settings
    from nextstrain_batch.errors import AccessDeniedError

    _check(arguments)
    settings = Settings.load(os.environ)
    given = batch_settings.Given(
        job=arguments.aws_batch_job,
        queue=arguments.aws_batch_queue,
        bucket=arguments.bucket,
        sandbox=arguments.sandbox,
    )
    batch = batch_settings.resolve(settings, given)
    shown = ui.for_process(os.environ)
    if arguments.export:
        return _export(arguments, batch, settings)
    try:
        return _set_up(arguments, batch, settings, shown)
    except AccessDeniedError as error:
        raise AccessDeniedError(f"{error}\n\n{_ADMINISTRATORS}", error.action) from error


_ADMINISTRATORS = """\
This command takes an administrator's credentials (AWS_PROFILE names others than these). With
`--export cloudformation` or `--export policies` it prints what an administrator can set up."""


def _check(arguments: Namespace) -> None:
    from nextstrain_batch.errors import UsageError

    if arguments.delete_data and not arguments.destroy:
        raise UsageError("--delete-data goes with --destroy.")
    if arguments.destroy and arguments.export:
        raise UsageError("--destroy and --export contradict each other.")


def _export(arguments: Namespace, batch: BatchSettings, settings: Settings) -> int:
    from nextstrain_batch.account import resources, template

    found = setup_options.choices(arguments, _memory(settings, batch))
    account = resources.account(setup_options.options(found, batch, arguments))
    render = (
        template.cloudformation if arguments.export == "cloudformation" else template.permissions
    )
    sys.stdout.write(render(account))
    return 0


def _set_up(arguments: Namespace, batch: BatchSettings, settings: Settings, ui: Ui) -> int:
    from nextstrain_batch.account import apply, plan, resources, show

    place = _place(arguments, batch, settings, ui)
    options = _options(arguments, batch, settings, place, ui)
    wanted = resources.everything if arguments.destroy else resources.account
    account = wanted(options)
    ui.stage(f"AWS account {place.account}, region {place.region}, as {place.caller}")
    planned = (
        plan.destruction(account, place, delete_data=arguments.delete_data)
        if arguments.destroy
        else plan.plan(account, place)
    )
    for line in show.lines(planned):
        ui.say(line)
    ui.say(show.summary(planned))
    if arguments.dry_run:
        return 0
    agreed = _agreed(arguments, planned, ui)
    if agreed is None:
        return NOT_DONE
    apply.execute(agreed, place, progress=lambda step: _tell(step, ui))
    if arguments.destroy:
        return 0
    _remember(arguments, options, account, batch, settings, place, ui)
    return 0


def _place(arguments: Namespace, batch: BatchSettings, settings: Settings, ui: Ui) -> Place:
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.aws import Aws, Credentials

    if batch.sandbox.value:
        from nextstrain_batch.sandbox import manager

        end = manager.administrator(settings.home)
        keys = Credentials(end.access_key, end.secret_key)
        aws = Aws(endpoint=end.url, region=end.region, credentials=keys)
    else:
        aws = Aws(region=arguments.region or batch.region.value)
    return Place(aws.client, aws.region, tell=lambda text: ui.say(f"      … {text}"))


def _options(
    arguments: Namespace, batch: BatchSettings, settings: Settings, place: Place, ui: Ui
) -> Options:
    """Return what is desired, having asked for what is open where somebody can answer."""
    from nextstrain_batch.aws_errors import explaining

    with explaining("ask AWS who you are", place.region):
        account = place.account
    remembered = _memory(settings, batch)
    found = setup_options.choices(arguments, remembered)
    if batch.sandbox.value:
        found = {"max_vcpus": 64, "region": place.region, **found}
    known = remembered.exists() or arguments.file or batch.sandbox.value or arguments.destroy
    if not known and not arguments.yes and _can_ask():
        bucket = batch.bucket.value.bucket if batch.bucket else None
        if arguments.bucket:
            found["bucket"] = arguments.bucket
        found = _questions(ui).choices(found, bucket=bucket, account=account)
    return setup_options.options(found, batch, arguments)


def _agreed(arguments: Namespace, planned: Plan, ui: Ui) -> Plan | None:
    """Return what of the plan is to be done; None for nothing."""
    if arguments.keep_existing:
        planned = planned.without(*(step for step in planned.work if step.found is not None))
    if not planned.work or arguments.yes:
        return planned
    if not _can_ask():
        ui.error(
            "Nothing was changed: there is no terminal to ask on. --yes goes on without asking."
        )
        return None
    agreed = _questions(ui).consent(planned, removes=arguments.destroy)
    if agreed is None:
        ui.say("Nothing was changed.")
    return agreed


def _questions(ui: Ui) -> Questions:
    from nextstrain_batch.commands.setup_questions import Questions
    from nextstrain_batch.ui import ask

    return Questions(ask, ui.say)


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _tell(step: Step, ui: Ui) -> None:
    words = {"make": "Making", "change": "Changing", "remove": "Removing"}
    ui.say(f"  {words[step.action.value]} the {step.title}")


def _memory(settings: Settings, batch: BatchSettings) -> Path:
    """Return where the choices for a bucket's account are kept."""
    if batch.sandbox.value:
        from nextstrain_batch.sandbox.layout import Layout

        return Layout(settings.home).setup_file
    return _kept(settings, batch.bucket.value.bucket if batch.bucket else "none")


def _kept(settings: Settings, bucket: str) -> Path:
    return settings.home / "aws-batch" / "setup" / f"{bucket}.toml"


def _remember(
    arguments: Namespace,
    options: Options,
    account: Account,
    batch: BatchSettings,
    settings: Settings,
    place: Place,
    ui: Ui,
) -> None:
    """Keep the settings that builds need, and the choices, and say what comes next."""
    from nextstrain_batch import atomic, config_edit
    from nextstrain_batch.account.options import to_toml
    from nextstrain_batch.commands import setup_settings

    if batch.sandbox.value:
        atomic.write(_memory(settings, batch), to_toml(options).encode())
        _let_the_user_in(account, place, settings)
        tags = " --aws-batch-tag-jobs" if options.tags_jobs else ""
        ui.say(f"\nTry it: nextstrain build --aws-batch --sandbox{tags} <directory>")
        return
    kept, path = _kept(settings, options.bucket), settings.file.path
    atomic.write(kept, to_toml(options).encode())
    changed = setup_settings.keep(path, options, batch, settings)
    if arguments.set_default:
        changed |= config_edit.update(path, "core", {"runner": "aws-batch"})
    ui.say(f"\nThe settings for builds are in {path}{'' if changed else ', as before'}.")
    ui.say(f"The choices made here are in {kept}, for --file on other computers.")
    if options.region != batch.region.value:
        ui.warn(
            f"builds look in the region {batch.region.value} ({batch.region.source})."
            f" Set AWS_DEFAULT_REGION={options.region}."
        )
    ui.say(f"\n{setup_settings.for_others(options)}")
    ui.say(
        f"\nNext: add people to the group {account.group.name}, `nextstrain check-setup`, and\n"
        "nextstrain build --aws-batch <directory>"
    )


def _let_the_user_in(account: Account, place: Place, settings: Settings) -> None:
    """Put the sandbox's user into the group, which may be a new one."""
    from nextstrain_batch.sandbox import manager, member

    manager.ensure(settings.home)
    place.client("iam").add_user_to_group(GroupName=account.group.name, UserName=member.USER)
