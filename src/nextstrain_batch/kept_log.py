"""The log that an attempt leaves in the bucket, and which of its lines were shown already.

CloudWatch Logs delivers with a delay, without empty lines, and not for everyone; the object in
the bucket is there once the attempt is over. Comparing its end with what was seen tells at once
whether the log is complete, and what is missing where it is not.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch.aws_errors import TRANSIENT
from nextstrain_batch.errors import CorruptError, CredentialsError, UserError
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.store import keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextstrain_batch.store.transport import Transport

TAIL = 1024 * 1024
"""Bytes of the object that are read at first; most logs are smaller."""

_REMEMBERED = 2000
_COMPARED = 20
# Longer lines come from CloudWatch in pieces, of which the last is remembered.
_LONGEST = 4096


class Seen:
    """The lines shown so far: how many, and the last of them. Empty lines do not count."""

    def __init__(self) -> None:
        self.count = 0
        self._recent: deque[str] = deque(maxlen=_REMEMBERED)

    def add(self, text: str) -> None:
        """Note that a line was shown."""
        if text:
            self.count += 1
            self._recent.append(_essence(text))

    def includes(self, lines: Sequence[str]) -> bool:
        """Tell whether these lines were among the last ones shown, in this order and together."""
        wanted = [_essence(line) for line in lines]
        recent = list(self._recent)
        last = len(recent) - len(wanted)
        # From the end: it is there, or nearly so, as a rule.
        return any(recent[start : start + len(wanted)] == wanted for start in range(last, -1, -1))

    def recent(self) -> list[str]:
        """Return the essence of the lines that are remembered."""
        return list(self._recent)

    def last(self) -> list[str]:
        """Return the essence of the last lines shown: as many as are compared."""
        return list(self._recent)[-_COMPARED:]


@dataclass(frozen=True, slots=True)
class Kept:
    """What was read of the object: whole lines, from *skipped* lines after its beginning."""

    lines: tuple[str, ...]
    """Empty ones included."""
    skipped: int | None
    """Lines before these that are not empty; None where nobody knows."""

    def after(self, seen: Seen) -> tuple[str, ...] | None:
        """Return the lines that come after the *seen* ones; None where they do not meet."""
        numbers = [number for number, line in enumerate(self.lines) if line]
        texts = [self.lines[number] for number in numbers]
        if self._all_seen(texts, seen):
            return ()
        shown = self._shown(texts, seen)
        if shown is None:
            return None
        if not shown:
            return self.lines
        return self._lost(texts[:shown], seen) + self.lines[numbers[shown - 1] + 1 :]

    def _lost(self, texts: Sequence[str], seen: Seen) -> tuple[str, ...]:
        """Return what CloudWatch has lost between lines that it delivered, as far as we remember.

        Only where there are fewer lines than there should be: it alters some.
        """
        if self.skipped is None or seen.count >= self.skipped + len(texts):
            return ()
        recent = seen.recent()
        remembered = texts if seen.count == len(recent) else texts[-len(recent) :]
        left = Counter(recent)
        lost = []
        for text in remembered:
            essence = _essence(text)
            left[essence] -= 1
            if essence and left[essence] < 0:
                lost.append(text)
        return tuple(lost)

    def _all_seen(self, texts: Sequence[str], seen: Seen) -> bool:
        # Not by its last lines alone: a program may print the same line again and again. And
        # not by the count alone: the bootstrap's own lines are not in the object.
        if self.skipped is not None and seen.count < self.skipped + len(texts):
            return False
        return seen.includes(texts[-3:])

    def _shown(self, texts: Sequence[str], seen: Seen) -> int | None:
        """Return how many of *texts* were shown: where the last ones seen fit best."""
        last = seen.last()
        essences = [_essence(text) for text in texts]
        start = self.skipped or 0
        best, best_score = None, (0, 0)
        for shown in range(len(essences) + 1):
            common = _common_end(essences[max(0, shown - len(last)) : shown], last)
            score = (common, -abs(start + shown - seen.count))
            if common and (best is None or score > best_score):
                best, best_score = shown, score
        if best is None and self.skipped == 0:
            # Nothing in common: the seen lines came before these, or CloudWatch altered them.
            return 0 if seen.count < len(texts) else len(texts)
        return best


@dataclass(frozen=True, slots=True)
class Missing:
    """What the object has beyond the lines that were seen."""

    lines: tuple[str, ...]
    is_final: bool
    """Whether the attempt came to storing its whole log. The object of one that was killed may
    lack the end."""


class KeptLog:
    """The log objects of a run. Reads the end of each one once, when its attempt is over."""

    def __init__(self, transport: Transport, run_id: str) -> None:
        self._transport = transport
        self._run_id = run_id
        self._read_before: dict[int, tuple[Kept | None, bool]] = {}
        self._trouble: UserError | None = None

    def missing(self, attempt: int, seen: Seen) -> Missing | None:
        """Return what the attempt's object has beyond the *seen* lines.

        None where there is no object, or it cannot be read; see ``complaint``. Raises
        ``CredentialsError``.
        """
        if attempt not in self._read_before:
            self._read_before[attempt] = self._end(attempt)
        kept, is_final = self._read_before[attempt]
        rest = kept.after(seen) if kept else None
        if kept and rest is None:
            # More is missing than was read.
            kept = self._whole(attempt)
            self._read_before[attempt] = kept, is_final
            rest = kept.after(seen) if kept else None
        return None if rest is None else Missing(rest, is_final)

    def complaint(self) -> str | None:
        """Return once that lines may be missing, and why, where S3 could not be reached."""
        trouble, self._trouble = self._trouble, None
        if trouble is None:
            return None
        what = str(trouble).partition("\n")[0]
        return f"{what} The end of the log may be missing; --attach shows all of it again."

    def _end(self, attempt: int) -> tuple[Kept | None, bool]:
        total = self._count(attempt)
        data = self._read(keys.log(self._run_id, attempt), start=-TAIL)
        if data is None or len(data) < TAIL:
            return (None if data is None else Kept(_lines(data), skipped=0)), total is not None
        lines = _lines(data.partition(b"\n")[2])
        here = sum(1 for line in lines if line)
        return Kept(lines, None if total is None else max(total - here, 0)), total is not None

    def _whole(self, attempt: int) -> Kept | None:
        data = self._read(keys.log(self._run_id, attempt))
        return None if data is None else Kept(_lines(data), skipped=0)

    def _count(self, attempt: int) -> int | None:
        """Return how many lines that are not empty the whole log has, once it is whole."""
        data = self._read(keys.result(self._run_id, attempt))
        try:
            return AttemptResult.from_json(data).log_lines if data is not None else None
        except CorruptError:
            return None

    def _read(self, key: str, start: int = 0) -> bytes | None:
        try:
            return self._transport.get(key, start=start)
        except CredentialsError:
            raise
        except TRANSIENT as error:
            self._trouble = error
            return None
        except UserError:
            # Whatever is wrong with the bucket, the download that follows says so better.
            return None


def _lines(data: bytes) -> tuple[str, ...]:
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return tuple(lines)


def _essence(text: str) -> str:
    """Return what is compared of a line: what CloudWatch is known to leave as it is."""
    return text.rstrip().replace("\ufffd", "")[-_LONGEST:]


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        length += 1
    return length
