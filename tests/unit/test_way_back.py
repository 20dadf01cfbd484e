"""How to come back to a job: the command lines, and that whatever leaves a job says them."""

import shlex
from pathlib import Path

import pytest

from batch_place import RUN, Place
from nextstrain_batch.arguments import Parser
from nextstrain_batch.commands.build_options import add_arguments
from nextstrain_batch.config import BucketUrl, Setting
from nextstrain_batch.errors import AccessDeniedError, PathogenError, UnreachableError
from nextstrain_batch.job import UnknownJobError
from nextstrain_batch.runs import LedgerEntry
from nextstrain_batch.runtimes.aws_batch.context import Launched
from nextstrain_batch.runtimes.aws_batch.way_back import WayBack, before_there_is_a_job

ATTACH = "nextstrain build --aws-batch --attach job-1"
ZIKA = WayBack("job-1", Path("zika"))


def test_the_command_lines():
    """Without a directory one only watches, and what fetches leaves room for the directory."""
    named, nameless = WayBack("job-1", Path("my zika")), WayBack("job-1", None)
    assert named.attach == named.fetch == f"{ATTACH} 'my zika'"
    assert nameless.attach == f"{ATTACH} --no-download"
    assert nameless.fetch == f"{ATTACH} <directory>"
    assert named.cancel == f"{ATTACH} --cancel 'my zika'"
    assert nameless.cancel == f"{ATTACH} --cancel"
    assert WayBack("job-1", None, in_sandbox=True).fetch == (
        "nextstrain build --aws-batch --sandbox --attach job-1 <directory>"
    )


@pytest.mark.parametrize("way_back", [WayBack("job-1", Path("my zika")), WayBack("job-1", None)])
def test_the_command_lines_are_taken_by_the_command(way_back):
    """Each says to the parser what it says to the reader, with nothing left for a program."""
    parser = Parser(program_arguments=True)
    add_arguments(parser)
    for line in (
        way_back.attach,
        way_back.fetch.replace("<", "").replace(">", ""),
        way_back.cancel,
    ):
        words = shlex.split(line)[2:]
        found = parser.parse_args(words)
        assert found.attach == "job-1"
        assert found.program_arguments == []
        assert found.cancel is ("--cancel" in words)


@pytest.mark.parametrize(
    ("bucket", "in_ledger", "name"),
    [
        ("s3://memory/prefix", False, RUN.id),
        ("s3://memory/others", True, RUN.id),
        ("s3://memory/others", False, "job-1"),
    ],
)
def test_results_are_found_by_the_run_where_that_leads_to_their_bucket(
    tmp_path, bucket, in_ledger, name
):
    """AWS Batch forgets jobs sooner; but only a job says by itself which bucket it is in."""
    batch = Place(tmp_path).batch
    batch.settings.bucket = Setting(BucketUrl.parse(bucket))
    if in_ledger:
        batch.state.ledger.write(LedgerEntry(RUN, "s3://memory/prefix", "us-east-1", "zika"))
    launched = Launched(RUN, "job-1", batch.bucket)
    assert WayBack.to_results(batch, launched, Path("zika")).name == name


def test_an_error_while_the_job_runs_says_how_to_come_back():
    """After what went wrong, and with what it carries."""
    with pytest.raises(AccessDeniedError) as raised, ZIKA.while_it_runs():
        raise AccessDeniedError("Not allowed.", action="batch:DescribeJobs")
    assert str(raised.value) == (
        f"Not allowed.\n\nThe job itself is not affected. To take it up again:\n\n    {ATTACH} zika"
    )
    assert raised.value.action == "batch:DescribeJobs"


def test_an_interrupt_while_the_job_runs_says_how_to_come_back_and_how_to_cancel():
    """Whoever presses Control-C too often leaves the job as it is."""
    with pytest.raises(KeyboardInterrupt) as raised, ZIKA.while_it_runs():
        raise KeyboardInterrupt
    (said,) = raised.value.args
    assert "job-1 goes on" in said
    assert f"    {ATTACH} zika\n" in said
    assert said.endswith(f"    {ATTACH} --cancel zika")


def test_an_output_that_nobody_reads_leaves_a_note():
    """Control-C ends `| tee` as well; the job goes on, and standard error can say so."""
    with pytest.raises(BrokenPipeError) as raised, ZIKA.while_it_runs():
        raise BrokenPipeError
    (note,) = raised.value.__notes__
    assert "job-1 goes on" in note


def test_nothing_leads_back_to_a_job_that_is_not_known():
    """It would only fail again."""
    with pytest.raises(UnknownJobError) as raised, ZIKA.while_it_runs():
        raise UnknownJobError("No such job.")
    assert str(raised.value) == "No such job."


@pytest.mark.parametrize("left_by", [UnreachableError("No network."), KeyboardInterrupt()])
def test_who_did_not_get_as_far_as_a_job_is_told_to_go_on(left_by):
    """What has arrived is not lost, and there is no job that costs anything."""
    with pytest.raises((UnreachableError, KeyboardInterrupt)) as raised, before_there_is_a_job():
        raise left_by
    assert "No job was submitted. What has arrived" in str(raised.value)


def test_an_error_with_a_next_step_of_its_own_stays_as_it_is():
    """A file that cannot be sent, for one, is to be mended first."""
    with pytest.raises(PathogenError) as raised, before_there_is_a_job():
        raise PathogenError("results/x is a socket. Remove it.")
    assert str(raised.value) == "results/x is a socket. Remove it."


@pytest.mark.parametrize("left_by", [UnreachableError("No network."), KeyboardInterrupt()])
def test_whatever_ends_the_bringing_back_says_where_the_results_are(left_by):
    """The job is over: there is nothing to cancel, and nothing is lost."""
    with pytest.raises((UnreachableError, KeyboardInterrupt)) as raised, ZIKA.once_it_is_over():
        raise left_by
    said = str(raised.value)
    assert "stays in the bucket" in said
    assert said.endswith(f"    {ATTACH} zika")
    assert "--cancel" not in said
