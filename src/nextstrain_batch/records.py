"""Records: frozen dataclasses that are stored as JSON, and read back, field by field.

Client and agent both write and read them; ``docs/internals/storage.md`` describes the bytes.
"""

from __future__ import annotations

import functools
import json
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Self, get_type_hints

from nextstrain_batch.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Record:
    """The base of such a dataclass.

    A field is text, a whole number or a truth value, any of them possibly None; an aware instant,
    or a tuple of texts. One with a default may be missing where it is read.
    """

    FORMAT: ClassVar[str]
    VERSION: ClassVar[int]
    CALLED: ClassVar[str]
    """In messages, where a sentence begins."""

    def to_json(self) -> bytes:
        """Return the bytes to store."""
        return encode(self.to_values())

    def to_values(self) -> dict[str, object]:
        """Return what ``encode`` takes, to store it within something else."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"format": self.FORMAT, "version": self.VERSION, **values}

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read stored bytes; fields that later versions add are ignored.

        Raises ``CorruptError`` when they are no such record, or one of a version that is not known
        here; it names the field where one is missing or its value is of another type.
        """
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise cls._damaged(str(error)) from error
        return cls.from_values(values)

    @classmethod
    def from_values(cls, values: object) -> Self:
        """Read what JSON says, as ``from_json`` does."""
        if not isinstance(values, dict) or values.get("format") != cls.FORMAT:
            raise cls._damaged(f'it does not say "{cls.FORMAT}"')
        if values.get("version") != cls.VERSION:
            raise CorruptError(
                f"{cls.CALLED} has the format version {values.get('version')!r}, and this program"
                f" reads version {cls.VERSION}. A newer nextstrain-batch may have written it:"
                " update this one."
            )
        types = cls._types()
        given: dict[str, object] = {}
        for field in fields(cls):
            if field.name in values:
                try:
                    given[field.name] = _value(types[field.name], values[field.name])
                except ValueError:
                    raise cls._damaged(f"{field.name} is {values[field.name]!r}") from None
            elif field.default is MISSING:
                raise cls._damaged(f"{field.name} is missing")
        return cls(**given)

    @classmethod
    @functools.cache  # Evaluating annotations takes longer than all the rest of the reading.
    def _types(cls) -> Mapping[str, object]:
        return get_type_hints(cls)

    @classmethod
    def _damaged(cls, why: str) -> CorruptError:
        return CorruptError(f"{cls.CALLED} is damaged: {why}.")


def encode(values: Mapping[str, object]) -> bytes:
    """Return JSON as it is stored: for people, too, and with instants in UTC."""
    # ASCII: what cannot be decoded in a file name travels as escaped surrogates.
    return json.dumps(values, indent=2, default=_text).encode("ascii") + b"\n"


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


def _value(kind: object, value: object) -> object:
    """Return what JSON says as a field of type *kind* has it, or raise ``ValueError``."""
    if kind is datetime:
        instant = datetime.fromisoformat(str(value))
        if instant.tzinfo is not None:
            return instant
    elif kind == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
    elif type(value) in getattr(kind, "__args__", (kind,)):
        return value
    raise ValueError
