"""The account made and found again, on the sandbox's own services."""

import pytest

from nextstrain_batch.account.apply import apply
from nextstrain_batch.account.options import Options
from nextstrain_batch.account.plan import plan
from nextstrain_batch.account.resources import account
from nextstrain_batch.sandbox import manager
from sandbox_account import clients_of, place_of

ACCOUNT = account(Options("their-bucket", "us-east-1", max_vcpus=16))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield manager.administrator(home)
    manager.stop(home)


@pytest.fixture(scope="module")
def place(endpoint):
    return place_of(clients_of(endpoint))


@pytest.fixture
def complete(place):
    apply(ACCOUNT, place)


@pytest.mark.usefixtures("complete")
def test_applying_twice_does_nothing(place):
    """A complete account has a plan without work."""
    assert plan(ACCOUNT, place).work == ()
    assert apply(ACCOUNT, place).work == ()


def test_every_step_is_told_before_it_is_taken(place):
    """Progress names each resource, in the order in which they depend on each other."""
    other = account(Options("another-bucket", "us-east-1", max_vcpus=16))
    steps = []
    apply(other, place, progress=steps.append)
    numbers = [other.resources.index(step.resource) for step in steps]
    assert numbers
    assert numbers == sorted(numbers)
    apply(ACCOUNT, place)
