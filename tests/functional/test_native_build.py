"""A build in place, with Snakemake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SNAKEFILE = """
rule all:
    input: "results/cores.txt"

rule cores:
    output: "results/cores.txt"
    params: memory=str(workflow.global_resources).replace("'", "")
    shell: "echo {workflow.cores} $GREETING '{params.memory}' > {output}; exit $CODE"
"""


@pytest.fixture
def ingest(tmp_path):
    """Return the ingest directory of a pathogen repository."""
    directory = tmp_path / "zika" / "ingest"
    directory.mkdir(parents=True)
    (directory.parent / "nextstrain-pathogen.yaml").touch()
    (directory / "Snakefile").write_text(SNAKEFILE)
    return directory


def build(*words):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "nextstrain_batch", "build", "--native", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        check=False,
    )


def test_snakemake_runs_inside_the_directory_and_knows_its_size(ingest):
    """Snakemake runs in the directory, knows cores and memory, and rules get the variables."""
    options = ("--cpus", 1, "--memory", "64mib", "--env", "GREETING=hi", "--env", "CODE=0")
    done = build(*options, ingest, "--quiet")
    assert done.returncode == 0, done.stderr
    told = (ingest / "results" / "cores.txt").read_text()
    assert told.startswith("1 hi ")
    assert "mem_mb" in told
    assert "64" in told


def test_a_failing_build_fails(ingest):
    """Snakemake's exit code is the command's."""
    assert build("--env", "CODE=5", ingest).returncode == 1
