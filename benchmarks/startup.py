"""How long `nextstrain --version` and `nextstrain build --help` take to start.

    python benchmarks/startup.py [--runs N]

Compared with `python -c pass` in the same environment, and with the reference client in its own.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from measure import in_turn, own, peer, quietly, report


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21)
    arguments = parser.parse_args()

    ours, reference = own("nextstrain"), peer("nextstrain-cli", "nextstrain")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "nextstrain --version": [ours, "--version"],
        "nextstrain build --help": [ours, "build", "--help"],
        "reference --version": [reference, "--version"],
        "reference build --help": [reference, "build", "--help"],
    }
    cases = {name: partial(quietly, command) for name, command in commands.items()}
    in_turn(cases, 1)  # warms the file cache and writes the bytecode
    report(in_turn(cases, arguments.runs), base="python -c pass")


if __name__ == "__main__":
    main()
