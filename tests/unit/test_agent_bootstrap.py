"""The job's command."""

import json
import subprocess

from nextstrain_batch import results
from nextstrain_batch.agent import bootstrap

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
