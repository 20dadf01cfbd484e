"""Finding out what travels, before anything is sent."""

import io
from dataclasses import dataclass, field

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.errors import PathogenError
from nextstrain_batch.local_state import LocalState
from nextstrain_batch.pathogen import MARKER, find
from nextstrain_batch.runtimes.aws_batch.gathering import gather
from nextstrain_batch.ui import Ui
from trees import write


@dataclass
class Batch:
    """As much of one as gathering needs."""

    state: LocalState
    bucket: MemoryTransport = field(default_factory=MemoryTransport)
    out: io.StringIO = field(default_factory=io.StringIO)

    @property
    def ui(self):
        return Ui(self.out, self.out)


@pytest.fixture
def batch(tmp_path):
    return Batch(LocalState(tmp_path / "state"))


@pytest.fixture
def repository(tmp_path):
    files = {MARKER: "", "ingest/Snakefile": "", "ingest/big": b"x" * 40_000_000, "environment": ""}
    return write(tmp_path / "repository", files)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_working_directory_that_is_left_out(batch, repository, dry_run):
    """It is an error before anything is read or sent, in a dry run as well."""
    write(repository, {".nextstrainignore": "/ingest/\n", "other": b"y" * 40_000_000})
    with pytest.raises(PathogenError, match="line 1: /ingest/"):
        gather(batch, find(repository / "ingest"), (), dry_run=dry_run)
    assert not batch.bucket.objects


def test_what_is_left_out_and_what_matches_nothing(batch, repository):
    """What is gathered tells what stays here, and which patterns match nothing."""
    patterns = ("ingest", "!*/Snakefile", "*.bam")
    gathered = gather(batch, find(repository / "ingest"), patterns, dry_run=True)
    paths = {entry.path for entry in gathered.plan.snapshot.entries}
    assert paths == {MARKER, "ingest", "ingest/Snakefile"}
    assert {each.path for each in gathered.left_out} == {"ingest/big", "environment"}
    assert gathered.unmatched == ("*.bam",)


SNAKEMAKE = ("snakemake", "--printshellcmds", "--cores=all")


@pytest.mark.parametrize(
    ("files", "below", "program", "is_warned"),
    [
        (["Snakefile"], "", SNAKEMAKE, False),
        (["workflow/snakefile"], "", SNAKEMAKE, False),
        (["ingest/Snakefile", MARKER], "ingest", SNAKEMAKE, False),
        (["ingest/Snakefile"], "", SNAKEMAKE, True),
        (["ingest/x", "Snakefile", MARKER], "ingest", SNAKEMAKE, True),
        (["x"], "", (*SNAKEMAKE, "-s", "x"), False),
        (["x"], "", ("augur", "-h"), False),
        ([], "", ("augur", "-h"), True),
        ([], "", (), False),
    ],
)
def test_a_program_that_finds_nothing(batch, tmp_path, files, below, program, is_warned):
    """An empty directory, or one where Snakemake finds no workflow, is warned of."""
    root = tmp_path / "build"
    root.mkdir()
    write(root, dict.fromkeys(files, ""))
    gather(batch, find(root / below), (), program=program)
    assert ("warning:" in batch.out.getvalue()) is is_warned
