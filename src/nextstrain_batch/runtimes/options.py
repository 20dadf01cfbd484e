"""What the command line and the settings ask of a runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import Setting

SNAKEMAKE = "snakemake"
AWS_BATCH = "aws-batch"
NATIVE = "native"


@dataclass(frozen=True)
class BuildOptions:
    """Everything that the command line and the settings say about one build."""

    directory: Path | None
    """None only with ``attach`` and nothing to download, or ``cancel``."""
    program: str
    arguments: tuple[str, ...]
    """The program's own, as they were given after the directory."""
    runtime: Setting[str]
    """A name that ``runtimes.base`` knows; it may be one that is not in this version."""
    detach: bool
    detach_on_interrupt: bool
    attach: str | None
    """A Batch job's id, or a run's."""
    cancel: bool
    logs: bool
    download: bool | tuple[str, ...]
    """True for every new or changed file, False for none, or patterns; `!` negates."""
    exclude_from_upload: tuple[str, ...]
    cpus: int | None
    """``--cpus``: what the program is told. The job's size is ``batch.cpus``."""
    memory: int | None
    """``--memory`` in bytes, likewise."""
    image: Setting[str]
    environment: Mapping[str, str | None] = field(repr=False)
    """For the program; None removes a variable. Not to be shown or put into a job's description."""
    batch: BatchSettings | None
    """None in the other runtimes."""
    dry_run: bool = False
    """Only show what would be sent."""

    @property
    def is_snakemake(self) -> bool:
        """Whether the program is the default one, which gets default arguments."""
        return self.program == SNAKEMAKE

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user may not expect of the job's size."""
        if self.batch is None:
            return ()
        sizes = (
            ("--cpus", self.cpus, self.batch.cpus),
            ("--memory", self.memory, self.batch.memory_mib),
        )
        return tuple(
            f"{option} does not size the job, as that is {setting.source}: {setting.value}."
            for option, given, setting in sizes
            if given is not None and setting.source.kind in {"environment", "file"}
        )
