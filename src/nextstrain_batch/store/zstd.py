"""zstd, from whichever place has it: nothing compiled travels with this package.

On a user's computer that is the standard library (Python 3.14) or ``backports.zstd``; in a job,
those, ``zstandard`` or the ``zstd`` program.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Protocol

from nextstrain_batch.errors import CorruptError, StoreError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

_DAMAGED = "is not intact zstd data"


class Codec(Protocol):
    """One way to compress; safe to use from several threads at once."""

    @property
    def name(self) -> str:
        """Where it comes from, for messages."""

    def compress(self, data: bytes, level: int) -> bytes:
        """Return *data* as one zstd frame."""

    def decompress(self, frame: bytes, size: int) -> bytes:
        """Return the *size* bytes that one whole frame holds.

        Raises ``CorruptError`` when the frame is damaged or holds any other number of bytes,
        without ever having held many more than *size*.
        """


class ModuleCodec:
    """The standard library's ``compression.zstd``, or its backport."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - one of several modules
        self.name: str = module.__name__
        self._zstd = module

    def compress(self, data: bytes, level: int) -> bytes:
        """Return *data* as one frame."""
        frame: bytes = self._zstd.compress(data, level)
        return frame

    def decompress(self, frame: bytes, size: int) -> bytes:
        """Return the frame's *size* bytes, or raise ``CorruptError``."""
        decompressor = self._zstd.ZstdDecompressor()
        try:
            # One byte more is asked for, so that a frame that holds too much does not end here.
            data: bytes = decompressor.decompress(frame, max_length=size + 1)
        except (self._zstd.ZstdError, EOFError) as error:
            raise CorruptError(f"A piece of the store {_DAMAGED}: {error}.") from None
        if not decompressor.eof or decompressor.unused_data:
            raise CorruptError(f"A piece of the store {_DAMAGED} of {size} bytes.")
        return _checked(data, size)


class ZstandardCodec:
    """The package ``zstandard``."""

    name = "zstandard"

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - one of several modules
        self._zstd = module

    def compress(self, data: bytes, level: int) -> bytes:
        """Return *data* as one frame."""
        frame: bytes = self._zstd.ZstdCompressor(level=level).compress(data)
        return frame

    def decompress(self, frame: bytes, size: int) -> bytes:
        """Return the frame's *size* bytes, or raise ``CorruptError``."""
        try:
            # The header's size is what this package allocates, so it is looked at first.
            claimed = self._zstd.frame_content_size(frame)
            if claimed not in (size, -1):
                raise CorruptError(f"A piece of the store {_DAMAGED} of {size} bytes.")
            decompressor = self._zstd.ZstdDecompressor()
            data: bytes = decompressor.decompress(
                frame, max_output_size=size + 1, allow_extra_data=False
            )
        except self._zstd.ZstdError as error:
            raise CorruptError(f"A piece of the store {_DAMAGED}: {error}.") from None
        return _checked(data, size)


class ProgramCodec:
    """The program ``zstd``: a process for each frame, so the last resort."""

    name = "the zstd program"

    def __init__(self, program: str) -> None:
        self._program = program

    def compress(self, data: bytes, level: int) -> bytes:
        """Return *data* as one frame."""
        import subprocess

        command = [self._program, "-q", f"-{level}", "--no-check", "-c"]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode:
            raise StoreError(f"The zstd program failed: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def decompress(self, frame: bytes, size: int) -> bytes:
        """Return the frame's *size* bytes, or raise ``CorruptError``."""
        import subprocess

        command = [self._program, "-q", "-d", "-c"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            data = _converse(process, frame, size + 1)
        if process.returncode:
            raise CorruptError(f"A piece of the store {_DAMAGED} of {size} bytes.")
        return _checked(data, size)


def _converse(process: subprocess.Popen[bytes], frame: bytes, limit: int) -> bytes:
    """Write *frame* to the process and return at most *limit* bytes of its answer."""
    import threading

    assert process.stdin is not None
    assert process.stdout is not None
    stdin = process.stdin

    def feed() -> None:
        # A reader that stops early (a bomb) breaks the pipe, which is not the error to show.
        try:
            stdin.write(frame)
            stdin.close()
        except OSError:
            pass

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    data = process.stdout.read(limit)
    if len(data) == limit:
        process.kill()
    feeder.join()
    return data


def _checked(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise CorruptError(f"A piece of the store holds {len(data)} bytes instead of {size}.")
    return data


def _module(name: str, wrap: Callable[[Any], Codec]) -> Iterator[Codec]:
    try:
        yield wrap(importlib.import_module(name))
    except ImportError:
        return


def available() -> Iterator[Codec]:
    """Yield every codec that this computer has, the best first."""
    yield from _module("compression.zstd", ModuleCodec)
    yield from _module("backports.zstd", ModuleCodec)
    yield from _module("zstandard", ZstandardCodec)
    import shutil

    if program := shutil.which("zstd"):
        yield ProgramCodec(program)


@functools.cache
def best() -> Codec:
    """Return the best codec that this computer has; raises ``StoreError`` if there is none."""
    for codec in available():
        return codec
    raise StoreError(
        "There is nothing here that can read or write zstd.\n\n"
        "Python 3.14 has it built in; for an older one, a package or the zstd program does it.\n\n"
        "Install one of them here, or use an image that has one: pip install backports.zstd"
    )
