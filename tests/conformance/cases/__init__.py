"""The cases, each a function that is given a place and raises where it is not as on AWS.

The docstring is what AWS does, in one sentence; the page that compares shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

AREAS = ("batch_jobs", "batch_account", "logs", "s3", "iam")


@dataclass(frozen=True)
class Case:
    """One thing that AWS does. *missing* says why the sandbox does not, where it does not."""

    area: str
    name: str
    function: Callable[[Any], None]
    missing: str = ""

    @property
    def sentence(self) -> str:
        return " ".join(str(self.function.__doc__).split())


_CASES: list[Case] = []


def case(area: str, missing: str = "") -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function as a case of an area, such as "AWS Batch: jobs"."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        _CASES.append(Case(area, function.__name__, function, missing))
        return function

    return register


def all_cases() -> list[Case]:
    """Return every case in its order."""
    if not _CASES:
        for name in AREAS:
            import_module(f"{__name__}.{name}")
    return list(_CASES)
