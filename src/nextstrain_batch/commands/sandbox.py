"""``nextstrain sandbox``: start, stop, look at, use and wipe the embedded AWS."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from nextstrain_batch.commands import (
    sandbox_fault,
    sandbox_image,
    sandbox_requests,
    sandbox_set,
)

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable
    from pathlib import Path

    from nextstrain_batch.arguments import Subparsers
    from nextstrain_batch.sandbox.manager import Endpoint

DESCRIPTION = """\
Manages the embedded AWS: a small stand-in for S3, AWS Batch and CloudWatch Logs on this computer,
in which jobs run as processes. `nextstrain build --aws-batch --sandbox` starts it by itself.

Everything is kept when it stops, except jobs that are running. Nothing of it is reachable from
other computers, and nothing in it costs money.
"""

ACTIONS = {
    "start": "Start it, unless it runs, and set its account up.",
    "stop": "Stop it. Running jobs fail; the bucket, logs and job history are kept.",
    "status": "Tell whether it runs, and where. Exits 1 when it does not run.",
    "env": "Print shell commands that make the AWS CLI and other tools use it.",
    "reset": "Stop it and forget everything: bucket, jobs, logs, account.",
}

ENV_HELP = """\
Starts the sandbox where needed and prints shell commands that make tools use it. Have them run
with:

    eval "$(nextstrain sandbox env)"

Whoever uses these keys is a member of the users' group: they may launch builds, and no more. Those
of --administrator may do everything, and need no account that is set up: `nextstrain setup
aws-batch` can be tried with them as on AWS.
"""


def register(subparsers: Subparsers) -> None:
    """Add the command and its actions."""
    parser = subparsers.add_parser(
        "sandbox", help="Manage the embedded AWS on this computer.", description=DESCRIPTION
    )
    actions = parser.add_subparsers(
        title="actions", metavar="<action>", dest="action", required=True
    )
    for name, summary in ACTIONS.items():
        description = ENV_HELP if name == "env" else summary
        action = actions.add_parser(name, help=summary, description=description)
        if name == "env":
            action.add_argument(
                "--administrator",
                action="store_true",
                help="Keys that may do everything, such as set the account up or empty it.",
            )
    sandbox_fault.register(actions)
    sandbox_image.register(actions)
    sandbox_requests.register(actions)
    sandbox_set.register(actions)
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Do what the action says; raises ``SandboxError``."""
    from nextstrain_batch import config

    home = config.home(os.environ)
    match arguments.action:
        case "start":
            return _start(home)
        case "stop":
            return _stop(home)
        case "status":
            return _status(home)
        case "env":
            return _env(home, administrator=arguments.administrator)
        case "fault":
            return sandbox_fault.run(arguments, home)
        case "image":
            return _print(sandbox_image.run(arguments, home))
        case "set":
            return _print(sandbox_set.run(arguments, home))
        case "requests":
            for line in sandbox_requests.run(arguments, home):
                _say(line)
            return 0
        case _:
            return _reset(home)


def exports(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return the variables that point AWS tools, and our own commands, to the sandbox."""
    return [
        ("AWS_ENDPOINT_URL", endpoint.url),
        ("AWS_ACCESS_KEY_ID", endpoint.access_key),
        ("AWS_SECRET_ACCESS_KEY", endpoint.secret_key),
        ("AWS_REGION", endpoint.region),
        ("AWS_DEFAULT_REGION", endpoint.region),
        ("NEXTSTRAIN_AWS_BATCH_S3_BUCKET", endpoint.bucket),
    ]


def _start(home: Path) -> int:
    from nextstrain_batch.sandbox import manager

    endpoint = manager.ensure(home)
    _say(f"The sandbox runs at {endpoint.url}.")
    return 0


def _stop(home: Path) -> int:
    from nextstrain_batch.sandbox import manager

    _say("The sandbox is stopped." if manager.stop(home) else "The sandbox was not running.")
    return 0


def _status(home: Path) -> int:
    from datetime import datetime

    from nextstrain_batch.sandbox import manager

    found = manager.status(home)
    if found is None:
        _say("The sandbox does not run. `nextstrain sandbox start` starts it.")
        return 1
    started = datetime.fromtimestamp(found.started).astimezone()
    memory = "" if found.memory is None else f", {found.memory / 1e6:.0f} MB of memory"
    _say(f"The sandbox runs at {found.url}.")
    _say(f"Process {found.pid}, since {started:%Y-%m-%d %H:%M:%S %Z}{memory}.")
    _say(f"Its files are in {manager.directory(home)}.")
    return 0


def _env(home: Path, *, administrator: bool) -> int:
    import shlex

    from nextstrain_batch.sandbox import manager

    endpoint = manager.administrator(home) if administrator else manager.ensure(home)
    # Credentials of other kinds would win over the sandbox's keys.
    _say("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in exports(endpoint):
        _say(f"export {name}={shlex.quote(value)}")
    return 0


def _reset(home: Path) -> int:
    from nextstrain_batch.sandbox import manager

    manager.reset(home)
    _say("The sandbox is stopped and empty.")
    return 0


def _print(lines: Iterable[str]) -> int:
    for line in lines:
        _say(line)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
