"""The environment variables that a build's program is given.

``--env`` and ``--envdir`` say which. Without both, a few well-known variables are passed on, as
people's builds rely on it. The values may be secrets: they travel in an object of their own, never
in the job's description, and are not printed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Environment = dict[str, str | None]
"""Values by name; None says that the program shall not have the variable."""

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
WELL_KNOWN = (
    "AUGUR_DEBUG",
    "AUGUR_MINIFY_JSON",
    "AUGUR_PROFILE",
    "AUGUR_RECURSION_LIMIT",
    "AUGUR_SEARCH_PATHS",
    *CREDENTIALS,
    "ID3C_PASSWORD",
    "ID3C_URL",
    "ID3C_USERNAME",
    "RETHINK_AUTH_KEY",
    "RETHINK_HOST",
)

ENVDIRS_VARIABLE = "NEXTSTRAIN_RUNTIME_ENVDIRS"


def resolve(
    assignments: Sequence[str],
    directories: Sequence[str],
    environ: Mapping[str, str],
    *,
    with_credentials: bool = True,
) -> Environment:
    """Return what the program is given on top of the runtime's own environment.

    A later directory wins over an earlier one, and *assignments* (``NAME=VALUE``, or ``NAME`` for
    the value in *environ*) over all of them. Raises ``UserError`` for an unusable directory, name
    or value. *with_credentials* says whether the AWS keys are well-known variables.
    """
    from_variable = [part for part in environ.get(ENVDIRS_VARIABLE, "").split(os.pathsep) if part]
    if not (assignments or directories or from_variable):
        return forwarded(environ, with_credentials=with_credentials)
    found: Environment = {}
    for directory in from_variable:
        found |= read_envdir(Path(directory), f" ({ENVDIRS_VARIABLE} names it)")
    for directory in directories:
        found |= read_envdir(Path(directory), "")
    for assignment in assignments:
        found |= _assigned(assignment, environ)
    return found


def forwarded(environ: Mapping[str, str], *, with_credentials: bool = True) -> Environment:
    """Return the well-known variables that are set here."""
    return {
        name: environ[name]
        for name in WELL_KNOWN
        if name in environ and (with_credentials or name not in CREDENTIALS)
    }


def _assigned(assignment: str, environ: Mapping[str, str]) -> Environment:
    name, equals, value = assignment.partition("=")
    _check_name(name, "--env")
    return {name: value if equals else environ.get(name)}


def _check_name(name: str, where: str) -> None:
    if not name or "=" in name or "\0" in name:
        raise UserError(
            f"{where}: {name!r} cannot be the name of an environment variable;"
            " a name is not empty and has no = in it."
        )


def read_envdir(directory: Path, remark: str = "") -> Environment:
    """Read a directory as daemontools' ``envdir`` does.

    Each file is a variable: its value is the first line without the spaces and tabs at its end,
    with a newline for every NUL. An empty file removes the variable. Files whose name begins with
    a dot are passed over. Raises ``UserError``, whose message *remark* extends.
    """
    found: Environment = {}
    try:
        for path in sorted(directory.iterdir()):
            if path.name.startswith("."):
                continue
            _check_name(path.name, f"Environment directory {directory}{remark}")
            found[path.name] = _read_value(path)
    except OSError as error:
        where = error.filename or directory
        raise UserError(
            f"The environment directory {directory} cannot be read{remark}:"
            f" {where}: {error.strerror}.\n\n"
            "It must be a directory that holds files only, one for each variable."
        ) from error
    return found


def _read_value(path: Path) -> str | None:
    # Not stat: named pipes and /proc files hold something and have no size.
    with path.open("rb") as file:
        line = file.readline()
    if not line:
        return None
    return os.fsdecode(line.removesuffix(b"\n").rstrip(b" \t").replace(b"\0", b"\n"))


def without_removed(environment: Mapping[str, str | None]) -> dict[str, str]:
    """Return the variables that have a value: what a fresh environment needs."""
    return {name: value for name, value in environment.items() if value is not None}


def applied(environment: Mapping[str, str | None], base: Mapping[str, str]) -> dict[str, str]:
    """Return *base* with the variables set and removed: what a local program gets."""
    kept = {name: value for name, value in base.items() if name not in environment}
    return kept | without_removed(environment)
