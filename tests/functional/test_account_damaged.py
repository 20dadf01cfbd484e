"""Each kind of resource, removed or changed: the plan and check-setup name it, setup mends it."""

import pytest

from damaging import BUCKET, CHANGED, DAMAGES, DEFINITION, GROUP, IMPOSSIBLE, QUEUE, REMOVED
from nextstrain_batch.account.apply import apply
from nextstrain_batch.account.checks import Subject, Verdict, check
from nextstrain_batch.account.kinds import KINDS
from nextstrain_batch.account.options import Options
from nextstrain_batch.account.plan import plan
from nextstrain_batch.account.resources import account
from nextstrain_batch.config import BucketUrl
from nextstrain_batch.sandbox import manager, member
from sandbox_account import clients_of, place_of

ACCOUNT = account(Options(BUCKET, "us-east-1", max_vcpus=16, disk_gib=100, new_vpc=True))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield home
    manager.stop(home)


@pytest.fixture(scope="module")
def member_keys(home):
    """Return the keys of a member of the group. The account that comes with them is made over."""
    return manager.ensure(home)


@pytest.fixture(scope="module")
def place(home, member_keys):  # noqa: ARG001
    return place_of(clients_of(manager.administrator(home)))


@pytest.fixture(scope="module")
def failed(member_keys, place):
    """Return what check-setup fails on, as the administrator sees it for a member of the group."""
    subject = Subject(
        place=place,
        own=place_of(clients_of(member_keys)),
        bucket=BucketUrl.parse(BUCKET),
        queue=QUEUE,
        definition=DEFINITION,
        cpus=4,
        memory_mib=7200,
        region_source="the sandbox's",
    )

    def found():
        return {each.part: each for each in check(subject) if each.verdict is Verdict.FAILED}

    return found


@pytest.fixture(scope="module")
def complete(place):
    apply(ACCOUNT, place)


def test_every_kind_can_be_removed_and_changed():
    """The table of damages has all that there is to damage."""
    kinds = {resource: {REMOVED, CHANGED} for resource in KINDS}
    possible = {(kind, how) for kind, both in kinds.items() for how in both} - IMPOSSIBLE.keys()
    assert {(each.kind, each.how) for each in DAMAGES.values()} == possible
    assert {type(each) for each in ACCOUNT.resources} == set(KINDS)


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_named_and_mended(damage, place, failed):
    """The plan has it, check-setup fails on it and says what mends it; then all is well."""
    found = DAMAGES[damage]
    found.does(place.client)
    assert found.kind in {type(step.resource) for step in plan(ACCOUNT, place).work}
    wrong = failed()
    assert found.part in wrong
    mends = "administers" if found.part.startswith("permissions") else "nextstrain setup aws-batch"
    assert mends in wrong[found.part].remedy
    apply(ACCOUNT, place)
    place.client("iam").add_user_to_group(GroupName=GROUP, UserName=member.USER)
    assert plan(ACCOUNT, place).work == ()
    assert failed() == {}
