"""What is to break in the sandbox, when and how often; every time that it does is counted.

A ``Fault`` is data: its kind, what it meets (requests, jobs, lines of a job's log), and which of
those that it meets it strikes. ``Faults`` holds those that were asked for and answers, each time
something happens, which ones strike now. Who carries them out:

    faulty_requests  throttle, error, delay, cut, expire, skew, plain-http
    faulty_jobs      kill-agent, reclaim-host, fill-disk
    faulty_logs      lose-log, delay-log, reorder-log

``docs/how-to/break-things.md`` shows them in use.
"""

from __future__ import annotations

import fnmatch
import threading
import time
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .iam.calls import Call

KINDS: dict[str, str] = {
    "throttle": "Answer requests as a service does that is asked too often.",
    "error": "Answer requests with an error of the service's own: --status 500 or 503.",
    "delay": "Let requests wait for --seconds before they are answered.",
    "cut": "Cut the connection in the middle of an answer, or of a request (--way request).",
    "expire": "Refuse the credentials that a request is made with, from then on.",
    "skew": "Have the service's clock differ from the caller's by --seconds.",
    "plain-http": "Have bucket policies see requests as made without TLS.",
    "kill-agent": "Kill a job's first process (SIGKILL).",
    "reclaim-host": "Announce a spot reclaim, and take the job's host away --seconds later.",
    "fill-disk": "Give jobs that start from now on a disk of --size bytes.",
    "lose-log": "Lose events of a job's log.",
    "delay-log": "Deliver events of a job's log --seconds late.",
    "reorder-log": "Deliver an event of a job's log after the one that follows it.",
}
OF_REQUESTS = frozenset(
    {"throttle", "error", "delay", "cut", "expire", "skew", "plain-http"},
)
OF_JOBS = frozenset({"kill-agent", "reclaim-host", "fill-disk"})
OF_LOGS = frozenset({"lose-log", "delay-log", "reorder-log"})
ONCE = frozenset({"kill-agent", "reclaim-host"})
"""The kinds that strike once unless told otherwise; the others do until they are cleared."""

SECONDS: dict[str, float] = {
    "delay": 1.0,
    "skew": 3600.0,
    "reclaim-host": 120.0,
    "delay-log": 5.0,
}
"""What ``seconds`` is where it is not given."""

CALLERS = ("any", "user", "job")
WAYS = ("answer", "request")
STATUSES = (500, 502, 503, 504)
SMALLEST_DISK = 4 * 1024**2


class FaultError(ValueError):
    """A fault that makes no sense; the message says why."""


@dataclass(frozen=True)
class Fault:
    """What is to break. Patterns are the shell's (``*``, ``?``, ``[…]``)."""

    kind: str
    """One of ``KINDS``."""
    api: str = "*"
    """Pattern of the operation, alone or with its service: ``PutObject``, ``s3:Put*``."""
    key: str = "*"
    """Pattern of the S3 key that a request names; ``*`` also stands for requests without one."""
    caller: str = "any"
    """``user`` for requests from outside, ``job`` for those with a job's credentials."""
    job: str = "*"
    """Pattern of a job's name or id."""
    line: str = "*"
    """Pattern of a line of the job's log."""
    after: int = 0
    """How many of those that it meets are spared at first."""
    every: int = 1
    """Of the others, each which one is struck: 1 for all, 2 for each second one."""
    times: int | None = None
    """How many are struck at most; None for no limit."""
    lasting: float | None = None
    """Seconds from now until it strikes no more; None for no limit."""
    status: int = 503
    """The HTTP status of ``error``."""
    seconds: float = 0.0
    """How long ``delay``, ``delay-log`` and the notice of ``reclaim-host`` are; how far ahead
    ``skew`` puts the service's clock."""
    size: int | None = None
    """Bytes: after how many ``cut`` cuts (None: half), how many ``fill-disk`` leaves."""
    way: str = "answer"
    """What ``cut`` cuts: the ``answer`` or the ``request``."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Fault:
        """Make one of what was asked for. Raises ``FaultError``."""
        unknown = sorted(values.keys() - {each.name for each in fields(cls)})
        if unknown:
            raise FaultError(f"A fault has no {', '.join(unknown)}")
        kind = values.get("kind")
        if kind not in KINDS:
            raise FaultError(f"There is no fault {kind!r}; there are {', '.join(KINDS)}")
        defaults: dict[str, Any] = {"seconds": SECONDS.get(kind, 0.0)}
        if kind in ONCE:
            defaults["times"] = 1
        made = cls(**{**defaults, **values})
        made.check()
        return made

    def check(self) -> None:
        """Raise ``FaultError`` for values that make no sense."""
        if self.caller not in CALLERS:
            raise FaultError(f"caller is one of {', '.join(CALLERS)}")
        if self.way not in WAYS:
            raise FaultError(f"way is one of {', '.join(WAYS)}")
        if self.status not in STATUSES:
            raise FaultError(f"status is one of {', '.join(map(str, STATUSES))}")
        if self.after < 0 or self.every < 1 or (self.times is not None and self.times < 1):
            raise FaultError("after counts from 0, every and times from 1")
        if self.seconds < 0 and self.kind != "skew":
            raise FaultError("seconds may be negative for skew only")
        if self.kind == "fill-disk" and (self.size is None or self.size < SMALLEST_DISK):
            raise FaultError(f"fill-disk needs a size of {SMALLEST_DISK} bytes at least")

    def meets(self, call: Call, caller: str) -> bool:
        """Tell whether a request, by ``user`` or ``job``, is one of those that this is for."""
        return (
            self.caller in {"any", caller}
            and _fits(self.api, call.operation, f"{call.service}:{call.operation}")
            and (self.key == "*" or fnmatch.fnmatchcase(key_of(call), self.key))
        )

    def meets_job(self, name: str, job_id: str) -> bool:
        """Tell whether a job is one of those that this is for."""
        return _fits(self.job, name, job_id)

    def meets_line(self, text: str) -> bool:
        """Tell whether a line of a log is one of those that this is for."""
        return fnmatch.fnmatchcase(text, self.line)


def key_of(call: Call) -> str:
    """Return the S3 key that a request names; empty where it names none."""
    return call.needs[0].resource.partition("/")[2] if call.service == "s3" and call.needs else ""


def _fits(pattern: str, *names: str) -> bool:
    pattern = pattern.lower()
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for name in names)


@dataclass
class Injected:
    """A fault that was asked for, and what it has come to."""

    id: str
    fault: Fault
    since: float
    met: int = 0
    """How many requests, jobs or lines it was for."""
    struck: int = 0
    """How many of them it struck."""
    victims: set[str] = field(default_factory=set)
    """The access keys that ``expire`` has expired."""

    def spends(self, now: float) -> bool:
        """Count one that is met; tell whether it is to be struck."""
        self.met += 1
        if self.is_spent(now):
            return False
        beyond = self.met - self.fault.after
        return beyond > 0 and (beyond - 1) % self.fault.every == 0

    def is_spent(self, now: float) -> bool:
        """Tell whether it strikes nothing new any more."""
        times, lasting = self.fault.times, self.fault.lasting
        used = len(self.victims) if self.fault.kind == "expire" else self.struck
        return (times is not None and used >= times) or (
            lasting is not None and now - self.since >= lasting
        )

    def shown(self, now: float) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "id": self.id,
            **asdict(self.fault),
            "met": self.met,
            "struck": self.struck,
            "is_spent": self.is_spent(now),
        }


class Faults:
    """All faults that were asked for. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._injected: dict[str, Injected] = {}
        self._numbers = 0
        self.on_added: Callable[[Fault], None] = lambda _: None
        """Told of each fault that is added, once it is in force."""

    def __bool__(self) -> bool:
        """Whether there are any, spent ones included."""
        return bool(self._injected)

    def add(self, fault: Fault) -> str:
        """Put a fault in force; return its id."""
        with self._lock:
            self._numbers += 1
            found = Injected(str(self._numbers), fault, self._clock())
            self._injected[found.id] = found
        self.on_added(fault)
        return found.id

    def clear(self, fault_id: str | None = None) -> int:
        """Take one fault, or all, out of force; return how many they were."""
        with self._lock:
            ids = [fault_id] if fault_id is not None else list(self._injected)
            return sum(self._injected.pop(each, None) is not None for each in ids)

    def shown(self) -> list[dict[str, Any]]:
        """Return all of them as JSON, with their counts."""
        with self._lock:
            return [each.shown(self._clock()) for each in self._injected.values()]

    def strike(self, kinds: Collection[str], meets: Callable[[Fault], bool]) -> list[Fault]:
        """Return the faults of some *kinds* that strike now, in the order of their making.

        *meets* says which of them what has happened is for.
        """
        if not self._injected:
            return []
        with self._lock:
            struck = [
                each
                for each in self._injected.values()
                if each.fault.kind in kinds and meets(each.fault) and each.spends(self._clock())
            ]
            for each in struck:
                each.struck += 1
            return [each.fault for each in struck]

    def expires(self, access_key: str, meets: Callable[[Fault], bool]) -> bool:
        """Tell whether an access key has expired, or does now by a request that *meets* is for."""
        with self._lock:
            expired = False
            for each in self._injected.values():
                if each.fault.kind != "expire":
                    continue
                if access_key not in each.victims:
                    if not (meets(each.fault) and each.spends(self._clock())):
                        continue
                    each.victims.add(access_key)
                each.struck += 1
                expired = True
            return expired
