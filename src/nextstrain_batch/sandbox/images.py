"""Images: which root file system a job's image name stands for.

A name stands for a directory, which becomes the job's root, read-only; or for the programs of
this computer, laid out like ``nextstrain/base``. Names are compared as a container engine
compares them: ``python``, ``docker.io/library/python`` and ``python:latest`` are one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch.errors import SandboxError

from .remote import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "host"
"""What stands for the programs of this computer."""
DEFAULTS: Mapping[str, str] = {"nextstrain/base": HOST}
"""The images that there are from the start, with any tag."""


@dataclass(frozen=True)
class Image:
    """What a job sees. Without a *directory*, the programs of this computer."""

    directory: Path | None = None


class Images:
    """The images of one sandbox, in a file that may change while it runs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> dict[str, str]:
        """Return what each name stands for. Raises ``SandboxError`` for a file out of order."""
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError:
            found = {}
        except ValueError as error:
            raise SandboxError(f"{self._file} cannot be read: {error}. Remove it.") from error
        return {n: t for n, t in {**DEFAULTS, **found}.items() if t}

    def find(self, name: str) -> Image | None:
        """Return the image that a job names; None where there is none of this name."""
        known = self.all()
        repository, tag = _parts(name)
        for each in (f"{repository}:{tag}", repository):
            if each in known:
                target = known[each]
                return Image(None if target == HOST else Path(target))
        return None

    def add(self, name: str, target: str) -> None:
        """Have *name*, with its tag or with any, stand for a directory or ``host``."""
        if target != HOST:
            path = Path(target).resolve()
            if not path.is_dir():
                raise SandboxError(f"There is no directory {target}, nor is it {HOST}.")
            target = str(path)
        self._change(_key(name), target)

    def remove(self, name: str) -> None:
        """Forget a name. Jobs that name it cannot start."""
        if _key(name) not in self.all():
            raise SandboxError(
                f"There is no image {name}.\n\n`nextstrain sandbox image --list` shows all."
            )
        self._change(_key(name), "")

    def _change(self, key: str, target: str) -> None:
        changed = {**{name: "" for name in DEFAULTS if name not in self.all()}, **self.all()}
        changed[key] = target
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._file, {n: t for n, t in changed.items() if t or n in DEFAULTS})


def _key(name: str) -> str:
    repository, tag = _parts(name)
    named = name.removeprefix("docker.io/").removeprefix("library/") != repository
    return f"{repository}:{tag}" if named else repository


def _parts(name: str) -> tuple[str, str]:
    """Return the repository, and the tag or digest."""
    name = name.removeprefix("docker.io/").removeprefix("library/")
    repository, at, digest = name.partition("@")
    head, colon, tag = repository.rpartition(":")
    if colon and "/" not in tag:
        return head, digest if at else tag
    return repository, digest if at else "latest"


def cannot_pull(name: str) -> str:
    """Return the container's reason where there is no such image, about as ECS words it."""
    repository, tag = _parts(name)
    return (
        "CannotPullContainerError: Error response from daemon: pull access denied for "
        f"{repository}, repository does not exist or may require 'docker login': denied: "
        f"requested access to the resource is denied (image {repository}:{tag})"
    )
