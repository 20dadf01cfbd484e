"""The Zika build on real data: the same through the sandbox as in place."""

import json
import os
import shutil
from pathlib import Path

import pytest

from needs import missing

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ZIKA_DATA", ROOT.parent / "shared" / "data" / "zika"))


@pytest.fixture
def zika(tmp_path):
    """Return two directories with the Zika data and our Snakefile."""
    if not DATA.is_dir():
        missing(f"the Zika data is not at {DATA}; set ZIKA_DATA to where it is")
    for programs in (["mafft"], ["seqkit"], ["iqtree2", "iqtree", "iqtree3"]):
        if not any(map(shutil.which, programs)):
            missing(f"{programs[0]} is not installed: apt-get install mafft iqtree seqkit")
    directories = tmp_path / "here" / "zika", tmp_path / "there" / "zika"
    for directory in directories:
        for source in DATA.rglob("*"):
            if (
                source.is_file()
            ):  # copied one by one: the data may lie in directories that are read-only
                path = directory / source.relative_to(DATA)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(source.read_bytes())
        shutil.copy(ROOT / "examples" / "zika" / "Snakefile", directory)
    return directories


def tips(node):
    """Return the names of a tree's leaves."""
    children = node.get("children", [])
    return {node["name"]} if not children else set().union(*map(tips, children))


def auspice(directory):
    """Return the build's one result for Auspice."""
    (path,) = (directory / "auspice").glob("*.json")
    return json.loads(path.read_text())


def test_zika(nextstrain, zika):
    """Real data gives the same tips through the sandbox as in place, and a rerun does nothing."""
    here, there = zika
    native = nextstrain("build", "--native", "--cpus", "2", here, timeout=600)
    assert native.returncode == 0, native.stdout + native.stderr
    sandbox = ("build", "--aws-batch", "--sandbox", "--cpus", "2")
    remote = nextstrain(*sandbox, there, timeout=600)
    assert remote.returncode == 0, remote.stdout + remote.stderr

    assert tips(auspice(there)["tree"]) == tips(auspice(here)["tree"])
    assert len(tips(auspice(there)["tree"])) > 25

    again = nextstrain(*sandbox, there, timeout=600)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to send" in again.stdout
    assert "Nothing to be done" in again.stdout
