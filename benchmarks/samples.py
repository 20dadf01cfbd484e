"""The trees that transfers are measured with: realistic text, the same on every computer.

    T1   60 files, 5 MB: a small pathogen build
    T2   5,000 files of 20 KB
    T3   4 FASTA files of 500 MB
    T4   2,000 files, 500 MB: FASTA, TSV and JSON of all sizes
    T5   50,000 files of 1 KB: only when asked for
    T6   4 FASTA files of 5 GB: only when asked for; needs 45 GB of disk

They are made once and kept in ``.benchmarks/trees``. ``edit`` and ``insert`` change a copy as
people do, always in the same way for the same seed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from measure import WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PIECE = 1024 * 1024
_OLD = 1_700_000_000
"""When everything was modified: well before anything is measured."""

_REGIONS = {
    "Africa": ("Kenya", "Senegal", "South Africa", "Nigeria", "Ghana"),
    "Asia": ("Thailand", "Singapore", "China", "Japan", "India", "Viet Nam"),
    "Europe": ("France", "Italy", "Switzerland", "Germany", "Spain", "Sweden"),
    "South America": ("Brazil", "Colombia", "Peru", "Ecuador", "Argentina"),
    "North America": ("USA", "Mexico", "Canada", "Haiti", "Honduras"),
}
_LABS = tuple(f"{kind} of {what}, {number}" for kind in ("Institute", "Department", "Laboratory")
              for what in ("Virology", "Public Health", "Genomics", "Tropical Medicine")
              for number in range(1, 9))  # fmt: skip


class Text:
    """A source of lines of FASTA, TSV and JSON, which differ and resemble each other as real ones.

    A genome descends from an earlier one by a few substitutions.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self._number = 0
        self._genomes = [bytearray(self._random.choices(b"ACGT", k=10_800)) for _ in range(3)]

    def _strain(self) -> str:
        self._number += 1
        region = self._random.choice(list(_REGIONS))
        country = self._random.choice(_REGIONS[region])
        year = self._random.randint(2013, 2026)
        return f"{country.replace(' ', '_')}/{self._random.getrandbits(24):06X}/{year}"

    def fasta(self) -> Iterator[bytes]:
        """Yield records without end."""
        pick = self._random.random
        while True:
            genome = bytearray(self._random.choice(self._genomes))
            for _ in range(self._random.randint(2, 24)):
                genome[int(pick() * len(genome))] = b"ACGT"[int(pick() * 4)]
            if len(self._genomes) < 200:
                self._genomes.append(genome)
            else:
                self._genomes[int(pick() * 200)] = genome
            # Unread stretches at the ends differ in length, as in real sequences.
            head, tail = int(pick() * 200), int(pick() * 300)
            genome[:head] = b"N" * head
            lines = b"\n".join(genome[at : at + 60] for at in range(0, len(genome) - tail, 60))
            yield b">%s\n%s\n" % (self._strain().encode(), lines)

    def tsv(self) -> Iterator[bytes]:
        """Yield rows of metadata without end, the header first."""
        yield b"strain\taccession\tdate\tregion\tcountry\thost\tlength\tlab\tclade\tcoverage\n"
        choose, number = self._random.choice, self._random.randint
        while True:
            region = choose(list(_REGIONS))
            row = (
                self._strain(), f"OQ{number(100000, 999999)}.{number(1, 3)}",
                f"{number(2013, 2026)}-{number(1, 12):02}-{number(1, 28):02}",
                region, choose(_REGIONS[region]), choose(("Human", "Aedes aegypti", "?")),
                str(number(9000, 10800)), choose(_LABS), f"{number(1, 24)}{choose('ABCDEF')}",
                f"{self._random.random():.4f}",
            )  # fmt: skip
            yield "\t".join(row).encode() + b"\n"

    def json(self) -> Iterator[bytes]:
        """Yield the nodes of a tree without end, a line each."""
        choose, number = self._random.choice, self._random.randint
        while True:
            mutations = [f"{choose('ACGT')}{number(1, 10800)}{choose('ACGT')}" for _ in range(3)]
            node = {
                "name": self._strain(),
                "branch_attrs": {"mutations": {"nuc": mutations}, "labels": {}},
                "node_attrs": {
                    "div": round(self._random.random() / 10, 8),
                    "num_date": {"value": round(2013 + 13 * self._random.random(), 6)},
                    "country": {"value": choose(choose(list(_REGIONS.values())))},
                },
            }
            yield json.dumps(node).encode() + b",\n"


KINDS: dict[str, Callable[[Text], Iterator[bytes]]] = {
    "fasta": Text.fasta,
    "tsv": Text.tsv,
    "json": Text.json,
}


@dataclass(frozen=True)
class Tree:
    """One of the trees."""

    name: str
    files: tuple[tuple[str, int], ...]
    """Paths, whose endings tell the kind, and sizes in bytes, which are nearly met."""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(size for _, size in self.files)

    @property
    def is_big(self) -> bool:
        """Tell whether copies of it have to be few."""
        return self.size > 1_000_000_000

    def make(self) -> Path:
        """Return the directory of the tree; it is made unless it is there."""
        directory = WORK / "trees" / self.name
        if not directory.exists():
            new = directory.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            for path, size in self.files:
                (new / path).parent.mkdir(parents=True, exist_ok=True)
                _write(new / path, size, f"{self.name} {path}")
            new.rename(directory)
        return directory

    def edit(self, root: Path, seed: str) -> None:
        """Change 1 % of a copy: of its files, or where they are big, a stretch of each one."""
        files = [root / path for path, _ in self.files]
        if self.is_big:
            for path in files:
                _rewrite_stretch(path, f"{seed} {path.name}")
            return
        for path in random.Random(seed).sample(files, max(1, len(files) // 100)):
            _edit_small(path, seed)

    def insert(self, root: Path, seed: str) -> None:
        """Insert one record into one file of a copy, a third of the way through."""
        path = root / self.files[0][0]
        new = path.with_name(path.name + ".new")
        with path.open("rb") as old, new.open("wb") as file:
            left = path.stat().st_size // 3
            while left:
                piece = old.read(min(_PIECE, left))
                file.write(piece)
                left -= len(piece)
            file.write(old.readline())
            file.write(next(Text(seed).fasta()))
            shutil.copyfileobj(old, file, _PIECE)
        new.replace(path)


def _lines(path: Path, size: int, seed: str) -> Iterator[bytes]:
    """Yield text of a file's kind in pieces, *size* bytes or one record more."""
    kind = KINDS[path.suffix[1:]]
    for record in kind(Text(seed)):
        yield record
        size -= len(record)
        if size <= 0:
            return


def _write(path: Path, size: int, seed: str) -> None:
    with path.open("wb", buffering=_PIECE) as file:
        # A small file of one long record would be too big.
        for record in _lines(path, size, seed):
            file.write(record[: max(0, size - file.tell())])
    os.utime(path, (_OLD, _OLD))


def _rewrite_stretch(path: Path, seed: str) -> None:
    """Replace 1 % of a file in one place by other records, and append one, as its size shows."""
    size = path.stat().st_size
    left = size // 100
    with path.open("r+b") as file:
        file.seek(random.Random(seed).randrange(size - left))
        file.readline()
        for record in _lines(path, left, seed):
            file.write(record[:left])
            left -= len(record[:left])
        file.seek(0, os.SEEK_END)
        file.write(next(Text(seed).fasta()))


def _edit_small(path: Path, seed: str) -> None:
    """Insert a record into a small file."""
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    lines.insert(len(lines) // 2, next(_lines(path, 1, f"{seed} {path.name}"))[:300] + b"\n")
    path.write_bytes(b"".join(lines))


def _mixed() -> Iterator[tuple[str, int]]:
    """Yield the files of T4: most are small, some big ones make up half of the bytes."""
    chance = random.Random("T4")
    sizes = [chance.paretovariate(1.1) for _ in range(2000)]
    sizes = [min(size, 150.0) for size in sizes]
    scale = 500_000_000 / sum(sizes)
    for number, size in enumerate(sizes):
        kind = chance.choice(list(KINDS))
        yield f"data/{number % 40:02}/part-{number:04}.{kind}", int(size * scale)


def _numbered(count: int, size: int, kinds: str, folders: int) -> Iterator[tuple[str, int]]:
    names = kinds.split()
    for number in range(count):
        folder = f"part-{number % folders:02}/" if folders else ""
        yield f"{folder}file-{number:04}.{names[number % len(names)]}", size


_MAKERS = {
    "T1": partial(_numbered, 60, 83_000, "tsv json fasta", 6),
    "T2": partial(_numbered, 5000, 20_000, "tsv json fasta", 50),
    "T3": partial(_numbered, 4, 500_000_000, "fasta", 0),
    "T4": _mixed,
    "T5": partial(_numbered, 50_000, 1_000, "tsv json fasta", 200),
    "T6": partial(_numbered, 4, 5_000_000_000, "fasta", 0),
}
NAMES = tuple(_MAKERS)
USUAL = ("T1", "T2", "T3", "T4")


def tree(name: str) -> Tree:
    """Return one of ``NAMES``."""
    return Tree(name, tuple(_MAKERS[name]()))
