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
from typing import TYPE_CHECKING, Any

from nextstrain_batch.commands import setup_options

if TYPE_CHECKING:
    from argparse import Namespace

    from nextstrain_batch.account.options import Options
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.account.plan import Plan, Step
    from nextstrain_batch.arguments import Subparsers
    from nextstrain_batch.commands.setup_choices import Asked
    from nextstrain_batch.commands.setup_questions import Questions
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
    from dataclasses import replace

    from nextstrain_batch import batch_settings, ui
    from nextstrain_batch.commands.setup_choices import Asked
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
    asked = Asked(arguments, batch_settings.resolve(settings, given), settings)
    if arguments.export:
        return _export(asked)
    try:
        there = replace(asked, local_endpoint=_local_endpoint(asked))
        return _set_up(there, ui.for_process(os.environ))
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


def _export(asked: Asked) -> int:
    from nextstrain_batch.account import resources, template
    from nextstrain_batch.commands import setup_choices

    account = resources.account(setup_choices.options(setup_choices.find(asked), asked))
    as_template = asked.arguments.export == "cloudformation"
    render = template.cloudformation if as_template else template.permissions
    sys.stdout.write(render(account))
    return 0


def _set_up(asked: Asked, ui: Ui) -> int:
    from nextstrain_batch.account import apply, show
    from nextstrain_batch.commands import setup_choices, setup_settings

    found = setup_choices.find(asked)
    place = _place(asked, found["region"], ui)
    options = _options(found, asked, place, ui)
    ui.stage(f"AWS account {place.account}, region {place.region}, as {place.caller}")
    planned = _plan(asked, options, place)
    for line in show.lines(planned):
        ui.say(line)
    ui.say(show.summary(planned))
    if asked.arguments.dry_run:
        return 0
    agreed = _agreed(asked.arguments, planned, ui)
    if agreed is None:
        return NOT_DONE
    apply.execute(agreed, place, progress=lambda step: _tell(step, ui))
    if not asked.arguments.destroy:
        setup_settings.remember(options, asked, place, ui)
    return 0


def _local_endpoint(asked: Asked) -> str | None:
    """Return where AWS is asked if that is on this computer, but not by ``--sandbox``."""
    from nextstrain_batch.aws import Aws

    if asked.batch.sandbox.value:
        return None
    return Aws(region=asked.arguments.region or asked.batch.region.value).local_endpoint


def _place(asked: Asked, region: str, ui: Ui) -> Place:
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.aws import Aws, Credentials

    if asked.batch.sandbox.value:
        from nextstrain_batch.sandbox import manager

        # Builds look for its account in its own region, whichever one is chosen.
        end = manager.administrator(asked.settings.home)
        keys = Credentials(end.access_key, end.secret_key)
        aws = Aws(endpoint=end.url, region=end.region, credentials=keys)
    else:
        aws = Aws(region=region)
    return Place(aws.client, aws.region, tell=lambda text: ui.say(f"      … {text}"))


def _options(found: dict[str, Any], asked: Asked, place: Place, ui: Ui) -> Options:
    """Return what is desired there, having asked for what is open where somebody can answer."""
    from nextstrain_batch.aws_errors import explaining
    from nextstrain_batch.commands import setup_choices

    with explaining("ask AWS who you are", place.region):
        account = place.account
    chosen = {**found, "region": place.region}
    if asked.batch.sandbox.value:
        chosen = {"max_vcpus": 64, **chosen}
    if setup_choices.is_open(asked) and not asked.arguments.yes and _can_ask():
        bucket = setup_choices.set_bucket(asked)
        chosen = _questions(ui).choices(chosen, bucket=bucket, account=account)
    return setup_choices.options(chosen, asked)


def _plan(asked: Asked, options: Options, place: Place) -> Plan:
    from nextstrain_batch.account import plan, resources

    if asked.arguments.destroy:
        account = resources.everything(options)
        return plan.destruction(account, place, delete_data=asked.arguments.delete_data)
    return plan.plan(resources.account(options), place)


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
