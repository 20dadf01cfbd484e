"""What a set-up is to be, by everything that has a say."""

import argparse

import pytest

from nextstrain_batch import batch_settings
from nextstrain_batch.commands import setup_choices, setup_options
from nextstrain_batch.commands.setup_choices import Asked
from nextstrain_batch.config import Settings


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def asked(home):
    """Return what the command is asked by words and variables, as a function."""

    def asked(*words, **variables):
        parser = argparse.ArgumentParser()
        setup_options.add_arguments(parser)
        arguments = parser.parse_args(("aws-batch", *words))
        environ = {"HOME": str(home), "NEXTSTRAIN_HOME": str(home), **variables}
        settings = Settings.load(environ)
        given = batch_settings.Given(bucket=arguments.bucket, sandbox=arguments.sandbox)
        return Asked(arguments, batch_settings.resolve(settings, given), settings)

    return asked


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def chosen(asked):
    return setup_choices.options(setup_choices.find(asked), asked)


def test_the_region_is_the_one_that_was_said_most_clearly(asked, home, tmp_path):
    """The option, then the file, then what was chosen before, then the AWS settings."""
    file = written(tmp_path / "their.toml", 'region = "eu-west-2"\n')
    kept = written(home / "aws-batch" / "setup" / "our-jobs.toml", 'region = "eu-west-3"\n')
    words = ["--bucket=our-jobs", f"--file={file}", "--region=eu-west-1"]
    found = []
    for forgotten in (None, words.pop, words.pop, kept.unlink):
        if forgotten:
            forgotten()
        found.append(setup_choices.find(asked(*words, AWS_REGION="us-west-2"))["region"])
    assert found == ["eu-west-1", "eu-west-2", "eu-west-3", "us-west-2"]
    assert setup_choices.find(asked())["region"] == "us-east-1"
