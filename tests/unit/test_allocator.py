"""What is freed is kept while a transfer lasts, and no longer."""

import platform
import subprocess
import sys

import pytest

from nextstrain_batch.allocator import WORTH, keeping_freed, share_one_arena

# In a process of its own, as it changes one for good; in a thread, as transfers do.
ROUNDS = """
import resource, sys, threading
from pathlib import Path
from nextstrain_batch.allocator import WORTH, keeping_freed

MIB = 1024 * 1024

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def rounds():
    for _ in range(50):
        buffers = [b"x" * MIB for _ in range(16)]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=rounds)
    thread.start()
    thread.join()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with keeping_freed(int(sys.argv[1]) * WORTH):
    count, kept = faults(), resident()
print(count, (kept - resident()) // MIB)
"""


def measured(worth: int) -> tuple[int, int]:
    """Return the page faults of 800 MiB in buffers, and how many MiB went back at the end."""
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS, str(worth)], capture_output=True, text=True, check=True
    )
    faults, returned = map(int, done.stdout.split())
    return faults, returned


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told anything")
def test_freed_memory_is_used_again_and_given_back_at_the_end():
    usual, _ = measured(worth=0)
    faults, returned = measured(worth=1)
    assert faults < usual / 4
    assert returned >= 14


class Library:
    """Writes down what it is asked for."""

    def __init__(self):
        self.asked = []

    def mallopt(self, parameter, value):
        self.asked.append((parameter, value))

    def malloc_trim(self, pad):
        self.asked.append(("trim", pad))


def test_what_was_set_is_set_back_after_an_error_too():
    library = Library()
    with pytest.raises(ZeroDivisionError), keeping_freed(WORTH, lambda: library):
        raise ZeroDivisionError
    assert library.asked[-3:] == [(-3, 128 * 1024), (-1, 128 * 1024), ("trim", 0)]


def test_one_arena_is_asked_for_before_anything_is_allocated_in_it():
    library = Library()
    share_one_arena(lambda: library)
    with keeping_freed(WORTH, lambda: library):
        pass
    assert library.asked[0] == library.asked[1] == (-8, 1)
    share_one_arena(lambda: None)


def test_little_is_left_to_the_library_and_ctypes_is_not_loaded():
    with keeping_freed(WORTH - 1, lambda: pytest.fail("looked for the library")):
        pass


def test_without_glibc_nothing_is_different():
    with keeping_freed(WORTH, lambda: None):
        pass


def test_a_python_without_ctypes_transfers_all_the_same():
    program = """
import sys
sys.modules["ctypes"] = None
from nextstrain_batch.allocator import WORTH, keeping_freed
with keeping_freed(WORTH):
    print("there")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"there\n"
