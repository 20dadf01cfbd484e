"""What instances there are in the sandbox, by the types that a compute environment names."""

import pytest

from nextstrain_batch.account.bundles import BUNDLES
from nextstrain_batch.sandbox.instances import types_of


def families(*names):
    return {each.name.partition(".")[0] for each in types_of(names)}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_several_families(name):
    """AWS's names for several families are not taken for one of that name."""
    assert families(name) == set(BUNDLES[name].families)
    assert families(name, "z1d") == {*BUNDLES[name].families, "z1d"}


def test_without_types_there_are_those_of_optimal():
    """As with AWS, it is what an environment has unless told otherwise."""
    assert types_of(()) == types_of(("optimal",)) == types_of(("default_x86_64",))


@pytest.mark.parametrize(
    ("name", "vcpus", "gib"),
    [("optimal", 192, 384), ("m6i", 128, 512), ("r6i", 128, 1024), ("default_arm64", 64, 512)],
)
def test_the_largest_types_are_as_on_aws(name, vcpus, gib):
    """Their vCPUs are exact, and their memory but for what the system takes of it."""
    largest = types_of((name,))[-1]
    assert largest.vcpus == vcpus
    assert 0.95 * gib < largest.memory / 1024 < gib


@pytest.mark.parametrize("name", BUNDLES)
def test_what_is_certain_of_a_bundle_is_there(name):
    """What check-setup calls certain runs here, too."""
    vcpus, mib = BUNDLES[name].largest
    assert any(each.fits(vcpus, int(0.95 * mib)) for each in types_of((name,)))
