"""What the benchmarks share: timed runs in turn, medians, peers in their own environments."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".benchmarks"


def in_turn(cases: Mapping[str, Callable[[], None]], runs: int) -> dict[str, list[float]]:
    """Run every case *runs* times, one after the other in turn; return seconds.

    Taking turns spreads whatever else the machine does over all cases alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            started = time.perf_counter()
            case()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def report(seconds: Mapping[str, list[float]], base: str) -> None:
    """Print each case's median and spread, and what it takes over the case *base*."""
    reference = statistics.median(seconds[base])
    width = max(map(len, seconds))
    for name, values in seconds.items():
        median = statistics.median(values)
        print(
            f"{name:{width}}  {median:8.3f} s  [{min(values):.3f} … {max(values):.3f}]"
            f"  {median - reference:+8.3f} s  × {median / reference:.2f}"
        )


def quietly(command: list[str | Path], **options: object) -> None:
    """Run a command without its output; when it fails, show that and end the benchmark."""
    ended = subprocess.run(  # type: ignore[call-overload]
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{ended.stdout}")


def peer(package: str, program: str) -> Path:
    """Return a program of *package*, installed as it is into an environment of its own."""
    directory = WORK / "peers" / package
    if not (directory / "bin" / program).exists():
        venv.create(directory, with_pip=True, clear=True)
        quietly([directory / "bin" / "python", "-m", "pip", "install", "--quiet", package])
    return directory / "bin" / program


def own(program: str) -> Path:
    """Return a program of the environment that runs the benchmark."""
    return Path(sys.executable).parent / program
