"""What the names mean that stand for several instance types, of which AWS Batch chooses.

From the documentation of ``ComputeResource.instanceTypes`` in the API of AWS Batch, 2026. Since
November 2025 ``optimal`` means what ``default_x86_64`` means. AWS says that it may choose an
earlier generation, that not every region has every family, and that it changes what the bundles
hold.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bundle:
    """Families of types."""

    families: tuple[str, ...]
    largest: tuple[int, int]
    """vCPUs and MiB of one type that is sure to be among them, of whichever generation it is."""


# r6i.16xlarge, r5.16xlarge; the earliest one, r4.16xlarge, has the least memory of them.
_X86 = Bundle(("m6i", "c6i", "r6i", "c7i"), (64, 488 * 1024))
_ARM = Bundle(("m6g", "c6g", "r6g", "c7g"), (64, 512 * 1024))  # r6g.16xlarge

BUNDLES = {"optimal": _X86, "default_x86_64": _X86, "default_arm64": _ARM}
"""By the names that a compute environment's ``instanceTypes`` may have."""
