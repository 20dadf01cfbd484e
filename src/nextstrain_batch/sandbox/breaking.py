"""Breaking a sandbox from another process: what the command, tests and fixtures use.

broken = Breaking(home)
fault = broken.add("throttle", api="DescribeJobs", times=3)
…
assert fault.struck == 3
broken.clear()
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from nextstrain_batch.errors import SandboxError

from . import remote
from .layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

_PAUSE = 0.02


@dataclass(frozen=True)
class Broken:
    """One fault in a running sandbox."""

    id: str
    _breaking: Breaking

    @property
    def struck(self) -> int:
        """How often it has struck."""
        return int(self._breaking.find(self.id)["struck"])

    @property
    def met(self) -> int:
        """How many requests, jobs or lines it was for."""
        return int(self._breaking.find(self.id)["met"])

    def wait(self, times: int = 1, *, seconds: float = 10.0) -> None:
        """Wait until it has struck so often. Raises ``TimeoutError``."""
        limit = time.monotonic() + seconds
        while self.struck < times:
            if time.monotonic() > limit:
                raise TimeoutError(f"the fault {self.id} has struck {self.struck} times only")
            time.sleep(_PAUSE)

    def clear(self) -> None:
        """Take it out of force."""
        self._breaking.clear(self.id)


class Breaking:
    """The faults of the sandbox of a home. In a ``with``, all are cleared at its end.

    Every method raises ``SandboxError`` when the sandbox does not run, or does not understand.
    """

    def __init__(self, home: Path) -> None:
        self._layout = Layout(home)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def add(self, kind: str, **values: Any) -> Broken:  # noqa: ANN401 - fields of ``Fault``
        """Put a fault in force; *values* are the fields of ``faults.Fault``."""
        return Broken(str(self._tell("fault-add", kind=kind, **values)["id"]), self)

    def all(self) -> list[dict[str, Any]]:
        """Return all faults, spent ones too: their fields, and ``id``, ``met`` and ``struck``."""
        found: list[dict[str, Any]] = self._tell("fault-list")["faults"]
        return found

    def find(self, fault_id: str) -> dict[str, Any]:
        """Return one of ``all``."""
        for each in self.all():
            if each["id"] == fault_id:
                return each
        raise SandboxError(
            f"There is no fault {fault_id}: it was cleared, or the server restarted."
        )

    def clear(self, fault_id: str | None = None) -> int:
        """Take one fault, or all, out of force; return how many they were."""
        return int(self._tell("fault-clear", id=fault_id)["cleared"])

    def _tell(self, action: str, **request: object) -> dict[str, Any]:
        server = remote.find(self._layout)
        if server is None:
            raise SandboxError("The sandbox does not run. `nextstrain sandbox start` starts it.")
        answer = server.tell(action, **request)
        if "message" in answer:
            raise SandboxError(f"{answer['message']}.")
        return answer
