"""An account made, and removed, with an interruption after each single call that changes it."""

import pytest

from interrupting import CutOffError, Interrupting
from nextstrain_batch.account.apply import apply, execute
from nextstrain_batch.account.options import ALLOWABLE, Options
from nextstrain_batch.account.plan import Action, destruction, plan
from nextstrain_batch.account.resources import account, everything
from nextstrain_batch.sandbox import manager
from sandbox_account import clients_of, place_of

OPTIONS = Options(
    "cut-off-jobs", "us-east-1", spot=True, disk_gib=200, allow=ALLOWABLE, own_prefixes=True
)
ACCOUNT = account(OPTIONS)
AWS_OWN = (Action.LEAVE, "service role AWSServiceRoleForBatch")


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield clients_of(manager.administrator(home))
    manager.stop(home)


def make(place):
    return apply(ACCOUNT, place)


def remove(place):
    planned = destruction(everything(OPTIONS), place, delete_data=True)
    execute(planned, place)
    return planned


def goes_on(task, clients, calls):
    """Do something that is cut off after some calls, then again; return whether it was cut off."""
    try:
        task(place_of(Interrupting(clients, calls)))
    except CutOffError:
        task(place_of(clients))
        return True
    return False


def test_a_second_run_completes_what_was_interrupted_anywhere(clients):
    """After any one call, the same command again makes the rest, and removes the rest."""
    place, calls, cut_off = place_of(clients), 0, True
    while cut_off:
        calls += 1
        cut_off = goes_on(make, clients, calls)
        assert plan(ACCOUNT, place).work == (), calls
        place.client("s3").put_object(Bucket=OPTIONS.bucket, Key="a", Body=b"a")
        cut_off |= goes_on(remove, clients, calls)
        left = destruction(everything(OPTIONS), place, delete_data=True).steps
        assert [(each.action, each.title) for each in left] == [AWS_OWN], calls
    assert calls > 30
