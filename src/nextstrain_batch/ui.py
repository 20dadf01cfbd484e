"""What the user sees: stages, warnings, the job's log, progress.

Stages and the job's log go to standard output, warnings and progress to standard error. Colour and
progress bars appear on a terminal only; ``NO_COLOR`` turns colour off (https://no-color.org).
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nextstrain_batch.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, tzinfo
    from typing import TextIO

    from nextstrain_batch.store.progress import Progress

_BOLD = "1"
_BLUE = "34"
_YELLOW = "33"
_RED = "31"
_GREY = "90"


class Ui:
    """Writes to two streams, each line flushed at once. Safe to interrupt.

    One thread at a time may tell something; progress may go on meanwhile.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        colour_out: bool = False,
        colour_err: bool = False,
        bars: bool = False,
        zone: tzinfo | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._err = err
        self._colour_out = colour_out
        self._colour_err = colour_err
        self._bars = bars
        self._zone = zone
        self._clock = clock
        self._above: Callable[[str], None] | None = None
        """Shows a line above the bars, while there are any."""

    def stage(self, text: str) -> None:
        """Announce what happens now."""
        self._say(_painted(text, f"{_BOLD};{_BLUE}", colour=self._colour_out))

    def say(self, text: str) -> None:
        """Tell something about the stage."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Tell something that may not be as the user expects."""
        label = _painted("warning:", f"{_BOLD};{_YELLOW}", colour=self._colour_err)
        self._write(self._err, f"{label} {text}\n")

    def error(self, text: str) -> None:
        """Tell what went wrong."""
        label = _painted("error:", f"{_BOLD};{_RED}", colour=self._colour_err)
        self._write(self._err, f"{label} {text}\n")

    def log(self, message: str, when: datetime | None = None) -> None:
        """Show a line of the job's log as ``[batch] [time] message``, in this computer's zone."""
        stamp = f" [{when.astimezone(self._zone).isoformat(timespec='seconds')}]" if when else ""
        self._say(f"{_painted(f'[batch]{stamp}', _GREY, colour=self._colour_out)} {message}")

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Yield a function that takes a phase, and the bytes done of those to do.

        On a terminal it draws bars; elsewhere it writes a line every ten seconds, if a phase takes
        so long.
        """
        from nextstrain_batch import progress

        if not self._bars:
            yield progress.Lines(lambda line: self._write(self._err, f"{line}\n"), self._clock)
            return
        with progress.bars(self._err, self._clock, colour=self._colour_err) as drawn:
            self._above = drawn.above
            try:
                yield drawn
            finally:
                self._above = None

    def _say(self, text: str) -> None:
        self._write(self._out, f"{text}\n")

    def _write(self, stream: TextIO, text: str) -> None:
        if self._above is not None and stream.isatty():
            self._above(text.removesuffix("\n"))
            return
        try:
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable("output" if stream is self._out else "error", error) from error


def unwritable(stream: str, error: OSError) -> UserError:
    """Return the error for the standard *stream*, ``output`` or ``error``, that takes no more."""
    return UserError(
        f"The standard {stream} cannot be written: {error.strerror or error}.\n\n"
        "Make room where it goes, or have it go elsewhere."
    )


def ask(question: str, read: Callable[[str], str] = input) -> str:
    """Return the line that is typed in answer. Raises ``UserError`` where input ends instead."""
    try:
        return read(question)
    except EOFError:
        raise UserError(
            "The question was not answered: the input ended (Ctrl-D ends it).\n\n"
            "Nothing was changed. Run the command again, or add --yes to go on without questions."
        ) from None


def for_process(environ: Mapping[str, str]) -> Ui:
    """Return the one for this process's standard output and error."""
    return for_streams(sys.stdout, sys.stderr, environ)


def for_streams(out: TextIO, err: TextIO, environ: Mapping[str, str]) -> Ui:
    """Return one that is plain where *out* or *err* is not a terminal."""
    wanted = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Ui(
        out,
        err,
        colour_out=wanted and out.isatty(),
        colour_err=wanted and err.isatty(),
        bars=err.isatty() and environ.get("TERM") != "dumb",
    )


def _painted(text: str, code: str, *, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
