"""The C library's allocator, and what it is to do with memory that a transfer frees.

A transfer makes and frees buffers of some MiB all the time. glibc gives each back to the system,
which has to clear it before it gives it out again: of the time in which 2 GB were fetched, that
was a fifth (docs/explanation/performance.md). Other C libraries are left as they are.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORTH = 32 * 1024 * 1024
"""Bytes of content from which on it is worth loading ctypes, which takes some milliseconds."""

# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8

_INITIAL = 128 * 1024
"""What glibc begins with, for both thresholds."""

_LARGEST_BUFFER = 32 * 1024 * 1024
"""The most that glibc takes for the threshold of mmap."""

# More than is ever free at once: a transfer needs less than 250 MB altogether.
_FREE = 256 * 1024 * 1024


@functools.cache
def _glibc() -> Any | None:  # noqa: ANN401 - a library's functions are not typed
    """Return the C library if it is glibc, and can be spoken to."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes  # which an image's Python may do without

        library = ctypes.CDLL(None)
        library.gnu_get_libc_version, library.mallopt, library.malloc_trim  # noqa: B018
    except (ImportError, OSError, AttributeError):
        return None
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library


def share_one_arena(find: Callable[[], Any | None] = _glibc) -> None:
    """Have all threads that are still to come allocate from where the first one does.

    Python's lock lets one thread allocate at a time; in an arena each, they would keep more. And of
    other arenas, glibc gives less back (malloc_trim(3) leaves their top as it is).
    """
    if (library := find()) is not None:
        library.mallopt(_ARENA_MAX, 1)


@contextlib.contextmanager
def keeping_freed(size: int, find: Callable[[], Any | None] = _glibc) -> Iterator[None]:
    """While the ``with`` lasts, keep what is freed for the rest of *size* bytes of content.

    What is free at its end goes back to the system: the command will only wait, and in the job
    the build wants the memory. *find* returns glibc, or None.
    """
    library = find() if size >= WORTH else None
    if library is None:
        yield
        return
    share_one_arena(find)
    library.mallopt(_MMAP_THRESHOLD, _LARGEST_BUFFER)
    library.mallopt(_TRIM_THRESHOLD, _FREE)
    try:
        yield
    finally:
        library.mallopt(_MMAP_THRESHOLD, _INITIAL)
        library.mallopt(_TRIM_THRESHOLD, _INITIAL)
        library.malloc_trim(0)
