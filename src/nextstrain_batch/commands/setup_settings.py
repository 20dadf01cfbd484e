"""What builds need to know of an account: kept for whoever set it up, told for everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch import atomic, config_edit
from nextstrain_batch.batch_settings import (
    BUCKET,
    CPUS,
    DEFAULT_CPUS,
    DEFAULT_JOB,
    DEFAULT_MEMORY_MIB,
    DEFAULT_QUEUE,
    JOB,
    MEMORY,
    QUEUE,
    SECTION,
    TAG_JOBS,
)
from nextstrain_batch.commands import setup_choices
from nextstrain_batch.image import same_image
from nextstrain_batch.runtimes.base import DEFAULT_IMAGE, IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextstrain_batch.account.options import Options
    from nextstrain_batch.account.place import Place
    from nextstrain_batch.commands.setup_choices import Asked
    from nextstrain_batch.config import Settings
    from nextstrain_batch.ui import Ui


def remember(options: Options, asked: Asked, place: Place, ui: Ui) -> None:
    """Keep the settings that builds need, and the choices, and say what comes next."""
    from nextstrain_batch.account.options import from_file, to_toml

    kept = setup_choices.memory(asked, options.bucket)
    chosen_before = from_file(kept) if kept.exists() else {}
    atomic.write(kept, to_toml(options).encode())
    if asked.batch.sandbox.value:
        _let_the_user_in(options, place, asked.settings)
        tags = " --aws-batch-tag-jobs" if options.tags_jobs else ""
        ui.say(f"\nTry it: nextstrain build --aws-batch --sandbox{tags} <directory>")
        return
    ui.say(f"\n{_keep(options, asked, chosen_before)}")
    ui.say(f"The choices made here are in {kept}, for --file on other computers.")
    found = asked.batch.region
    if options.region != found.value:
        ui.warn(
            f"builds look in the region {found.value} ({found.source})."
            f" Set AWS_REGION={options.region}."
        )
    ui.say(f"\n{for_others(options)}")
    words = f" {as_options(options)}" if asked.local_endpoint else ""
    ui.say(
        f"\nNext: add people to the group {options.names.group}, `nextstrain check-setup`, and\n"
        f"nextstrain build --aws-batch{words} <directory>"
    )


def _keep(options: Options, asked: Asked, chosen_before: Mapping[str, Any]) -> str:
    """Write the settings for builds into the configuration file; return what is to be told of it.

    Not those of a trial on this computer: later builds would be sent to AWS, into a bucket of that
    name that is somebody else's.
    """
    found, path = settings_for(options, asked, chosen_before), asked.settings.file.path
    if asked.local_endpoint:
        texts = [
            f"[{section}] " + ", ".join(f"{key} = {value}" for key, value in values.items())
            for section, values in found.items()
        ]
        return (
            f"{path} stays as it is, because AWS is asked at {asked.local_endpoint} on this"
            f" computer; else it would now say {'; '.join(texts)}."
        )
    changed = [config_edit.update(path, section, values) for section, values in found.items()]
    return f"The settings for builds are in {path}{'' if any(changed) else ', as before'}."


def _let_the_user_in(options: Options, place: Place, settings: Settings) -> None:
    """Put the sandbox's user into the group, which may be a new one."""
    from nextstrain_batch.sandbox import manager, member

    manager.ensure(settings.home)
    group = options.names.group
    place.client("iam").add_user_to_group(GroupName=group, UserName=member.USER)


_SIZES = {
    (SECTION, "cpus"): ("vcpus", str(DEFAULT_CPUS)),
    (SECTION, "memory"): ("memory_mib", str(DEFAULT_MEMORY_MIB)),
    (IMAGE.section, IMAGE.key): ("image", DEFAULT_IMAGE),
}
"""Settings that builds have defaults for: the field of ``Options``, and that default."""


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


def settings_for(
    options: Options, asked: Asked, chosen_before: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """Return what the configuration file here is to say, by section and key.

    A prefix in the bucket stays, and of what was set before that alone changes which the choices
    decide; *chosen_before* are the last ones, by field of ``Options``.
    """
    found, set_before = needed(options), asked.batch.bucket
    same = set_before is not None and set_before.value.bucket == options.bucket
    prefixed = set_before.value if same and set_before and set_before.value.prefix else None
    before = {
        "job": options.names.definition,
        "queue": options.names.queue,
        "tag-jobs": str(options.tags_jobs).lower(),
    }
    file = asked.settings.file
    known = {key: value for key, value in before.items() if file.get(SECTION, key)}
    found[SECTION] |= known | {"s3-bucket": str(prefixed or options.bucket)}
    for (section, key), (field, default) in _SIZES.items():
        now, chosen = file.get(section, key), chosen_before.get(field)
        if now is not None and now.value == str(chosen) and key not in found.get(section, {}):
            # What the last set-up wrote; another value is the user's own.
            found.setdefault(section, {})[key] = default
    if asked.arguments.set_default:
        found["core"] = {"runner": "aws-batch"}
    return found


def as_options(options: Options) -> str:
    """Return what builds need as words of a command line."""
    found = needed(options)
    values = found[SECTION] | {"s3-bucket": options.bucket} | found.get(IMAGE.section, {})
    names = {each.key: each.option for each in (BUCKET, JOB, QUEUE, CPUS, MEMORY, IMAGE)}
    words = [f"{names[key]}={value}" for key, value in values.items() if key in names]
    return " ".join(words + ([str(TAG_JOBS.option)] if options.tags_jobs else []))


def for_others(options: Options) -> str:
    """Return what everybody else who launches builds is to be told."""
    lines: list[str] = []
    for section, values in needed(options).items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    listed = "\n".join(f"    {line}" for line in lines)
    return (
        "Everybody else who launches builds needs this in ~/.nextstrain/config, credentials of\n"
        f"their own, and {options.region} as their AWS region (AWS_REGION):\n\n{listed}"
    )
