"""Simulate the outbreak whose genomes this example analyses.

    python3 scripts/simulate.py [DIRECTORY]

writes `data/sequences.fasta`, `data/metadata.tsv` and `config/reference.gb` below DIRECTORY
(default: the build directory this script lies in). The committed files are its output, byte
for byte: it draws only `Random.random()`, the one sequence Python promises to keep across
versions, and needs nothing but the standard library.

The model, in the order of the code (README.md says where the numbers come from):

1. A genome of `LENGTH` nucleotides with three genes, drawn from the base frequencies.
2. An SEIR epidemic on a chain of islands, case by case, in continuous time (days).
3. Along each infected person's time, substitutions under HKY85 with selection: a change that
   breaks a gene never survives, one that changes an amino acid survives with probability `OMEGA`.
   A contact infects with the genome the infector carries at that moment, so the transmission tree
   is the phylogeny (no diversity within a host).
4. A laboratory on each island sequences the first sample of each period of `LABORATORY_DAYS`;
   some of these are imperfect, as real ones are.
"""

from __future__ import annotations

import heapq
import math
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

SEED = 1
START = date(2021, 3, 1)
DAYS = 760

# Evolution. The rate is in substitutions per site and year; config/config.yaml repeats it.
CLOCK_RATE = 4.5e-3
KAPPA = 4.0
FREQUENCIES = {"A": 0.30, "C": 0.20, "G": 0.22, "T": 0.28}
OMEGA = 0.25
DAYS_PER_YEAR = 365.25

# The epidemic. Times in days; ISLANDS lie in a row and exchange travellers with the next one.
ISLANDS = ("Alder Island", "Birch Island", "Cedar Island", "Dogwood Island", "Elm Island")
POPULATION = 1500
REPRODUCTION_NUMBER = 1.7
LATENT_DAYS = 9.0
INFECTIOUS_DAYS = 9.0
TRAVEL = 0.004

# Sequencing.
LABORATORY_DAYS = 30
DROPOUT = 240  # the length of an amplicon that may fail
DROPOUT_PROBABILITY = 0.03

# name, product, first nucleotide (from 1), number of codons with start and stop
GENES = (
    ("N", "nucleoprotein", 61, 300),
    ("G", "glycoprotein", 1021, 250),
    ("L", "polymerase", 1831, 380),
)
LENGTH = 3030

BASES = "ACGT"
CODONS = [first + second + third for first in "TCAG" for second in "TCAG" for third in "TCAG"]
CODE = dict(
    zip(CODONS, "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG", strict=True)
)
TRANSITIONS = {"AG", "GA", "CT", "TC"}


@dataclass(slots=True)
class Case:
    """One infected person; `genome` is what they carry at day `since`."""

    island: int
    genome: list[str]
    since: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One sequenced genome."""

    strain: str
    day: float
    island: int
    genome: str


def exponential(rng: Random, mean: float) -> float:
    """A waiting time with this mean."""
    return -math.log(1.0 - rng.random()) * mean


def erlang(rng: Random, mean: float) -> float:
    """A duration with this mean and a coefficient of variation of 0.7, never near zero."""
    return exponential(rng, mean / 2) + exponential(rng, mean / 2)


def draw_base(rng: Random) -> str:
    """A nucleotide by the base frequencies."""
    left = rng.random()
    for base in BASES:
        left -= FREQUENCIES[base]
        if left < 0:
            return base
    return BASES[-1]


def draw_codon(rng: Random) -> str:
    """A codon by the base frequencies, never a stop."""
    while True:
        codon = draw_base(rng) + draw_base(rng) + draw_base(rng)
        if CODE[codon] != "*":
            return codon


def draw_genome(rng: Random) -> list[str]:
    """The first case's genome: every gene starts with ATG and ends with its only stop codon."""
    genome = [draw_base(rng) for _ in range(LENGTH)]
    for _, _, first, codons in GENES:
        gene = "ATG" + "".join(draw_codon(rng) for _ in range(codons - 2)) + "TAA"
        genome[first - 1 : first - 1 + len(gene)] = gene
    return genome


class Evolution:
    """HKY85 substitutions with purifying selection, `CLOCK_RATE` on average.

    A site and one of the other three bases are proposed at random, and the proposal becomes a
    substitution with probability `survival`. Proposals come so often that the first genome's
    expected number of substitutions is exactly the clock rate; no case's genome is far from it.
    """

    def __init__(self, genome: list[str]) -> None:
        self.codon_start = {
            site: first - 1 + (site - first + 1) // 3 * 3
            for _, _, first, codons in GENES
            for site in range(first - 1, first - 1 + 3 * codons)
        }
        self.starts = {first - 1 for _, _, first, _ in GENES}
        survivals = [
            self.survival(genome, site, base)
            for site in range(LENGTH)
            for base in BASES
            if base != genome[site]
        ]
        proposals_per_site_and_year = CLOCK_RATE * len(survivals) / sum(survivals)
        self.days_between_proposals = DAYS_PER_YEAR / (proposals_per_site_and_year * LENGTH)

    def survival(self, genome: list[str], site: int, base: str) -> float:
        """The probability, up to a constant factor, that this change becomes a substitution."""
        weight = FREQUENCIES[base] / max(FREQUENCIES.values())
        weight *= 1.0 if genome[site] + base in TRANSITIONS else 1.0 / KAPPA
        return weight * self.selection(genome, site, base)

    def selection(self, genome: list[str], site: int, base: str) -> float:
        """1 for a change no protein shows, `OMEGA` for another amino acid, 0 for a broken gene."""
        start = self.codon_start.get(site)
        if start is None:
            return 1.0
        codon = genome[start : start + 3]
        before = CODE["".join(codon)]
        codon[site - start] = base
        after = CODE["".join(codon)]
        if before == after:
            return 1.0
        return 0.0 if "*" in (before, after) or start in self.starts else OMEGA

    def advance(self, rng: Random, case: Case, day: float) -> None:
        """Let the genome a case carries evolve until `day`."""
        while True:
            wait = exponential(rng, self.days_between_proposals)
            # What is left of a waiting time that passes `day` may be forgotten: it has no memory.
            if case.since + wait > day:
                case.since = day
                return
            case.since += wait
            site = int(rng.random() * LENGTH)
            others = BASES.replace(case.genome[site], "")
            base = others[int(rng.random() * 3)]
            if rng.random() < self.survival(case.genome, site, base):
                case.genome[site] = base


class Epidemic:
    """The outbreak as a queue of events in the order of time: contacts and samples."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.reference = draw_genome(rng)
        self.evolution = Evolution(self.reference)
        self.susceptible = [POPULATION] * len(ISLANDS)
        self.cases: list[Case] = []
        self.samples: list[Sample] = []
        self.first_case: dict[int, float] = {}  # island → day
        self.period_done = [-1] * len(ISLANDS)
        self.queue: list[tuple[float, int, str]] = []  # day, number of the case, event
        self.infect(0, self.reference, 0.0)

    def infect(self, island: int, genome: list[str], day: float) -> None:
        """Add a case and put what will happen to it into the queue."""
        self.susceptible[island] -= 1
        self.first_case.setdefault(island, day)
        number = len(self.cases)
        self.cases.append(Case(island, list(genome), day))
        begin = day + erlang(self.rng, LATENT_DAYS)
        end = begin + erlang(self.rng, INFECTIOUS_DAYS)
        heapq.heappush(self.queue, (begin + self.rng.random() * (end - begin), number, "sample"))
        contact = begin
        while True:
            contact += exponential(self.rng, INFECTIOUS_DAYS / REPRODUCTION_NUMBER)
            if contact > end:
                return
            heapq.heappush(self.queue, (contact, number, "contact"))

    def run(self) -> None:
        """Play the events until the last day of the study."""
        while self.queue and self.queue[0][0] < DAYS:
            day, number, event = heapq.heappop(self.queue)
            case = self.cases[number]
            self.evolution.advance(self.rng, case, day)
            if event == "sample":
                self.sample(case, day)
            else:
                self.contact(case, day)

    def contact(self, case: Case, day: float) -> None:
        """Meet somebody of the same island or, rarely, of the next one; infect who can be."""
        island = case.island
        if self.rng.random() < TRAVEL:
            island += 1 if self.rng.random() < 0.5 else -1
        if not 0 <= island < len(ISLANDS):
            return
        if self.rng.random() < self.susceptible[island] / POPULATION:
            self.infect(island, case.genome, day)

    def sample(self, case: Case, day: float) -> None:
        """Sequence the case if it is the first of the laboratory's period."""
        period = int(day / LABORATORY_DAYS)
        if period == self.period_done[case.island]:
            return
        self.period_done[case.island] = period
        name = ISLANDS[case.island].split()[0]
        strain = f"{name}/{len(self.samples) + 1:03d}/{date_of(day).year}"
        self.samples.append(Sample(strain, day, case.island, "".join(case.genome)))


def date_of(day: float) -> date:
    """The calendar date of a day of the simulation."""
    return START + timedelta(days=int(day))


def hide(genome: str, first: int, length: int) -> str:
    """The genome with `length` nucleotides from index `first` unknown."""
    end = min(len(genome), first + length)
    return genome[:first] + "N" * (end - first) + genome[end:]


def sequence(rng: Random, samples: list[Sample]) -> dict[str, str]:
    """What the sequencer reads: amplicons fail now and then, and one genome is mostly lost."""
    read = {}
    for sample in samples:
        genome = sample.genome
        for first in range(0, LENGTH, DROPOUT):
            if rng.random() < DROPOUT_PROBABILITY:
                genome = hide(genome, first, DROPOUT)
        read[sample.strain] = genome
    lost = samples[int(rng.random() * len(samples))]
    read[lost.strain] = hide(lost.genome, 0, int(0.7 * LENGTH))
    return read


def dates(rng: Random, samples: list[Sample]) -> dict[str, str]:
    """The dates as reported: two lack the day, one lacks the month too."""
    reported = {sample.strain: date_of(sample.day).isoformat() for sample in samples}
    for known in (7, 7, 4):
        strain = samples[int(rng.random() * len(samples))].strain
        reported[strain] = reported[strain][:known] + "-XX" * ((10 - known) // 3)
    return reported


def fasta(genomes: dict[str, str]) -> str:
    """The genomes as FASTA, 60 nucleotides a line."""
    lines = []
    for strain, genome in genomes.items():
        lines.append(f">{strain}")
        lines += [genome[first : first + 60] for first in range(0, len(genome), 60)]
    return "\n".join(lines) + "\n"


def metadata(samples: list[Sample], reported: dict[str, str]) -> str:
    """The table that goes with the genomes."""
    rows = ["strain\tvirus\tdate\tlocation"]
    rows += [
        f"{sample.strain}\tgrove\t{reported[sample.strain]}\t{ISLANDS[sample.island]}"
        for sample in samples
    ]
    return "\n".join(rows) + "\n"


def genbank(genome: str) -> str:
    """The first case's genome with its genes as a GenBank file."""
    lines = [
        f"LOCUS       GROVE_REFERENCE {LENGTH:>12} bp    RNA     linear   VRL 01-MAR-2021",
        "DEFINITION  Grove virus (simulated), genome of the first case.",
        "ACCESSION   GROVE_REFERENCE",
        "VERSION     GROVE_REFERENCE.1",
        "SOURCE      simulated",
        "FEATURES             Location/Qualifiers",
        f"     source          1..{LENGTH}",
        '                     /organism="Grove virus (simulated)"',
    ]
    for name, product, first, codons in GENES:
        lines += [
            f"     CDS             {first}..{first + 3 * codons - 1}",
            f'                     /gene="{name}"',
            f'                     /product="{product}"',
        ]
    lines.append("ORIGIN")
    for first in range(0, LENGTH, 60):
        row = genome[first : first + 60].lower()
        tens = " ".join(row[at : at + 10] for at in range(0, len(row), 10))
        lines.append(f"{first + 1:>9} {tens}")
    return "\n".join([*lines, "//", ""])


def write(directory: Path) -> Epidemic:
    """Simulate and write the three files below `directory`."""
    rng = Random(SEED)
    epidemic = Epidemic(rng)
    epidemic.run()
    files = {
        "config/reference.gb": genbank("".join(epidemic.reference)),
        "data/sequences.fasta": fasta(sequence(rng, epidemic.samples)),
        "data/metadata.tsv": metadata(epidemic.samples, dates(rng, epidemic.samples)),
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii", newline="\n")
    return epidemic


def main() -> None:
    """Write the files and print what the genomes do not tell, to compare with the build."""
    default = Path(__file__).resolve().parent.parent
    epidemic = write(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
    print(f"{len(epidemic.cases)} cases, {len(epidemic.samples)} genomes sequenced")
    for island, day in epidemic.first_case.items():
        print(f"{ISLANDS[island]}: first case infected on {date_of(day)}")


if __name__ == "__main__":
    main()
