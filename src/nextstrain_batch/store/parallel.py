"""Many things at once in bounded memory: hashing, zstd and sockets release Python's lock."""

from __future__ import annotations

import os
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Yield ``function(item)`` for each of *items*, in their order, computed by *workers* threads.

    At most twice as many items as workers are taken before their results are asked for, so the
    items may come from a generator whose whole output would not fit into memory. The first error
    is raised in its turn; what has not begun by then never does, and what has begun is waited
    for, so that nothing goes on behind the caller's back. After ``KeyboardInterrupt`` alone it is
    not: a request may hang, and the process is about to end.
    """
    rest = iter(items)
    for first in rest:
        yield from _each(function, chain([first], rest), workers)


def _each(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    # Not imported where there is nothing to do: threads cost a tenth of our start-up.
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(workers, thread_name_prefix="transfer")
    pending: deque[Future[Result]] = deque()
    patient = True
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except KeyboardInterrupt:
        patient = False
        raise
    finally:
        pool.shutdown(wait=patient, cancel_futures=True)


def run(function: Callable[[Item], object], items: Iterable[Item], workers: int) -> None:
    """Call *function* with each of *items* as ``each`` does, for its effect."""
    for _ in each(function, items, workers):
        pass
