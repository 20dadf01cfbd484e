"""What ``nextstrain setup`` is to make, and where earlier choices are kept.

What says it, from the strongest: the command line, ``--file``, what was chosen for the bucket
before; then answers, where somebody can give them, and the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nextstrain_batch.commands import setup_options

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from nextstrain_batch.account.options import Options
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import Settings


@dataclass(frozen=True)
class Asked:
    """What the command was asked to do, and what is set besides."""

    arguments: Namespace
    batch: BatchSettings
    settings: Settings
    local_endpoint: str | None = None
    """Where AWS is asked, if the AWS settings lead to something on this computer instead."""


def memory(asked: Asked, bucket: str | None) -> Path:
    """Return where the choices for a bucket's account are kept; there may be none yet.

    Those of a trial are kept apart: somebody on AWS may have a bucket of the same name.
    """
    from nextstrain_batch.sandbox.layout import Layout

    home = asked.settings.home
    if asked.batch.sandbox.value:
        return Layout(home).setup_file
    directory = Layout(home).root if asked.local_endpoint else home / "aws-batch"
    return directory / "setup" / f"{bucket or 'none'}.toml"


def find(asked: Asked) -> dict[str, Any]:
    """Return what was chosen, by field of ``Options``; the region always is.

    Raises ``ConfigError`` for a file that is not as it should be.
    """
    from nextstrain_batch.account.options import from_file

    file = asked.arguments.file
    given = from_file(file) if file is not None else {}
    said = setup_options.given(asked.arguments)
    bucket = set_bucket(asked)
    if asked.arguments.bucket:
        said["bucket"] = bucket
    # What was chosen for one bucket is not meant for another one.
    remembered = memory(asked, said.get("bucket") or given.get("bucket") or bucket)
    before = from_file(remembered) if remembered.exists() else {}
    found = _without_network(before | given, said) | said
    return {"region": asked.batch.region.value} | found


def is_open(asked: Asked) -> bool:
    """Tell whether nobody has made choices yet, so that questions are in place."""
    made = asked.arguments.file or asked.batch.sandbox.value or asked.arguments.destroy
    return not made and not memory(asked, set_bucket(asked)).exists()


def set_bucket(asked: Asked) -> str | None:
    """Return the bucket of the option or the settings, or None."""
    return asked.batch.bucket.value.bucket if asked.batch.bucket else None


def _without_network(found: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return earlier choices without those of another network than the one named now."""
    gone: tuple[str, ...] = ()
    if said.get("new_vpc"):
        gone = ("vpc", "subnets", "security_groups")
    elif "new_vpc" in said:
        gone = ("vpc_cidr",)
    elif "vpc" in said and said["vpc"] != found.get("vpc"):
        gone = ("new_vpc", "vpc_cidr", "subnets", "security_groups")
    return {name: value for name, value in found.items() if name not in gone}


def options(found: dict[str, Any], asked: Asked) -> Options:
    """Return the choices, with names from the settings. Raises ``ConfigError``."""
    from dataclasses import replace

    from nextstrain_batch.account.options import Names, Options

    batch, values = asked.batch, dict(found)
    names: Names = values.pop("names", Names())
    if batch.job.source.kind != "default":
        names = replace(names, definition=batch.job.value)
    if batch.queue.source.kind != "default":
        names = replace(names, queue=batch.queue.value)
    bucket = values.pop("bucket", None) or batch.required_bucket.bucket
    return Options(bucket, names=names, **values)
