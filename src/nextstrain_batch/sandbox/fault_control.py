"""Faults by control requests: adding, listing and clearing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .faults import KINDS, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from .faults import Faults


def actions(
    faults: Faults, *, isolated: bool
) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Return the control actions. They raise ``ValueError`` for what makes no sense.

    *isolated* says whether jobs run under bubblewrap, which a small disk needs.
    """

    def add(request: dict[str, Any]) -> dict[str, Any]:
        fault = Fault.of(request)
        if fault.kind == "fill-disk" and not isolated:
            raise ValueError("fill-disk needs bubblewrap, which does not work here")
        return {"id": faults.add(fault)}

    def shown(_: dict[str, Any]) -> dict[str, Any]:
        return {"faults": faults.shown(), "kinds": KINDS}

    def clear(request: dict[str, Any]) -> dict[str, Any]:
        return {"cleared": faults.clear(request.get("id"))}

    return {"fault-add": add, "fault-list": shown, "fault-clear": clear}
