"""The program's edge: exceptions become messages and exit codes.

====  ==========================================================================
code  meaning
====  ==========================================================================
n     a build: the program's own exit code
1     an error that the user can mend, or a bug (with a traceback)
2     a command line that makes no sense
130   interrupted
141   whoever read the output has closed it
====  ==========================================================================
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from nextstrain_batch.errors import UserError
from nextstrain_batch.garbage import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import TextIO

INTERRUPTED = 130
OUTPUT_CLOSED = 141

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

TIDYING = 1.0
"""Seconds after a Control-C in which another one means the same: what was begun is tidied up."""

BUG = """
This is a bug in nextstrain-batch, not a mistake of yours. Please report it with everything above
and what `nextstrain version --verbose` prints.
"""


def main(run: Callable[[Sequence[str]], int] | None = None) -> int:
    """Run the program on this process's arguments and streams; return the exit code."""
    collect_rarely()
    _replace_closed_streams()
    _take_interrupts()
    for stream in (sys.stdout, sys.stderr):
        _forgive_undecodable(stream)
    code = 0
    try:
        try:
            code = guarded(run or _run, sys.argv[1:], sys.stderr)
        except KeyboardInterrupt as interrupt:
            _leave(interrupt)
        finally:
            # Here, as the interpreter's own flush at the end would complain.
            sys.stdout.flush()
    except BrokenPipeError as error:
        _discard_output()
        for note in getattr(error, "__notes__", ()):
            _say(f"the output was closed. {note}", sys.stderr)
        return OUTPUT_CLOSED
    except OSError as error:  # The flush's.
        _discard_output()
        if code == 0:  # Else it has been told.
            _tell(f"The standard output cannot be written: {error.strerror}.", sys.stderr)
        return code or 1
    return code


def guarded(run: Callable[[Sequence[str]], int], words: Sequence[str], err: TextIO) -> int:
    """Call *run* and return its exit code, or that of its exception, which goes to *err*.

    ``SystemExit``, ``KeyboardInterrupt`` and ``BrokenPipeError`` pass through.
    """
    try:
        return run(words)
    except BrokenPipeError:
        raise
    except UserError as error:
        _tell(str(error), err)
        return error.exit_code
    except OSError as error:
        if error.errno not in NO_ROOM:
            return _bug(err)
        what = error.filename or "A file, or the output,"  # The system names none that is open.
        _tell(f"{what} cannot be written: {error.strerror}.\n\nMake room, and try again.", err)
        return 1
    except Exception:  # noqa: BLE001 (a bug, reported as one)
        return _bug(err)


def _tell(message: str, err: TextIO) -> None:
    _say(f"error: {message}", err)


def _say(message: str, err: TextIO) -> None:
    with suppress(OSError):  # The exit code says it as well, where nothing else can.
        print(f"nextstrain: {message}", file=err, flush=True)


def _bug(err: TextIO) -> int:
    import traceback

    with suppress(OSError):
        traceback.print_exc(file=err)
        print(BUG, file=err, flush=True)
    return 1


def _run(words: Sequence[str]) -> int:
    # Imported here so that an interrupt during the import is handled too.
    from nextstrain_batch import cli

    return cli.run(words)


def _take_interrupts() -> None:
    """Have the first SIGINT raise ``KeyboardInterrupt``, and a later one end the process at once.

    Two in quick succession are one: the second must not break into the tidying up after the first.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # Ignored, as whoever started us wants it.
    began: list[float] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if not began:
            began.append(time.monotonic())
            raise KeyboardInterrupt
        if time.monotonic() - began[0] > TIDYING:
            os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, interrupt)


def _leave(interrupt: KeyboardInterrupt) -> NoReturn:
    """Show what *interrupt* says is to be done next, if anything, and end the process.

    Not by returning: Python waits for threads at its end, and these may hang in the network for
    minutes. What they had begun is whole or not there at all, as the bucket and ``placing`` have
    it.
    """
    with suppress(OSError):  # Whoever reads the output may have been interrupted too.
        sys.stdout.flush()
    with suppress(OSError):
        if interrupt.args:
            # The terminal shows ^C in the line where the cursor is.
            sys.stderr.write(f"\nnextstrain: interrupted. {interrupt.args[0]}\n")
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def _replace_closed_streams() -> None:
    """Give each standard stream that whoever started us has closed somewhere to go.

    Schedulers and daemons do that. Without it, the next file or socket would take its number, here
    or in a program that is started from here.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode))


def _forgive_undecodable(stream: TextIO | None) -> None:
    """Let file names that are not UTF-8 be printed, as escapes."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Give the interpreter's last flush somewhere to go, so that it does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
