"""The job's environment."""

from pathlib import Path

import pytest

from nextstrain_batch.agent.context import Context, program_environment
from nextstrain_batch.errors import UsageError


def test_reads_everything():
    """Bucket, prefix, run, attempt and directory come from the environment."""
    environ = {
        "NEXTSTRAIN_BATCH_RUN": "s3://bucket/a/b/runs/zika-1",
        "AWS_BATCH_JOB_ATTEMPT": "3",
        "NEXTSTRAIN_BATCH_ATTEMPTS": "5",
        "NEXTSTRAIN_BATCH_BUILD_DIR": "/somewhere",
    }
    expected = Context("bucket", "a/b", "zika-1", 3, Path("/somewhere"), 5)
    assert Context.from_environment(environ) == expected


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({}, None),
        ({"NEXTSTRAIN_BATCH_REGION": "us-gov-west-1"}, "us-gov-west-1"),
        ({"NEXTSTRAIN_BATCH_REGION": "eu-west-1", "AWS_REGION": "eu-north-1"}, "eu-north-1"),
    ],
)
def test_the_region_is_the_containers_or_the_clients(environ, region):
    """AWS does not tell a container on an instance, so the client does."""
    context = Context.from_environment({"NEXTSTRAIN_BATCH_RUN": "s3://b/runs/r", **environ})
    assert context.region == region


def test_defaults():
    """Without more than the run it is the first attempt, in the image's build directory."""
    context = Context.from_environment({"NEXTSTRAIN_BATCH_RUN": "s3://bucket/runs/zika-1"})
    assert context == Context("bucket", "", "zika-1", 1, Path("/nextstrain/build"))


@pytest.mark.parametrize(
    "url",
    ["", "zika-1", "s3://bucket/zika-1", "s3://bucket/runs/", "http://x/runs/1", "s3:///runs/1"],
)
def test_refuses_other_addresses(url):
    """A run that cannot be is refused by the name of the variable."""
    with pytest.raises(UsageError, match="NEXTSTRAIN_BATCH_RUN"):
        Context.from_environment({"NEXTSTRAIN_BATCH_RUN": url})


@pytest.mark.parametrize("attempt", ["0", "-1", "two", "", "²"])
def test_refuses_other_attempts(attempt):
    """An attempt that cannot be is refused by the name of the variable."""
    for name in ("AWS_BATCH_JOB_ATTEMPT", "NEXTSTRAIN_BATCH_ATTEMPTS"):
        with pytest.raises(UsageError, match=name):
            Context.from_environment({"NEXTSTRAIN_BATCH_RUN": "s3://b/runs/r", name: attempt})


def test_program_gets_the_container_and_the_user():
    """The user's values win over the container's, a None takes away, ours stay with us."""
    container = {"PATH": "/bin", "A": "old", "B": "gone", "NEXTSTRAIN_BATCH_RUN": "s3://…"}
    given = {"A": "new", "B": None, "AWS_ACCESS_KEY_ID": "user's"}
    assert program_environment(container, given) == {
        "PATH": "/bin",
        "A": "new",
        "AWS_ACCESS_KEY_ID": "user's",
    }
