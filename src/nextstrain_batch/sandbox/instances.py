"""EC2 instance types, as far as placing jobs needs them: vCPUs and memory by name.

Computed from the name rather than looked up, because moto's table of all types is 60 MB. The
numbers of unusual families may be off by some; those that the bundles such as ``optimal`` stand for
are exact enough for a job definition that was sized for AWS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from nextstrain_batch.account.bundles import BUNDLES

_GIB_PER_VCPU = {"c4": 1.875, "r4": 7.625, "c": 2.0, "m": 4.0, "r": 8.0, "x": 16.0, "z": 8.0}
_SIZES = {"large": 2, "xlarge": 4, "metal": 96}
_MULTIPLES = (2, 4, 8, 12, 16, 24)
_MULTIPLES_OF = {
    **dict.fromkeys(("m6i", "c6i", "r6i"), (*_MULTIPLES, 32)),
    "c7i": (*_MULTIPLES, 48),
    **dict.fromkeys(("m6g", "c6g", "r6g", "c7g"), (2, 4, 8, 12, 16)),
}
_SMALL = {"nano": 0.5, "micro": 1.0, "small": 2.0, "medium": 4.0}
"""GiB of the sizes below ``large``, which have two vCPUs."""

_SYSTEM_SHARE = 0.04
_AGENT_MIB = 32
"""What an instance's memory loses to its kernel and to ECS's agent, about."""


@dataclass(frozen=True)
class InstanceType:
    """A kind of machine. *memory* is what jobs may reserve of it, in MiB."""

    name: str
    vcpus: int
    memory: int

    def fits(self, vcpus: float, memory: int) -> bool:
        """Tell whether a job that reserves so much fits on one."""
        return vcpus <= self.vcpus and memory <= self.memory


@cache
def types_of(names: tuple[str, ...]) -> tuple[InstanceType, ...]:
    """Return the types that a compute environment's ``instanceTypes`` mean, smallest first."""
    found: dict[str, InstanceType] = {}
    for name in names or ("optimal",):
        for family in BUNDLES[name].families if name in BUNDLES else (name,):
            members = [family] if "." in family else _members(family)
            found.update((each, _type(each)) for each in members)
    return tuple(sorted(found.values(), key=lambda each: (each.vcpus, each.memory)))


def _members(family: str) -> list[str]:
    multiples = _MULTIPLES_OF.get(family, _MULTIPLES)
    sizes = ["large", "xlarge", *(f"{each}xlarge" for each in multiples)]
    return [f"{family}.{size}" for size in sizes]


def _type(name: str) -> InstanceType:
    family, _, size = name.partition(".")
    multiple = re.fullmatch(r"(?:metal-)?(\d+)xl(?:arge)?", size)
    vcpus = 4 * int(multiple[1]) if multiple else _SIZES.get(size, 2)
    per_vcpu = _GIB_PER_VCPU.get(family) or _GIB_PER_VCPU.get(family[:1], 4.0)
    mib = 1024 * _SMALL.get(size, vcpus * per_vcpu)
    return InstanceType(name, vcpus, int(mib * (1 - _SYSTEM_SHARE)) - _AGENT_MIB)
