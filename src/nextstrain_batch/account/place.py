"""One account in one region, as those who read and change it are given it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nextstrain_batch.aws_errors import error_code

from . import policies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    Client: TypeAlias = Any
    """A botocore client: its methods are made at run time."""
    Clients: TypeAlias = Callable[[str], Client]
    """From a service's name to its client."""
    Answer: TypeAlias = Any
    """What a client returns."""

R = TypeVar("R")

TAG_KEY, TAG_VALUE = "made-by", "nextstrain setup aws-batch"
TAGS = {TAG_KEY: TAG_VALUE}
"""What everything that we make carries, and nothing that we did not make."""
TAG_LIST = [{"Key": TAG_KEY, "Value": TAG_VALUE}]
OUR_PATH = "/nextstrain-batch/"
"""IAM's groups cannot carry tags; those that we make have this path instead."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as desired."""

    what: str
    found: str
    wanted: str


@dataclass(frozen=True)
class Found:
    """What is there under a resource's name."""

    ours: bool
    """Whether it carries the tag of what we make."""
    differences: tuple[Difference, ...] = ()
    holds: str = ""
    """What would be lost with it, in words; empty for nothing."""
    serves: str = ""
    """What of another set-up it is for, in words, such as ``the bucket x``; empty for nothing."""
    raw: Any = field(default=None, repr=False, compare=False)
    """AWS's description of it."""

    def lacks(self, what: str) -> bool:
        """Tell whether something of it is not as desired."""
        return any(each.what == what for each in self.differences)


class Place:
    """An account in a region, reached through *clients*.

    *sleep* waits for seconds; *tell* says what is being waited for.
    """

    def __init__(
        self,
        clients: Clients,
        region: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.client = clients
        self.region = region
        self.sleep = sleep
        self.tell = tell
        self._identity: tuple[str, str] | None = None

    @property
    def account(self) -> str:
        """The account's number."""
        return self._who()[0]

    @property
    def caller(self) -> str:
        """The ARN of whoever the credentials belong to."""
        return self._who()[1]

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, as ARNs have it, such as ``aws-cn``."""
        return policies.partition_of(self.region)

    def iam_arn(self, resource: str) -> str:
        """Return the ARN of something of this account's IAM, such as ``role/name``."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def managed_policy_arn(self, path: str) -> str:
        """Return the ARN of one of AWS's own policies."""
        return f"arn:{self.partition}:iam::aws:policy/{path}"

    def batch_arn(self, resource: str) -> str:
        """Return the ARN of something of AWS Batch's, such as ``job-queue/name``."""
        return f"arn:{self.partition}:batch:{self.region}:{self.account}:{resource}"

    def _who(self) -> tuple[str, str]:
        if self._identity is None:
            answer = self.client("sts").get_caller_identity()
            self._identity = str(answer["Account"]), str(answer["Arn"])
        return self._identity


class Kind(Generic[R]):
    """How one kind of resource is read, made, mended and removed. botocore's errors pass through.

    Each of the last three may be interrupted anywhere, and repeated.
    """

    costs: str = ""
    """What it costs, in words; empty for nothing."""

    def summary(self, wanted: R) -> tuple[str, ...]:
        """Return what it will be, a line each."""
        raise NotImplementedError

    def look(self, wanted: R, place: Place) -> Found | None:
        """Return what is there, by reading only; None for nothing."""
        raise NotImplementedError

    def make(self, wanted: R, place: Place) -> None:
        """Make what is not there."""
        raise NotImplementedError

    def mend(self, wanted: R, place: Place, found: Found) -> None:
        """Change what differs, and nothing else."""
        raise NotImplementedError

    def remove(self, wanted: R, place: Place, found: Found) -> None:
        """Remove what is there, with all that it holds."""
        raise NotImplementedError


def absent(codes: Iterable[str], call: Callable[[], Answer]) -> Answer:
    """Return what *call* returns, or None when AWS answers with one of *codes*."""
    from botocore.exceptions import ClientError

    try:
        return call()
    except ClientError as error:
        if error_code(error) in codes:
            return None
        raise


def differences(*found: tuple[str, object, object]) -> tuple[Difference, ...]:
    """Return those of (what, found, wanted) whose values differ, in words."""
    return tuple(
        Difference(what, _words(actual), _words(wanted))
        for what, actual, wanted in found
        if actual != wanted
    )


def is_ours(tags: object) -> bool:
    """Tell whether tags, as a dictionary or a list of keys and values, have ours among them."""
    if isinstance(tags, dict):
        return bool(tags.get(TAG_KEY) == TAG_VALUE)
    listed = tags if isinstance(tags, list) else []
    return any(each.get("Key") == TAG_KEY and each.get("Value") == TAG_VALUE for each in listed)


def _words(value: object) -> str:
    if value is None or value in ("", [], ()):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(each) for each in value)
    return str(value)
