"""``nextstrain sandbox set``: delays, sizes and quotas of the embedded AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace, _SubParsersAction
    from collections.abc import Iterator
    from pathlib import Path

HELP = "Set delays, sizes and quotas, or show them."
DESCRIPTION = """\
Changes how the sandbox behaves, at once and until it is reset; without arguments, shows all
settings. Times are seconds, rates are calls a second, and `inf` is no limit. The explanation of
the sandbox says what each is for.
"""


def register(actions: _SubParsersAction[Any]) -> None:
    """Add the action."""
    parser = actions.add_parser("set", help=HELP, description=DESCRIPTION)
    parser.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="a setting's new value")


def run(arguments: Namespace, home: Path) -> Iterator[str]:
    """Yield the lines to print; raises ``SandboxError`` and ``UsageError``."""
    from nextstrain_batch.errors import UsageError
    from nextstrain_batch.sandbox import adjust

    changes: dict[str, object] = {}
    for each in arguments.settings:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"A setting is changed as NAME=VALUE, not {each}.")
        changes[name] = value
    found = adjust.change(home, changes)
    if not changes:
        for name, setting in found.items():
            yield f"{name.replace('_', '-')}={_shown(setting)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
