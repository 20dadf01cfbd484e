"""Changing a sandbox's settings and images, whether it runs or not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from nextstrain_batch.errors import SandboxError

from . import remote, settings
from .images import Images
from .layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def change(home: Path, changes: Mapping[str, object]) -> dict[str, object]:
    """Change settings of the sandbox of *home*, at once and for later; return all of them.

    Raises ``SandboxError`` when one is wrong; then none is changed.
    """
    layout = Layout(home)
    server = remote.find(layout)
    if server is not None and changes:
        answer = server.tell("settings", **changes)
        if "message" in answer:
            raise SandboxError(str(answer["message"]))
        return answer
    chosen = settings.load(layout.settings)
    if changes:
        chosen.change(changes)
        layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        chosen.save(layout.settings)
    return asdict(chosen)


def images(home: Path) -> Images:
    """Return the images of the sandbox of *home*; a job that starts finds what they are then."""
    return Images(Layout(home).images)
