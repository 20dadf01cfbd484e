"""What sending a build and bringing it back takes: ours against the tools that people have.

    python benchmarks/transfer.py                              everything: about an hour
    python benchmarks/transfer.py --trees T1 --runs 1          a minute
    python benchmarks/transfer.py --link --trees T1 T2 T4      over a slow link
    python benchmarks/transfer.py --peers ours bound s5cmd --phases first again
    python benchmarks/transfer.py --trees T5 T6 --peers ours --phases first again --runs 1

Each peer gets an empty bucket of a real S3 server on loopback and copies of the same tree, and does
the phases in order, each as whole processes. Peers take turns, run by run; the tables show medians.

wall and CPU are in seconds, CPU that of the peer's processes, the server's by itself; memory is the
biggest process's peak in MB; requests and MB up and down (bodies, without headers and listings)
are counted by the server. What a peer left behind is compared with what it should have: ✗ marks
a phase after which files were not what they should be. Runs in which something else used more than
15 % of the processors count only where there is no other; ~ marks those.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import samples
from measure import WORK
from peers import MAKERS, Peer, Place
from server import Link, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import Commands
    from samples import Tree

PHASES = {
    "first": "first upload",
    "again": "nothing changed",
    "edited": "1 % edited",
    "inserted": "one record inserted",
    "fetch": "job's fetch",
    "store": "job's store",
    "back": "results back",
}
ONE_WAY = 0.020
RATE = 100e6 / 8
DISTURBED = 0.15
ROOM = 512 * 1024 * 1024
"""Memory, besides a tree's size, that a transfer and a server may newly use. In bytes."""


@dataclass(frozen=True)
class Figures:
    """One phase of one run."""

    tree: str
    peer: str
    phase: str
    wall: float
    cpu: float
    memory_mb: float
    requests: int
    up_mb: float
    down_mb: float
    right: bool
    """Whether the files were afterwards as they should be; true where nothing is to compare."""
    others: float
    """The share of the processors that was used by neither the peer nor the server."""
    server: float = 0.0
    """CPU seconds of the server, on the same processors."""


class Round:
    """One peer's way through the phases, with one tree."""

    def __init__(
        self, tree: Tree, peer: Peer, server: Server, place: Place, patience: float
    ) -> None:
        self._tree = tree
        self._peer = peer
        self._server = server
        self._place = place
        self._patience = patience

    def run(self, phases: list[str]) -> Iterator[Figures]:
        """Do the phases, and yield those of *phases*; the others as far as they are needed."""
        peer, place, tree = self._peer, self._place, self._tree
        for directory in (place.job, place.home):
            directory.mkdir(parents=True)
        _copy(tree.make(), place.source)
        _execute(peer.prepare(place), place)
        last = max(list(PHASES).index(phase) for phase in phases)
        steps = ["first"] if peer.name == "bound" else list(PHASES)[: last + 1]
        for phase in steps:
            if phase == "inserted" and not tree.is_big:
                continue
            self._before(phase)
            figures = self._measure(phase)
            if phase in phases:
                yield figures
            if tree.is_big:
                self._server.reclaim()

    def _before(self, phase: str) -> None:
        if phase == "edited":
            self._tree.edit(self._place.source, "user")
        elif phase == "inserted":
            self._tree.insert(self._place.source, "user")
        elif phase == "store":
            self._tree.edit(self._peer.job(self._place), "job")

    def _measure(self, phase: str) -> Figures:
        place, peer = self._place, self._peer
        step = {"fetch": peer.fetch, "store": peer.store, "back": peer.back}.get(phase, peer.send)
        os.sync()  # so that nobody waits for what somebody else has written
        _wait_for_quiet(self._patience)
        _warm(2 * self._tree.size + ROOM)
        before, busy, serving = self._server.traffic(), _busy(), self._server.cpu()
        wall, cpu, memory = _execute(step(place), place)
        serving = self._server.cpu() - serving
        busy = _busy() - busy - serving - cpu
        traffic = self._server.traffic() - before
        return Figures(
            self._tree.name, peer.name, phase, wall, cpu, memory, traffic.requests,
            traffic.received / 1e6, traffic.sent / 1e6, self._is_right(phase),
            max(0.0, busy / wall / (os.cpu_count() or 1)), serving,
        )  # fmt: skip

    def _is_right(self, phase: str) -> bool:
        place, peer = self._place, self._peer
        if phase == "fetch":
            return _same(place.source, peer.job(place))
        if phase == "back":
            return _same(peer.job(place), peer.results(place))
        return True


def _empty(directory: Path) -> None:
    """Give back the disk that the files below *directory* use, and keep the files.

    ext4 does not use the inode of a removed file again for some minutes, and whoever makes a file
    meanwhile looks at each of those (``recently_deleted`` in Linux's fs/ext4/ialloc.c). What one
    peer's round left would make the next one's twice as slow.
    """
    for parent, _, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                path.chmod(0o600)
                os.truncate(path, 0)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _same(one: Path, other: Path) -> bool:
    done = subprocess.run(["diff", "-rq", str(one), str(other)], check=False, capture_output=True)
    return done.returncode == 0


def _execute(commands: Commands, place: Place) -> tuple[float, float, float]:
    """Run commands; return seconds by the clock and of CPU, and the peak memory in MB.

    The memory is of the biggest process, as ``wait4`` knows it of the tree below.
    """
    wall = cpu = memory = 0.0
    with tempfile.TemporaryFile() as log:
        for command in commands:
            started = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=place.environment(), cwd=place.home
            )
            _, status, used = os.wait4(process.pid, 0)
            wall += time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                text = log.read().decode(errors="replace")[-2000:]
                message = f"{command} failed: {process.returncode}\n{text}"
                raise RuntimeError(message)
            cpu += used.ru_utime + used.ru_stime
            # Kilobytes, except on macOS.
            memory = max(memory, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)
    return wall, cpu, memory


def _busy() -> float:
    """Return the CPU seconds that this machine has used since it started; 0 where it hides them."""
    try:
        numbers = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, soft, *_ = map(int, numbers)
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def _wait_for_quiet(patience: float) -> None:
    """Wait until others use less than a fifth of a processor, *patience* seconds at most."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = _busy()
        time.sleep(0.5)
        if _busy() - before < 0.1:
            return


def measure(
    tree: Tree,
    peers: list[Peer],
    phases: list[str],
    directory: Path,
    *,
    link: bool,
    patience: float,
) -> Iterator[Figures]:
    """Run all *peers* through one tree once."""
    for peer in peers:
        # A server of its own for each: what another one has stored would slow it down.
        work = Path(tempfile.mkdtemp(prefix="work-", dir=directory))
        with Server(directory / "server") as server:
            server.make_bucket("bench")
            place = Place(server.endpoint, "bench", work / "source", work / "job", work / "home")
            try:
                if link:
                    with Link(server.endpoint, ONE_WAY, RATE) as slow:
                        place = Place(slow.endpoint, *list(vars(place).values())[1:])
                        yield from Round(tree, peer, server, place, patience).run(phases)
                else:
                    yield from Round(tree, peer, server, place, patience).run(phases)
            finally:
                _empty(work)


def _warm(size: int) -> None:
    """Use *size* bytes of memory, or half of what is free, and give them back.

    A virtual machine may hand free memory to its host, seconds after it was freed (free page
    reporting). To get 2 GB back took 0.4 to 4.5 seconds where this was written, for whichever
    program happened to need it first.
    """
    size = min(size, os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE // 2)
    touch = "for offset in range(0, size, mmap.PAGESIZE): memory[offset] = 1"
    # Another process, whose peak is not inherited by those that are measured.
    script = f"import mmap; size = {size}; memory = mmap.mmap(-1, size)\n{touch}"
    subprocess.run([sys.executable, "-c", script], check=True)


# --- what it says ---------------------------------------------------------------------------------


def quietest(runs: list[Figures]) -> list[Figures]:
    """Return the runs that others hardly disturbed; where there are none, all of them."""
    return [each for each in runs if each.others < DISTURBED] or runs


def table(figures: list[Figures], tree: str, title: str, value: Callable[[Figures], float]) -> str:
    """Return a Markdown table of medians: a row for each phase, a column for each peer."""
    here = [each for each in figures if each.tree == tree]
    names = list(dict.fromkeys(each.peer for each in here))
    lines = [f"| {tree}: {title} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for phase, words in PHASES.items():
        cells = []
        for name in names:
            runs = quietest([each for each in here if (each.peer, each.phase) == (name, phase)])
            mark = "" if all(each.right for each in runs) else " ✗"
            mark += "~" if any(each.others >= DISTURBED for each in runs) else ""
            cells.append(f"{_short(statistics.median(map(value, runs)))}{mark}" if runs else "")
        if any(cells):
            lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _short(number: float) -> str:
    if number >= 100 or number == int(number):
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def verdicts(figures: list[Figures]) -> Iterator[str]:
    """Yield, for each row, how ours compares: with the reference, the fastest peer, the bound."""
    medians: dict[tuple[str, str], dict[str, float]] = {}
    keys = dict.fromkeys((each.tree, each.phase, each.peer) for each in figures)
    for tree, phase, peer in keys:
        runs = [
            each for each in figures if (each.tree, each.phase, each.peer) == (tree, phase, peer)
        ]
        if all(each.right for each in runs):
            wall = statistics.median(each.wall for each in runs)
            medians.setdefault((tree, phase), {})[peer] = wall
    for (tree, phase), walls in medians.items():
        if "ours" not in walls:
            continue
        own = walls.pop("ours")
        words = [f"{tree} {PHASES[phase]}: {own:.2f} s"]
        if limit := walls.pop("bound", 0.0):
            words.append(f"{own / limit:.2f} × the bound ({limit:.2f} s)")
        if "reference" in walls:
            words.append(f"{walls['reference'] / own:.1f} × faster than the reference")
        if walls:
            best = min(walls, key=walls.__getitem__)
            ratio = walls[best] / own
            verdict = "" if ratio >= 1 else " ← we lose"
            words.append(f"{ratio:.2f} × as fast as the fastest peer, {best}{verdict}")
        yield ", ".join(words)


TABLES: dict[str, Callable[[Figures], float]] = {
    "seconds": lambda each: each.wall,
    "CPU seconds": lambda each: each.cpu,
    "the server's CPU seconds": lambda each: each.server,
    "peak memory, MB": lambda each: each.memory_mb,
    "requests": lambda each: each.requests,
    "MB up": lambda each: each.up_mb,
    "MB down": lambda each: each.down_mb,
}


def show(figures: list[Figures], all_tables: bool) -> None:
    """Print the tables and the verdicts."""
    for tree in dict.fromkeys(each.tree for each in figures):
        for title, value in TABLES.items():
            if all_tables or title == "seconds":
                print(f"\n{table(figures, tree, title, value)}")
    print()
    for line in verdicts(figures):
        print(f"* {line}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", nargs="+", choices=samples.NAMES, default=list(samples.USUAL))
    parser.add_argument("--peers", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=list(PHASES))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--link", action="store_true", help="20 ms one way, 100 Mbit/s")
    parser.add_argument(
        "--patience", type=float, default=20.0, metavar="SECONDS",
        help="wait so long at most, before each phase, for a quiet machine (20)",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="also write every figure there, as JSON")
    parser.add_argument("--show", type=Path, nargs="+", help="print tables of such files; no runs")
    arguments = parser.parse_args()

    figures: list[Figures] = []
    if arguments.show:
        for path in arguments.show:
            figures += [Figures(**each) for each in json.loads(path.read_text())]
        show(figures, all_tables=True)
        return
    peers = []
    for name in arguments.peers:
        if peer := MAKERS[name]():
            peers.append(peer)
        else:
            print(f"{name} is not installed; left out.")
    print(", ".join(f"{peer.name} {peer.version}".strip() for peer in peers))
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before", flush=True)
    # So that a run that is stopped leaves neither a server nor files behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="transfer-", dir=WORK) as directory:
        for name in arguments.trees:
            tree = samples.tree(name)
            tree.make()
            for _ in range(arguments.runs):
                for each in measure(
                    tree, peers, arguments.phases, Path(directory),
                    link=arguments.link, patience=arguments.patience,
                ):  # fmt: skip
                    figures.append(each)
                    print(
                        f"{each.tree} {each.peer:12} {each.phase:9} {each.wall:7.2f} s, CPU "
                        f"{each.cpu:6.2f} s, {each.memory_mb:5.0f} MB, {each.requests:5} requests, "
                        f"{each.up_mb:7.1f} MB up, {each.down_mb:7.1f} down, "
                        f"others {each.others:4.0%}"
                        f"{'' if each.right else ' ✗'}",
                        flush=True,
                    )
                    if arguments.output:
                        arguments.output.write_text(json.dumps([asdict(one) for one in figures]))
    show(figures, all_tables=True)
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
