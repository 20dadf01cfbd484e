"""What of a job's results is wanted here, and which of Snakemake's notes are true of that.

Snakemake believes its notes (``snakemake_state.py``) without looking at the files that they are
about. So no pattern chooses among them: they come where their output does.
"""

from __future__ import annotations

import os
import posixpath
import stat
from bisect import bisect_left
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

from nextstrain_batch.pathogen import download_filter
from nextstrain_batch.snakemake_state import (
    TIMESTAMP,
    home_of,
    is_mark,
    is_note,
    is_snakemakes,
    key_of,
    mark_of,
)
from nextstrain_batch.store.manifest import Entry
from nextstrain_batch.store.paths import encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nextstrain_batch.store.manifest import Manifest

_LINKS = 40


class Wanted:
    """Tells of each path in a job's results whether it is wanted. Changes nothing."""

    def __init__(
        self, download: Sequence[str] | bool, output: Manifest, base: Manifest, root: Path
    ) -> None:
        """Take what ``--download`` and its like say, and what the job left and began with.

        *root* is where the results are to come.
        """
        self._chosen = download_filter(download)
        self._output = output
        self._entries = {entry.path: entry for entry in output.entries}
        self._base = {entry.path: entry for entry in base.entries}
        self._names = [encoded(entry.path) for entry in output.entries]
        self._root = root
        self._comes = cache(self._how_much_comes)
        self._name = cache(self._name_of)

    def __call__(self, path: str) -> bool:
        """Tell whether a path is wanted that the job left, or that it has removed."""
        if path.rpartition("/")[2] == TIMESTAMP:
            return self._comes(path.rpartition("/")[0]) == "all"
        if is_note(path):
            return self._note_comes(path)
        entry = self._entries.get(path)
        return self._chosen(f"{path}/" if entry and entry.kind == "directory" else path)

    def output(self) -> Manifest:
        """Return what the job left, with a mark of each output that has to be made again.

        No note is true of what is then here: see ``_is_torn``.
        """
        marks: dict[str, Entry] = {}
        for path, name in self._notes():
            if self._is_torn(name):
                marks |= self._mark(path)
        if not marks:
            return self._output
        entries = [*marks.values(), *self._output.entries]
        entries.sort(key=lambda each: encoded(each.path))
        return replace(self._output, entries=tuple(entries))

    def finished(self) -> Iterator[str]:
        """Yield where Snakemake's marks would be of what the job has made, and all of which comes.

        A mark that an earlier part of it got here says what is no longer true.
        """
        for path, name in self._notes():
            mark = mark_of(path)
            if mark not in self._entries and self._changed(name) and self._comes(name) == "all":
                yield mark

    def passed_over(self) -> int:
        """Return how many new or changed files are not wanted, besides Snakemake's own."""
        return sum(not self._chosen(entry.path) for entry in self._results())

    def _notes(self) -> Iterator[tuple[str, str]]:
        """Yield each note in ``metadata`` that is about an output of the job, and the output."""
        for path in self._entries:
            if is_note(path) and not is_mark(path):
                name = self._name(path)
                if name in self._entries:
                    yield path, name

    def _note_comes(self, path: str) -> bool:
        """Tell whether to bring a note or mark, or to take away a mark that the job has removed."""
        key = key_of(path)
        if key is None:
            return False
        if "://" in key:
            return True  # The output is in a storage of its own, and needs not to be brought.
        name = self._name(path)
        if name in self._entries and self._is_torn(name):
            return is_mark(path)
        comes = self._comes(name) if name else "nothing"
        # Of a file that is not here, a note tells nothing false. And without it Snakemake would
        # not look at the notes of what the same rule has made besides.
        return comes == "all" or not (name and os.path.lexists(self._root / name))

    def _name_of(self, path: str) -> str:
        """Return where the output lies that a note is about; empty for one outside the root."""
        key = key_of(path)
        if key is None:
            return ""
        if key.startswith("/"):
            # By the job's own name for the root, which is not known here.
            parts = key.split("/")
            names = ("/".join(parts[number:]) for number in range(1, len(parts)))
            return next((name for name in names if name in self._entries), "")
        name = posixpath.normpath(posixpath.join(home_of(path), key)).strip("/")
        return "" if name.split("/")[0] in {"..", "."} else self._real(name)

    def _real(self, name: str) -> str:
        """Return where a path leads that goes through symlinks to directories."""
        for _ in range(_LINKS):
            parts = name.split("/")
            above = ("/".join(parts[:number]) for number in range(1, len(parts)))
            links = (each for each in above if self._is_link(each))
            link = next(links, None)
            if link is None:
                return name
            where = posixpath.join(posixpath.dirname(link), self._entries[link].target)
            name = posixpath.normpath(where + name[len(link) :])
        return name

    def _is_link(self, path: str) -> bool:
        return path in self._entries and self._entries[path].kind == "symlink"

    def _how_much_comes(self, name: str) -> Literal["all", "part", "nothing"]:
        """Tell how much comes, or has come before, of what the job has changed of an output."""
        if name not in self._entries:
            return "nothing"
        changed = self._changed(name)
        there = sum(self._chosen(each.path) or self._has_come(each) for each in changed)
        if there == len(changed):
            return "all"
        return "part" if there else "nothing"

    def _changed(self, name: str) -> list[Entry]:
        """Return the files that the job has changed of an output."""
        entry = self._entries[name]
        files = self._below(name) if entry.kind == "directory" else [entry]
        return [each for each in files if self._is_changed(each)]

    def _has_come(self, entry: Entry) -> bool:
        """Tell by its time and size whether a file here is the one that the job has made."""
        try:
            status = os.lstat(self._root / entry.path)
        except OSError:
            return False
        is_kind = stat.S_ISREG if entry.kind == "file" else stat.S_ISLNK
        is_as_long = entry.kind == "symlink" or status.st_size == entry.size
        return is_kind(status.st_mode) and is_as_long and status.st_mtime_ns == entry.mtime_ns

    def _results(self) -> Iterator[Entry]:
        """Yield the files that the job has made or changed, besides Snakemake's own."""
        return (
            entry
            for entry in self._output.entries
            if self._is_changed(entry) and not is_snakemakes(entry.path)
        )

    def _is_torn(self, name: str) -> bool:
        """Tell whether what will be here of an output was not made together.

        Either it is a directory of which a part comes. Or an older one stays, while there comes
        what the job may have made of the new one: with the old parameters given again, Snakemake
        would take both for what belongs together.
        """
        comes = self._comes(name)
        if comes == "nothing":
            return self._some_comes and os.path.lexists(self._root / name)
        return comes == "part"

    @cached_property
    def _some_comes(self) -> bool:
        """Whether any of the results is wanted."""
        return any(self._chosen(entry.path) for entry in self._results())

    def _below(self, directory: str) -> Iterator[Entry]:
        prefix = encoded(directory) + b"/"
        for position in range(bisect_left(self._names, prefix), len(self._names)):
            if not self._names[position].startswith(prefix):
                return
            yield self._output.entries[position]

    def _is_changed(self, entry: Entry) -> bool:
        is_file = entry.kind != "directory" and not entry.path.endswith(f"/{TIMESTAMP}")
        return is_file and self._base.get(entry.path) != entry

    def _mark(self, note: str) -> dict[str, Entry]:
        """Return the mark that goes with a note, with the directories that it lies in.

        It is the one that is here already, or an empty one.
        """
        path = mark_of(note)
        mtime = self._entries[note].mtime_ns
        made = {path: self._base.get(path) or Entry(path, "file", 0o664, mtime)}
        while path := path.rpartition("/")[0]:
            made[path] = Entry(path, "directory", 0o775, mtime)
        return {name: entry for name, entry in made.items() if name not in self._entries}
