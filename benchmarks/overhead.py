"""What a round trip through the embedded AWS costs over the same build in place.

    python benchmarks/overhead.py DIRECTORY [--runs N]

DIRECTORY holds the Zika data (config/ and data/, see examples/zika/README.md). Every run starts
from a fresh copy without results, so each one builds everything; the sandbox is started before.
Then the finished build is sent once more, unchanged, in place and through the sandbox.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

from measure import ROOT, in_turn, own, quietly, report

CORES = str(os.cpu_count() or 1)


def fresh_copy(data: Path, directory: Path) -> None:
    """Lay out a pathogen directory of the data and our Snakefile, without results."""
    shutil.rmtree(directory, ignore_errors=True)
    for source in data.rglob("*"):
        if source.is_file():  # one by one: the data may lie in directories that are read-only
            path = directory / source.relative_to(data)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read_bytes())
    shutil.copy(ROOT / "examples" / "zika" / "Snakefile", directory)


def build(runtime: list[str], directory: Path, environment: dict[str, str]) -> None:
    """Run one build."""
    command = [own("nextstrain"), "build", *runtime, "--cpus", CORES, directory]
    quietly(command, env=environment)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    if not (arguments.directory / "data").is_dir():
        parser.error(f"{arguments.directory} has no data/; see examples/zika/README.md")

    with tempfile.TemporaryDirectory(prefix="overhead-") as work:
        environment = {
            **os.environ,
            "NEXTSTRAIN_HOME": f"{work}/home",
            "PATH": f"{own('nextstrain').parent}{os.pathsep}{os.environ['PATH']}",
        }
        here, there = Path(work, "native", "zika"), Path(work, "sandbox", "zika")
        in_place = partial(build, ["--native"], here, environment)
        on_sandbox = partial(build, ["--aws-batch", "--sandbox"], there, environment)

        def from_nothing(directory: Path, run: partial[None]) -> None:
            fresh_copy(arguments.directory, directory)
            run()

        quietly([own("nextstrain"), "sandbox", "start"], env=environment)
        try:
            print("everything built:")
            cases = {
                "in place": partial(from_nothing, here, in_place),
                "through the sandbox": partial(from_nothing, there, on_sandbox),
            }
            report(in_turn(cases, arguments.runs), base="in place")
            print("nothing changed:")
            cases = {"in place": in_place, "through the sandbox": on_sandbox}
            report(in_turn(cases, arguments.runs), base="in place")
        finally:
            quietly([own("nextstrain"), "sandbox", "stop"], env=environment)


if __name__ == "__main__":
    main()
