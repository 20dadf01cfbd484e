"""The job's command."""

import json
import os
import subprocess

import pytest

from nextstrain_batch import results
from nextstrain_batch.agent import bootstrap, fetch_agent

COMMAND = bootstrap.command("a" * 64)


def test_small_enough():
    """The command leaves more than half of what Batch allows to other overrides."""
    assert len(json.dumps(COMMAND)) < 8192 / 2


def test_nothing_that_batch_or_a_locale_changes():
    """Batch finds no parameter to substitute, and no locale misreads a character."""
    text = "".join(COMMAND)
    assert text.isascii()
    assert "Ref::" not in text
    assert "$(" not in text


def test_is_shell():
    """The shell's part is valid for the strictest shell at hand."""
    subprocess.run(["sh", "-n", "-c", COMMAND[2]], check=True)


def test_is_python():
    """The Python part compiles, and says what it does only to the readers of the source."""
    compile(COMMAND[4], "fetch_agent", "exec")
    assert '"""' not in COMMAND[4]
    assert "#" not in COMMAND[4]


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({}, ""),
        ({"NEXTSTRAIN_BATCH_REGION": "us-gov-west-1"}, "us-gov-west-1"),
        ({"NEXTSTRAIN_BATCH_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "x"}, "x"),
    ],
)
def test_the_aws_cli_asks_in_the_region_that_was_told(tmp_path, monkeypatch, environ, region):
    """In some parts of AWS, the job role's keys are good nowhere else."""
    program = tmp_path / "aws"
    program.write_text('#!/bin/sh\nprintf %s "$AWS_DEFAULT_REGION"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert fetch_agent.with_cli("s3://b/agents/a", None).decode() == region


def test_exit_codes_are_the_documented_ones():
    """The Python part stands alone, so its exit codes are numbers: those of ``results``."""
    for code in (
        results.NO_RUN,
        results.NO_S3_CLIENT,
        results.AGENT_UNAVAILABLE,
        results.AGENT_CORRUPT,
    ):
        assert f"fail({code}, " in COMMAND[4]
    assert f"os._exit({results.TERMINATED})" in COMMAND[4]
