"""How far a phase is, drawn as a bar on a terminal or told as a line now and then elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.quantities import shown_bytes, shown_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from nextstrain_batch.store.progress import Progress

EVERY = 10.0
"""Seconds between two lines, and before the first one."""

REDRAW = 0.05
"""Seconds between two changes of a bar: many small files would cost more to draw than to read."""

TITLES = {
    "read": "Reading",
    "stream": "Reading and sending",
    "send": "Sending",
    "fetch": "Fetching",
    "delete": "Removing",
}
"""The phases that modules tell about, for people."""


@dataclass
class _Phase:
    name: str
    began: float
    told: float


class Lines:
    """Tells progress in lines. *write* takes one; *clock* counts seconds."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._phase: _Phase | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take note of bytes done, and tell it if nothing was told for long."""
        now = self._clock()
        if self._phase is None or self._phase.name != phase:
            self._phase = _Phase(phase, now, now)
        if now - self._phase.told < EVERY or done >= total:
            return
        self._phase.told = now
        rate = done / (now - self._phase.began)
        line = (
            f"{title(phase)}: {shown_bytes(done)} of {shown_bytes(total)} ({done * 100 // total} %)"
        )
        if rate:
            left = shown_seconds((total - done) / rate)
            line += f", {shown_bytes(round(rate))}/s, about {left} left"
        self._write(line)


class Paced:
    """Passes progress on, but for what follows too shortly; the end of a phase always."""

    def __init__(self, to: Progress, clock: Callable[[], float]) -> None:
        self._to = to
        self._clock = clock
        self._last: tuple[str, float] | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take note of bytes done."""
        now = self._clock()
        if done < total and self._last is not None:
            last_phase, last = self._last
            if last_phase == phase and now - last < REDRAW:
                return
        self._last = (phase, now)
        self._to(phase, done, total)


def title(phase: str) -> str:
    """Return a phase's name for people."""
    return TITLES.get(phase, phase)


@contextmanager
def bars(stream: TextIO, clock: Callable[[], float], *, colour: bool = True) -> Iterator[Progress]:
    """Draw a bar for each phase on a terminal, with rate and remaining time; erase them after."""
    from rich import progress
    from rich.console import Console

    console = Console(file=stream, no_color=not colour, force_terminal=True)
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as drawn:
        tasks: dict[str, progress.TaskID] = {}

        def update(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = drawn.add_task(title(phase), total=total)
            drawn.update(tasks[phase], completed=done, total=total)

        yield Paced(update, clock)
