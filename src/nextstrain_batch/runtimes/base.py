"""What a runtime is, and which one a build uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from nextstrain_batch.config import Name, Setting, Source
from nextstrain_batch.errors import UserError
from nextstrain_batch.runtimes.options import AWS_BATCH, NATIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextstrain_batch.config import Settings
    from nextstrain_batch.pathogen import Pathogen

RUNNER = Name("core", "runner")
IMAGE = Name("docker", "image", "--image", "NEXTSTRAIN_DOCKER_IMAGE")

DEFAULT_RUNTIME = "docker"
DEFAULT_IMAGE = "nextstrain/base"

_ALIASES = {"ambient": NATIVE}
_ABSENT = ("docker", "conda", "singularity")


@dataclass(frozen=True)
class Invocation:
    """A program to run inside a build's directory."""

    pathogen: Pathogen
    command: tuple[str, ...]
    environment: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Variables for the program; None removes one."""


class InPlace(Protocol):
    """A runtime that works on the files where they are, so nothing is transferred."""

    def run(self, invocation: Invocation) -> int:
        """Run the program to its end and return its exit code."""


def chosen(option: str | None, settings: Settings, *, sandbox: bool = False) -> Setting[str]:
    """Return the name of the runtime to use, which need not be in this version (``in_place``).

    It is *option*, else AWS Batch when the *sandbox* option is given, else ``[core] runner``, else
    docker.
    """
    if option is not None:
        return Setting(option, Source("option", f"--{option}"))
    if sandbox:
        return Setting(AWS_BATCH, Source("option", "--sandbox"))
    if configured := settings.text(RUNNER):
        return Setting(normalised(configured.value), configured.source)
    return Setting(DEFAULT_RUNTIME)


def normalised(name: str) -> str:
    """Return a runtime's name as we write it: ``AWS Batch`` is ``aws-batch``."""
    name = name.strip().lower().replace("_", "-").replace(" ", "-")
    return _ALIASES.get(name, name)


def image(option: str | None, settings: Settings) -> Setting[str]:
    """Return the container image to run the program in."""
    return settings.text(IMAGE, option) or Setting(DEFAULT_IMAGE)


def in_place(runtime: Setting[str]) -> InPlace | None:
    """Return the runtime if it works in place, or None for AWS Batch.

    Raises ``UserError`` for one that is not in this version.
    """
    if runtime.value == AWS_BATCH:
        return None
    if runtime.value == NATIVE:
        from nextstrain_batch.runtimes.native import Native

        return Native()
    raise UserError(_absent(runtime))


def _absent(runtime: Setting[str]) -> str:
    if runtime.value in _ABSENT:
        what = f"The {runtime.value} runtime is not in this version"
    else:
        what = f"There is no runtime {runtime.value!r}"
    return f"""{what} ({runtime.source}).

Choose one of these instead:

  --aws-batch             on AWS Batch
  --aws-batch --sandbox   on an embedded AWS on this computer, without an account
  --native                in place, with the programs installed on this computer

To choose for good, write `runner = aws-batch` or `runner = native` into the section [core] of the
file ~/.nextstrain/config."""
