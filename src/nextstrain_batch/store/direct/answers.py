"""What S3's XML says.

By expat alone: ``xml.etree`` takes longer to import than a listing takes to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.parsers.expat import ExpatError, ParserCreate

from nextstrain_batch.store.transport import StoredObject


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing."""

    objects: tuple[StoredObject, ...]
    """Their keys are whole, with any prefix."""
    more: str | None
    """The continuation token; None on the last page."""


def page(body: bytes) -> Page:
    """Read an answer to ListObjectsV2, or raise ``ValueError``."""
    values: dict[str, str] = {}
    items: list[dict[str, str]] = []
    item: dict[str, str] = {}
    for path, text in _elements(body):
        if path[1:] == ("Contents",):
            items.append(item)
            item = {}
        elif path[1:2] == ("Contents",):
            item["/".join(path[2:])] = text
        else:
            values["/".join(path[1:])] = text
    is_encoded = values.get("EncodingType") == "url"
    try:
        objects = tuple(_object(each, is_encoded=is_encoded) for each in items)
    except KeyError as error:
        raise ValueError(f"a listing has an object without {error}") from error
    return Page(objects, values.get("NextContinuationToken") or None)


def error(body: bytes) -> dict[str, str] | None:
    """Return the elements of an ``<Error>``; None where the body is something else."""
    found: dict[str, str] = {}
    try:
        for path, text in _elements(body):
            if path[0] != "Error":
                return None
            if len(path) == 2:
                found[path[1]] = text
    except ValueError:
        return None
    return found or None


def _object(item: dict[str, str], *, is_encoded: bool) -> StoredObject:
    key = unquote_plus(item["Key"]) if is_encoded else item["Key"]
    modified = datetime.fromisoformat(item["LastModified"])
    return StoredObject(key, int(item["Size"]), modified.astimezone(UTC))


def _elements(body: bytes) -> list[tuple[tuple[str, ...], str]]:
    """Return path and text of each element, in the order of their ends.

    The text of one that holds others is what follows the last of them. Raises ``ValueError`` for
    what is no XML.
    """
    found: list[tuple[tuple[str, ...], str]] = []
    path: list[str] = []
    texts: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2])
        texts.clear()

    def end(_: str) -> None:
        found.append((tuple(path), "".join(texts)))
        path.pop()
        texts.clear()

    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = texts.append
    try:
        # S3 sends blanks before an answer that takes it long.
        parser.Parse(body.lstrip(), True)
    except ExpatError as error:
        raise ValueError(f"no XML: {error}") from error
    return found
