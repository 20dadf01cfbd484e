"""Finding out what travels, before anything is sent."""

import io
import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from fakes_aws import FakeBatch, client_error
from memory_transport import MemoryTransport
from nextstrain_batch.config import Setting
from nextstrain_batch.errors import JobError, PathogenError
from nextstrain_batch.local_state import LocalState
from nextstrain_batch.pathogen import KEPT, MARKER, UNFINISHED, LeftOut, find
from nextstrain_batch.runtimes.aws_batch.gathering import MUCH, gather
from nextstrain_batch.ui import Ui
from nextstrain_batch.walk import TEMPORARY_PREFIX
from trees import write


@dataclass
class Batch:
    """As much of one as gathering needs."""

    state: LocalState
    aws: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(batch=FakeBatch()))
    settings: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(queue=Setting("queue", ""), job=Setting("job", ""))
    )
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


def test_what_is_left_out(batch, repository):
    """What is gathered tells what stays here."""
    patterns = ("ingest", "!*/Snakefile")
    gathered = gather(batch, find(repository / "ingest"), patterns, dry_run=True)
    paths = {entry.path for entry in gathered.plan.snapshot.entries}
    assert paths == {MARKER, "ingest", "ingest/Snakefile"}
    assert {each.path for each in gathered.left_out} == {"ingest/big", "environment"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_patterns_without_a_match_are_named(batch, repository, dry_run):
    """A pattern that leaves out nothing may be mistyped, so it is named before anything is sent."""
    write(repository, {"fills-packs": random.Random(1).randbytes(40_000_000)})
    told = []
    batch.bucket.before = lambda verb, _key: told.append((verb, batch.out.getvalue()))
    gather(batch, find(repository), ("big", "dta/**", "!\udcff"), dry_run=dry_run)
    ending = "matches nothing, besides what stays here anyway.\n"
    warned = (
        f"warning: --exclude-from-upload dta/** {ending}"
        f"warning: --exclude-from-upload '!\\xff' {ending}"
    )
    assert batch.out.getvalue() == warned
    assert {text for verb, text in told if verb == "put"} == (set() if dry_run else {warned})


def test_what_patterns_are_relative_to_is_told_where_another_directory_is_named(batch, repository):
    """Whoever names a directory below the root learns that patterns do not begin there."""
    gather(batch, find(repository / "ingest"), ("big/*.bam",), dry_run=True)
    says = f"anyway. Patterns are relative to {repository.resolve()}, not to ingest.\n"
    assert batch.out.getvalue().endswith(says)


@pytest.mark.parametrize("dry_run", [True, False])
def test_obstacles_are_told_together(batch, repository, dry_run):
    """Whoever has many links that lead out learns of all of them at once, before any is sent."""
    os.mkfifo(repository / "a-pipe")
    for number in range(2, 13):
        (repository / f"link{number:02}").symlink_to("/elsewhere")
    with pytest.raises(PathogenError) as caught:
        gather(batch, find(repository), (), dry_run=dry_run)
    text = str(caught.value)
    assert "\n  'a-pipe' is a named pipe, which cannot be sent.\n" in text
    assert "\n  The symlink 'link10' leads out of the build directory, to '/elsewhere'.\n" in text
    assert "\n  … and 2 more\n" in text
    assert not batch.bucket.objects
    for number in range(2, 13):
        (repository / f"link{number:02}").unlink()
    with pytest.raises(PathogenError, match=r"^'a-pipe' is a named pipe.*\n\n"):
        gather(batch, find(repository), (), dry_run=dry_run)


def test_leftovers_of_downloads(batch, tmp_path):
    """They are shown in a dry run, never sent, and removed once no download can be at work."""
    name = f"{TEMPORARY_PREFIX}1a-0"
    root = write(tmp_path / "build", {"Snakefile": "", f"results/{name}": "12345"})
    planned = gather(batch, find(root), (), dry_run=True, clock=in_two_days)
    assert planned.left_out == (LeftOut(f"results/{name}", False, UNFINISHED),)
    gather(batch, find(root), ())
    assert (root / "results" / name).exists()
    gather(batch, find(root), (), clock=in_two_days)
    assert not any((root / "results").iterdir())
    assert "1 file, 5 bytes" in batch.out.getvalue()


def test_what_downloads_have_kept(batch, tmp_path):
    """It is shown in a dry run and never sent, whatever it holds and wherever it leads."""
    ending = ".before-zika-20261123T041500Z-1a2b3c4d"
    root = write(tmp_path / "build", {"Snakefile": "", f"environment.sh{ending}": "SECRET=1"})
    write(root, {f"data{ending}-2/x": ""})
    (root / f"results{ending}").symlink_to(tmp_path)
    gathered = gather(batch, find(root), ())
    assert [entry.path for entry in gathered.plan.snapshot.entries] == ["Snakefile"]
    kept = {(f"environment.sh{ending}", False), (f"results{ending}", False)}
    kept.add((f"data{ending}-2", True))
    assert set(gathered.left_out) == {LeftOut(*each, KEPT) for each in kept}


def in_two_days():
    return datetime.now(UTC) + timedelta(days=2)


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


NO_QUEUE = {"describe_job_queues": [{"jobQueues": []}]}
QUEUE = {"describe_job_queues": [{"jobQueues": [{"state": "ENABLED"}]}]}


@pytest.fixture
def big(tmp_path):
    """Return a directory that holds much, and takes no room on the disk."""
    root = write(tmp_path / "build", {"Snakefile": "", "big": ""})
    os.truncate(root / "big", MUCH)
    return root


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (NO_QUEUE, "no job queue queue"),
        (QUEUE | {"describe_job_definitions": [{}]}, "no active job definition job"),
    ],
)
def test_a_job_that_cannot_be_is_told_before_much_is_sent(batch, big, answers, words):
    """Who has misspelt the queue does not wait for gigabytes to learn it."""
    batch.aws.batch = FakeBatch(answers=answers)
    with pytest.raises(JobError, match=words):
        gather(batch, find(big), ())
    assert not batch.bucket.objects


def test_it_is_told_too_where_a_dry_run_has_read_the_files(batch, big):
    """What was read before is to be sent all the same."""
    batch.aws.batch = FakeBatch(answers=NO_QUEUE)
    (big / "big").write_bytes(random.Random(1).randbytes(MUCH))
    os.utime(big / "big", ns=(0, 0))  # Long ago, so that what was read of it is believed.
    gather(batch, find(big), (), dry_run=True)
    with pytest.raises(JobError, match="no job queue queue"):
        gather(batch, find(big), ())
    assert not batch.bucket.objects


@pytest.mark.parametrize("error", ["AccessDeniedException", "TooManyRequestsException"])
def test_what_cannot_be_looked_at_is_left_to_the_submission(batch, big, error):
    """A look that AWS denies, or has no time for, keeps nobody from building."""
    batch.aws.batch = FakeBatch(answers={"describe_job_queues": [client_error(error)]})
    assert gather(batch, find(big), ()).plan.new
    assert batch.aws.batch.requests("describe_job_queues")


def test_little_is_sent_at_once(batch, big):
    """To look first would take longer than to send it; so it does where nothing is to be sent."""
    os.truncate(big / "big", MUCH - 1)
    batch.aws.batch = FakeBatch(answers=NO_QUEUE)
    gather(batch, find(big), ())
    os.truncate(big / "big", MUCH)
    gather(batch, find(big), (), dry_run=True)
    assert not batch.aws.batch.requests("describe_job_queues")
