"""What a check says, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from nextstrain_batch.account import policies
from nextstrain_batch.aws_errors import TRANSIENT, explaining
from nextstrain_batch.errors import AccessDeniedError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nextstrain_batch.account.place import Place
    from nextstrain_batch.config import BucketUrl


DOCUMENTED = {*policies.BATCH_ACTIONS, *policies.BUCKET_ACTIONS, *policies.LOGS_ACTIONS}
JOIN = (
    "Ask whoever administers the account to put you into the group for people who launch jobs"
    " (NextstrainJobsUsers unless it was named otherwise)."
)


class Verdict(Enum):
    """The three answers."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    part: str
    verdict: Verdict
    detail: str
    remedy: str = ""
    """What to do about it; empty where there is nothing to do."""


@dataclass(frozen=True)
class Subject:
    """What builds would use, and how to look at it."""

    place: Place
    """As whom the parts of the account are looked at."""
    own: Place
    """As whom builds are launched; the same one except in the sandbox."""
    bucket: BucketUrl | None
    queue: str
    definition: str
    cpus: int
    memory_mib: int
    region_source: str
    """Where the region was set, in words."""
    tag_jobs: bool = False
    """Whether builds tag their jobs."""
    options: str = ""
    """What the commands that mend need, such as ``--sandbox``."""

    @property
    def mend(self) -> str:
        """The command that mends most of what can be found."""
        return " ".join(["nextstrain setup aws-batch", *([self.options] if self.options else [])])


@dataclass(frozen=True)
class Check:
    """A part, and how it is looked at."""

    part: str
    look: Callable[[Subject], Iterable[Finding]]


def findings_of(check: Check, subject: Subject) -> Iterator[Finding]:
    """Yield what a check finds; what AWS does not let us see is "cannot tell", never "failed"."""
    try:
        with explaining(f"look at the {check.part}", subject.place.region):
            found = list(check.look(subject))
    except AccessDeniedError as error:
        yield _denied(check.part, error.action)
    except TRANSIENT as error:
        yield Finding(check.part, Verdict.UNKNOWN, _first(error), "Try again in a minute.")
    except UserError as error:
        rest = str(error).partition("\n\n")[2]
        yield Finding(check.part, Verdict.FAILED, _first(error), rest)
    else:
        yield from found


def ok(part: str, detail: str) -> Finding:
    """Return the finding that a part is as it should be."""
    return Finding(part, Verdict.OK, detail)


def failed(part: str, detail: str, remedy: str) -> Finding:
    """Return the finding that a part is not as it should be."""
    return Finding(part, Verdict.FAILED, detail, remedy)


def unknown(part: str, detail: str, remedy: str = "") -> Finding:
    """Return the finding that nothing can be said of a part."""
    return Finding(part, Verdict.UNKNOWN, detail, remedy)


def _denied(part: str, action: str | None) -> Finding:
    if action in DOCUMENTED:
        return unknown(part, f"AWS denies you {action}, which builds need", JOIN)
    what = action or "to look at it"
    remedy = "Somebody who administers the account can run this command."
    return unknown(part, f"AWS denies you {what}, which builds do not need", remedy)


def _first(error: Exception) -> str:
    return str(error).partition("\n\n")[0].removesuffix(".")
