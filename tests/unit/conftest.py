"""What several unit tests share."""

import argparse
from contextlib import ExitStack

import pytest

from nextstrain_batch import batch_settings
from nextstrain_batch.commands import setup_options
from nextstrain_batch.commands.setup_choices import Asked
from nextstrain_batch.config import Settings
from scripted_server import Scripted, serving


@pytest.fixture
def serve():
    """Return what starts a server with a script."""
    with ExitStack() as stack:
        yield lambda *script: stack.enter_context(serving(Scripted(*script)))


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def asked(home):
    """Return what `nextstrain setup aws-batch` is asked by words and variables, as a function."""

    def asked(*words, **variables):
        parser = argparse.ArgumentParser()
        setup_options.add_arguments(parser)
        arguments = parser.parse_args(("aws-batch", *words))
        environ = {"HOME": str(home), "NEXTSTRAIN_HOME": str(home), **variables}
        settings = Settings.load(environ)
        given = batch_settings.Given(bucket=arguments.bucket, sandbox=arguments.sandbox)
        return Asked(arguments, batch_settings.resolve(settings, given), settings)

    return asked
