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

import os
import sys
from typing import TYPE_CHECKING

from nextstrain_batch.errors import UserError
from nextstrain_batch.garbage import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

INTERRUPTED = 130
OUTPUT_CLOSED = 141

BUG = """
This is a bug in nextstrain-batch, not a mistake of yours. Please report it with everything above
and what `nextstrain version --verbose` prints.
"""


def main() -> int:
    """Run the program on this process's arguments and streams; return the exit code."""
    collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        _forgive_undecodable(stream)
    try:
        try:
            return guarded(_run, sys.argv[1:], sys.stderr)
        finally:
            # Here, as the interpreter's own flush at the end would complain.
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return OUTPUT_CLOSED


def guarded(run: Callable[[Sequence[str]], int], words: Sequence[str], err: TextIO) -> int:
    """Call *run* and return its exit code, or that of its exception, which goes to *err*.

    ``SystemExit`` and ``BrokenPipeError`` pass through.
    """
    try:
        return run(words)
    except BrokenPipeError:
        raise
    except UserError as error:
        print(f"nextstrain: error: {error}", file=err)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001 (a bug, reported as one)
        import traceback

        traceback.print_exc(file=err)
        print(BUG, file=err)
        return 1


def _run(words: Sequence[str]) -> int:
    # Imported here so that an interrupt during the import is handled too.
    from nextstrain_batch import cli

    return cli.run(words)


def _forgive_undecodable(stream: TextIO | None) -> None:
    """Let file names that are not UTF-8 be printed, as escapes."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Give the interpreter's last flush somewhere to go, so that it does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
