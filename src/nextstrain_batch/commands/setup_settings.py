"""What builds need to know of an account: kept for whoever set it up, told for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch import atomic, config_edit
from nextstrain_batch.batch_settings import (
    DEFAULT_CPUS,
    DEFAULT_JOB,
    DEFAULT_MEMORY_MIB,
    DEFAULT_QUEUE,
    SECTION,
)
from nextstrain_batch.commands import setup_choices
from nextstrain_batch.image import same_image
from nextstrain_batch.runtimes.base import DEFAULT_IMAGE, IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextstrain_batch.account.options import Options
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.commands.setup_choices import Asked
    from nextstrain_batch.config import Settings
    from nextstrain_batch.ui import Ui

    Sections = Mapping[str, Mapping[str, str]]
    """The values of a configuration file by section and key."""


def remember(options: Options, asked: Asked, place: Place, ui: Ui) -> None:
    """Keep the settings that builds need, and the choices, and say what comes next."""
    from nextstrain_batch.account.options import to_toml

    kept = setup_choices.memory(asked, options.bucket)
    atomic.write(kept, to_toml(options).encode())
    if asked.batch.sandbox.value:
        _let_the_user_in(options, place, asked.settings)
        tags = " --aws-batch-tag-jobs" if options.tags_jobs else ""
        ui.say(f"\nTry it: nextstrain build --aws-batch --sandbox{tags} <directory>")
        return
    path = asked.settings.file.path
    changed = keep(path, options, asked.batch, asked.settings)
    if asked.arguments.set_default:
        changed |= config_edit.update(path, "core", {"runner": "aws-batch"})
    ui.say(f"\nThe settings for builds are in {path}{'' if changed else ', as before'}.")
    ui.say(f"The choices made here are in {kept}, for --file on other computers.")
    found = asked.batch.region
    if options.region != found.value:
        ui.warn(
            f"builds look in the region {found.value} ({found.source})."
            f" Set AWS_DEFAULT_REGION={options.region}."
        )
    ui.say(f"\n{for_others(options)}")
    ui.say(
        f"\nNext: add people to the group {options.names.group}, `nextstrain check-setup`, and\n"
        "nextstrain build --aws-batch <directory>"
    )


def _let_the_user_in(options: Options, place: Place, settings: Settings) -> None:
    """Put the sandbox's user into the group, which may be a new one."""
    from nextstrain_batch.sandbox import manager, member

    manager.ensure(settings.home)
    group = options.names.group
    place.client("iam").add_user_to_group(GroupName=group, UserName=member.USER)


def needed(options: Options) -> dict[str, dict[str, str]]:
    """Return what anybody's configuration file needs for builds in this account.

    That is the bucket, and what differs from what builds ask for by themselves.
    """
    whole = (
        f"s3://{options.bucket}/users/<your user name>/" if options.own_prefixes else options.bucket
    )
    batch = {"s3-bucket": whole}
    if options.names.definition != DEFAULT_JOB:
        batch["job"] = options.names.definition
    if options.names.queue != DEFAULT_QUEUE:
        batch["queue"] = options.names.queue
    if options.vcpus != DEFAULT_CPUS:
        batch["cpus"] = str(options.vcpus)
    if options.memory_mib != DEFAULT_MEMORY_MIB:
        batch["memory"] = str(options.memory_mib)
    if options.tags_jobs:
        batch["tag-jobs"] = "true"
    found = {SECTION: batch}
    if not same_image(options.image, DEFAULT_IMAGE):
        found[IMAGE.section] = {IMAGE.key: options.image}
    return found


def keep(path: Path, options: Options, batch: BatchSettings, settings: Settings) -> bool:
    """Write what builds need into the file at *path*; return whether that changed anything.

    A prefix in the bucket stays, and of what was set before that alone changes which the choices
    decide.
    """
    found = needed(options)
    same = batch.bucket is not None and batch.bucket.value.bucket == options.bucket
    prefixed = batch.bucket.value if same and batch.bucket and batch.bucket.value.prefix else None
    before = {
        "job": options.names.definition,
        "queue": options.names.queue,
        "tag-jobs": str(options.tags_jobs).lower(),
    }
    known = {key: value for key, value in before.items() if settings.file.get(SECTION, key)}
    found[SECTION] |= known | {"s3-bucket": str(prefixed or options.bucket)}
    changed = [config_edit.update(path, section, values) for section, values in found.items()]
    return any(changed)


def for_others(options: Options) -> str:
    """Return what everybody else who launches builds is to be told."""
    lines: list[str] = []
    for section, values in needed(options).items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    listed = "\n".join(f"    {line}" for line in lines)
    return (
        "Everybody else who launches builds needs this in ~/.nextstrain/config, credentials of\n"
        f"their own, and {options.region} as their AWS region (AWS_DEFAULT_REGION):\n\n{listed}"
    )
