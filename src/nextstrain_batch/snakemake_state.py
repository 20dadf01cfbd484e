"""What Snakemake keeps of its own in a build directory, and what of it travels.

In ``.snakemake/metadata`` it keeps a *note* of how each output was made, in ``incomplete`` a *mark*
of each that is not finished, both named by the output. Why which of it travels stands in
``docs/decisions/0007-snakemake-metadata-travels.md``.
"""

from __future__ import annotations

import base64

DIRECTORY = ".snakemake"
TIMESTAMP = ".snakemake_timestamp"
"""The file in which it keeps when an output that is a directory was made."""

SENT = frozenset({"metadata", "incomplete"})
"""What helps a job: how each output was made, and which are not finished."""
STORED = frozenset({"incomplete", "log", "metadata", "storage"})
"""What a later attempt or the user needs of a job's; ``storage`` holds copies of remote files. The
rest is big, or of no use elsewhere."""


def is_snakemakes(path: str) -> bool:
    """Tell whether something lies in Snakemake's own directory, where no person edits anything."""
    return DIRECTORY in path.split("/")[:-1]


def is_note(path: str) -> bool:
    """Tell whether a path is that of a note or a mark."""
    return _within(path).startswith(("metadata/", "incomplete/"))


def is_mark(path: str) -> bool:
    """Tell whether a path is that of a mark.

    One that is left behind has Snakemake make a finished output again.
    """
    return _within(path).startswith("incomplete/")


def mark_of(note: str) -> str:
    """Return where the mark is of the output that a note is about."""
    return note.replace(f"{DIRECTORY}/metadata/", f"{DIRECTORY}/incomplete/", 1)


def home_of(note: str) -> str:
    """Return the directory that ``.snakemake`` lies in; outputs' names are relative to it."""
    return f"/{note}".partition(f"/{DIRECTORY}/")[0]


def key_of(note: str) -> str | None:
    """Return Snakemake's name of the output that a note or mark is about.

    That is a path as the workflow writes it, from the directory that ``.snakemake`` lies in, or
    the URL of something remote. Snakemake 7 to 9 name the file by its base64; what is too long for
    a file's name goes into directories that begin with ``@`` (``_record_path`` in its
    ``persistence``). None for another name, which Snakemake would not look for, either.
    """
    *long, last = _within(note).partition("/")[2].split("/")
    if not all(part.startswith("@") for part in long):
        return None
    try:
        text = "".join(part[1:] for part in long) + last
        return base64.b64decode(text, b"-_", validate=True).decode() or None
    except ValueError:
        return None


def _within(path: str) -> str:
    """Return a path as seen from the outermost ``.snakemake`` above it; empty outside of any."""
    return f"/{path}".partition(f"/{DIRECTORY}/")[2]
