"""The administrator's keys: made at random for each sandbox, and kept where only its user reads.

Whoever knows the id of an access key has what it may do, since signatures are not checked. So the
id is as secret as the rest: a constant would let everybody on the computer in.
"""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.errors import SandboxError

from .remote import write_private

if TYPE_CHECKING:
    from .layout import Layout

_OF_IDS = string.ascii_uppercase + "234567"
"""What the ids of AWS's access keys consist of."""


@dataclass(frozen=True)
class Keys:
    """Keys that may do everything."""

    access_key: str
    secret_key: str


def ensure(layout: Layout) -> Keys:
    """Return the sandbox's keys; make them where there are none. For the server alone."""
    found = _read(layout)
    if found is None:
        found = Keys(
            "AKIA" + "".join(secrets.choice(_OF_IDS) for _ in range(16)), secrets.token_urlsafe(30)
        )
        write_private(layout.administrator_file, asdict(found))
    return found


def keys(layout: Layout) -> Keys:
    """Return the keys of a sandbox that runs. Raises ``SandboxError``."""
    found = _read(layout)
    if found is None:
        raise SandboxError(
            f"The sandbox runs, but {layout.administrator_file} has no administrator's keys."
            "\n\n`nextstrain sandbox stop` and `nextstrain sandbox start` make new ones."
        )
    return found


def _read(layout: Layout) -> Keys | None:
    try:
        return Keys(**json.loads(layout.administrator_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
