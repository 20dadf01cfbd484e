"""What a test may need of the machine."""

import os

import pytest


def missing(reason):
    """Skip a test for what this machine lacks; fail where nothing may be lacking, as in CI."""
    if os.environ.get("NEXTSTRAIN_BATCH_TESTS_STRICT"):
        pytest.fail(reason)
    pytest.skip(reason)
