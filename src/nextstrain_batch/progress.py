"""How far a phase is, drawn as a bar on a terminal or told as a line now and then elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.quantities import shown_bytes, shown_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    import rich.progress
    from rich.progress import TaskID

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


class Bars:
    """A bar for each phase, as *drawn* shows them; *clock* counts seconds."""

    def __init__(self, drawn: rich.progress.Progress, clock: Callable[[], float]) -> None:
        self._drawn = drawn
        self._tasks: dict[str, TaskID] = {}
        self._paced = Paced(self._update, clock)

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take note of bytes done."""
        self._paced(phase, done, total)

    def above(self, line: str) -> None:
        """Show a line, which may be coloured, above the bars: they move down."""
        from rich.text import Text

        self._drawn.console.print(Text.from_ansi(line), soft_wrap=True)

    def _update(self, phase: str, done: int, total: int) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._drawn.add_task(title(phase), total=total)
        self._drawn.update(self._tasks[phase], completed=done, total=total)


@contextmanager
def bars(stream: TextIO, clock: Callable[[], float], *, colour: bool = True) -> Iterator[Bars]:
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
        yield Bars(drawn, clock)
