"""Setting values in the configuration file, and leaving everything else in it as it is."""

from __future__ import annotations

import configparser
from typing import TYPE_CHECKING

from nextstrain_batch import atomic
from nextstrain_batch.config import read_config
from nextstrain_batch.errors import LocalFilesError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PARSER = configparser.RawConfigParser()


def update(path: Path, section: str, values: Mapping[str, str]) -> bool:
    """Set *values* of a section in the file at *path*; return whether that changed anything.

    Comments, order and other values stay, and the file appears whole. Raises ``ConfigError`` for
    a file that is malformed, ``LocalFilesError`` when it cannot be written.
    """
    known = read_config(path).values
    missing = {key: value for key, value in values.items() if known.get((section, key)) != value}
    if not missing:
        return False
    text = path.read_bytes().decode("utf-8-sig") if path.exists() else ""
    try:
        # Through a link, so that the file that it points to is the one that changes.
        atomic.write(path.resolve(), with_values(text, section, missing).encode())
    except OSError as error:
        raise LocalFilesError(
            f"The configuration file {path} cannot be written: {error.strerror}.\n\n"
            f"Write these lines into it yourself:\n\n{with_values('', section, missing)}"
        ) from error
    return True


def with_values(text: str, section: str, values: Mapping[str, str]) -> str:
    """Return a configuration file's *text* with *values* in a section."""
    lines = text.splitlines()
    start = _header(lines, section)
    if start is None:
        gap = [""] if lines and lines[-1].strip() else []
        lines += [*gap, f"[{section}]"]
        start = len(lines) - 1
    for key, value in values.items():
        _set(lines, start, key, value)
    return "\n".join(lines) + "\n"


def _header(lines: list[str], section: str) -> int | None:
    for number, line in enumerate(lines):
        found = _PARSER.SECTCRE.match(line.strip())
        if found and found.group("header") == section:
            return number
    return None


def _set(lines: list[str], start: int, key: str, value: str) -> None:
    """Replace a value with its further lines, or add it after the section's last one."""
    end = _end(lines, start)
    for number in range(start + 1, end):
        option = _PARSER.OPTCRE.match(lines[number])
        if _is_value(lines[number]) and option and _name(option.group("option")) == key:
            further = number + 1
            while further < end and lines[further][:1].isspace() and lines[further].strip():
                further += 1
            lines[number:further] = [f"{key} = {value}"]
            return
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    lines.insert(end, f"{key} = {value}")


def _end(lines: list[str], start: int) -> int:
    for number in range(start + 1, len(lines)):
        if _PARSER.SECTCRE.match(lines[number].strip()):
            return number
    return len(lines)


def _is_value(line: str) -> bool:
    return bool(line[:1].strip()) and line[0] not in "#;"


def _name(text: str) -> str:
    return _PARSER.optionxform(text.rstrip())
