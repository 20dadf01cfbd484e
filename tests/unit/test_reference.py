"""The generated reference."""

import importlib.util
from pathlib import Path

import pytest

from nextstrain_batch import cli
from nextstrain_batch.batch_settings import BUCKET, CPUS, JOB, MEMORY, QUEUE, SANDBOX
from nextstrain_batch.runtimes.base import IMAGE, RUNNER

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "generate_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_up_to_date(generator):
    """docs/reference/commands.md is what docs/generate_reference.py writes."""
    assert generator.PAGE.read_text() == generator.page(), "run `python docs/generate_reference.py`"


def test_every_command_and_option_of_build_is_in_it(generator):
    """Each command has a section and each option of build a row."""
    page = generator.page()
    for command in cli.COMMANDS:
        assert f"## `nextstrain {command}`" in page
    for option in ("--attach", "--env", "--aws-batch-s3-bucket", "--no-download", "--ambient"):
        assert f"`{option}" in page


@pytest.mark.parametrize("name", [JOB, QUEUE, BUCKET, CPUS, MEMORY, SANDBOX, IMAGE, RUNNER])
def test_every_setting_is_in_the_settings_reference(name):
    """docs/reference/settings.md tells each setting's option, variable, section and key."""
    text = (DOCS / "reference" / "settings.md").read_text()
    for word in (name.option, name.variable, f"`[{name.section}] {name.key}`"):
        assert word is None or word in text
