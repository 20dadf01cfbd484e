"""Every case, on the sandbox; on plain moto they are run by ``docs/generate_fidelity.py``."""

import pytest

from needs import missing

from .cases import all_cases
from .place import CannotError, sandbox

CASES = all_cases()


@pytest.fixture(scope="module")
def aws():
    with sandbox() as place:
        yield place


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.area}: {case.name}")
def test_it_is_as_on_aws(aws, case, request):
    """The sandbox does what AWS does; where it is known not to, that is what it does."""
    if case.missing:
        request.applymarker(pytest.mark.xfail(strict=True, reason=case.missing))
    try:
        case.function(aws)
    except CannotError as error:
        missing(str(error))


def test_every_case_says_what_aws_does():
    """The page that compares shows the sentences, and names are unique within an area."""
    assert all(case.sentence.endswith(".") for case in CASES)
    assert len({(case.area, case.name) for case in CASES}) == len(CASES)
