"""The outbreak example, run by Snakemake alone: what every other way of running it is held to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from needs import missing

OUTBREAK = Path(__file__).resolve().parents[2] / "examples" / "outbreak"
FIRST_CASE = 2021 + (31 + 28) / 365  # 1 March 2021, which the simulation knows and the build infers


def run(directory: Path, *command: str) -> str:
    """Run a program of this Python environment there and give back all it printed."""
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(directory.parent),
        "XDG_CACHE_HOME": str(directory.parent / "cache"),
    }
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def committed(directory: Path) -> Path:
    """A copy of the example without what an earlier build may have left in it."""
    results = shutil.ignore_patterns(".snakemake", "auspice", "logs", "results", "__pycache__")
    return Path(shutil.copytree(OUTBREAK, directory, ignore=results))


def tips(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The leaves below a node of an Auspice tree."""
    children = node.get("children", [])
    return [tip for child in children for tip in tips(child)] if children else [node]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's directory after a build; some 20 seconds on two processors."""
    for program in ("augur", "snakemake"):
        if not (Path(sys.executable).parent / program).exists():
            missing(f"{program} is not installed: pip install 'nextstrain-batch[example]'")
    directory = committed(tmp_path_factory.mktemp("native") / "outbreak")
    run(directory, "snakemake", "--cores", "2")
    return directory


@pytest.fixture(scope="module")
def dataset(built: Path) -> dict[str, Any]:
    """The build's result, read."""
    parsed: dict[str, Any] = json.loads((built / "auspice" / "outbreak.json").read_text())
    return parsed


def test_the_generator_reproduces_the_committed_data(tmp_path: Path) -> None:
    """Running the generator again gives the committed files byte for byte."""
    run(tmp_path, sys.executable, str(OUTBREAK / "scripts" / "simulate.py"), str(tmp_path))

    for name in ("data/sequences.fasta", "data/metadata.tsv", "config/reference.gb"):
        assert (tmp_path / name).read_bytes() == (OUTBREAK / name).read_bytes(), name


def test_augur_accepts_the_result(built: Path) -> None:
    """The native build ends in a dataset that augur declares valid."""
    said = run(built, "augur", "validate", "export-v2", "auspice/outbreak.json")

    assert "Validation of 'auspice/outbreak.json' succeeded" in said


def test_the_tree_holds_every_genome_that_is_good_enough(dataset: dict[str, Any]) -> None:
    """Of 58 genomes, the one mostly lost and the one without a month are left out."""
    names = {tip["name"] for tip in tips(dataset["tree"])}

    assert len(names) == 56
    assert not names & {"Alder/001/2021", "Elm/055/2023"}


def test_the_build_finds_out_what_was_simulated(dataset: dict[str, Any]) -> None:
    """The inferred origin has the simulated island and, within its confidence, the first case."""
    origin = dataset["tree"]["node_attrs"]

    earliest, latest = origin["num_date"]["confidence"]
    assert earliest <= FIRST_CASE <= latest
    assert origin["location"]["value"] == "Alder Island"


def test_no_gene_stops_early(dataset: dict[str, Any]) -> None:
    """Every ancestor and descendant has proteins that end where the reference's end."""
    proteins = dataset["root_sequence"]

    for gene in ("N", "G", "L"):
        assert proteins[gene].startswith("M")
        assert proteins[gene].find("*") == len(proteins[gene]) - 1
    assert "*" not in json.dumps(dataset["tree"])


def test_a_transferred_build_has_nothing_to_do(built: Path, tmp_path: Path) -> None:
    """Snakemake repeats nothing in a copy elsewhere that kept the times of modification."""
    copy = Path(shutil.copytree(built, tmp_path / "elsewhere" / "build"))

    assert "Nothing to be done" in run(copy, "snakemake", "--cores", "1")
