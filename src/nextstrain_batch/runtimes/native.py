"""The native runtime: the program runs in the build's directory, as if typed there."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from nextstrain_batch import environment
from nextstrain_batch.errors import PathogenError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nextstrain_batch.runtimes.base import Invocation

    Execute = Callable[[str, Sequence[str], Mapping[str, str]], NoReturn]

# What Python ignores and a program started from a shell expects to work.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")


class Native:
    """Replaces this process by the program.

    Signals, the terminal and the exit status are then the program's own, without anything in
    between that could get them wrong.
    """

    def __init__(
        self, execute: Execute | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._execute = execute or _execute
        self._environ = os.environ if environ is None else environ

    def run(self, invocation: Invocation) -> NoReturn:
        """Become the program. Raises ``UserError`` when it cannot be started."""
        variables = environment.applied(invocation.environment, self._environ)
        program = invocation.command[0]
        try:
            os.chdir(invocation.pathogen.directory)
        except OSError as error:
            raise PathogenError(
                f"The build directory {invocation.pathogen.directory} cannot be entered:"
                f" {error.strerror}."
            ) from error
        try:
            self._execute(program, invocation.command, variables)
        except OSError as error:
            raise UserError(_not_started(program, error, variables)) from error


def _execute(program: str, command: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    for name in _IGNORED_BY_PYTHON:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvpe(program, list(command), variables)  # noqa: S606 - no shell is wanted


def _not_started(program: str, error: OSError, variables: Mapping[str, str]) -> str:
    if error.errno == errno.E2BIG:
        return f"{program} cannot be started: its arguments and environment are too long."
    if error.errno != errno.ENOENT:
        return f"{program} cannot be started: {error.strerror}."
    if shutil.which(program, path=variables.get("PATH")):
        return f"{program} cannot be started: the interpreter that its first line names is missing."
    return (
        f"The program {program} is not installed on this computer, or not on the PATH.\n\n"
        "The native runtime uses what is installed here. Install the program (Snakemake, Augur and"
        " what the build needs), activate the environment that has it, or run the build in the"
        " Nextstrain image with --aws-batch."
    )
