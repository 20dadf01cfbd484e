"""Which runtime a build uses."""

import pytest

from nextstrain_batch.config import Setting, Source
from nextstrain_batch.errors import UserError
from nextstrain_batch.runtimes import base
from nextstrain_batch.runtimes.native import Native


def test_native_works_in_place_and_aws_batch_does_not():
    """The native runtime works on the files where they are, AWS Batch does not."""
    assert isinstance(base.in_place(Setting("native")), Native)
    assert base.in_place(Setting("aws-batch")) is None


@pytest.mark.parametrize("name", ["docker", "conda", "singularity", "nonsense", ""])
def test_a_runtime_that_is_not_here(name):
    """Another runtime is an error that says who asked for it and what to use instead."""
    source = Source("file", "[core] runner in /c, line 2")
    with pytest.raises(UserError, match="line 2") as caught:
        base.in_place(Setting(name, source))
    for option in ("--aws-batch", "--sandbox", "--native"):
        assert option in str(caught.value)


@pytest.mark.parametrize(
    ("written", "name"),
    [("AWS Batch", "aws-batch"), ("aws_batch", "aws-batch"), ("Ambient", "native"), ("x", "x")],
)
def test_names_are_forgiving(written, name):
    """A runtime's name may be written with blanks, underscores and capitals, or as an alias."""
    assert base.normalised(written) == name
