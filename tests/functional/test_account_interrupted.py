"""An account made, and removed, with an interruption after each single call that changes it."""

from typing import get_args

import pytest

from interrupting import CutOffError, Interrupting
from nextstrain_batch.account.apply import apply, execute
from nextstrain_batch.account.options import ALLOWABLE, Options
from nextstrain_batch.account.plan import Action, destruction, plan
from nextstrain_batch.account.resources import (
    Account,
    Bucket,
    SecurityGroup,
    account,
    everything,
)
from nextstrain_batch.account.vpc import Part
from nextstrain_batch.sandbox import manager
from sandbox_account import clients_of, place_of

OPTIONS = Options(
    "cut-off-jobs", "us-east-1", spot=True, disk_gib=200, allow=ALLOWABLE, own_prefixes=True
)
WHOLE = account(OPTIONS)
NEW_VPC = account(Options("cut-off-jobs", "us-east-1", new_vpc=True))
NETWORK = Account(
    NEW_VPC.region,
    tuple(each for each in NEW_VPC.resources if isinstance(each, (*get_args(Part), SecurityGroup))),
    NEW_VPC.names,
)
"""A VPC of the account's own, for which nothing else has to be made anew each time."""
AWS_OWN = (Action.LEAVE, "service role AWSServiceRoleForBatch")


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield clients_of(manager.administrator(home))
    manager.stop(home)


def goes_on(task, clients, calls):
    """Do something that is cut off after some calls, then again; return whether it was cut off."""
    try:
        task(place_of(Interrupting(clients, calls)))
    except CutOffError:
        task(place_of(clients))
        return True
    return False


@pytest.mark.parametrize(
    ("desired", "all_there_may_be", "left", "least"),
    [(WHOLE, everything(OPTIONS), [AWS_OWN], 30), (NETWORK, NETWORK, [], 18)],
    ids=["all but a network", "a network"],
)
def test_a_second_run_completes_what_was_interrupted_anywhere(
    clients, desired, all_there_may_be, left, least
):
    """After any one call, the same command again makes the rest, and removes the rest."""

    def removal(place):
        return destruction(all_there_may_be, place, delete_data=True)

    place, calls, cut_off = place_of(clients), 0, True
    while cut_off:
        calls += 1
        cut_off = goes_on(lambda where: apply(desired, where), clients, calls)
        assert plan(desired, place).work == (), calls
        for each in desired.of(Bucket):
            place.client("s3").put_object(Bucket=each.name, Key="a", Body=b"a")
        cut_off |= goes_on(lambda where: execute(removal(where), where), clients, calls)
        assert [(each.action, each.title) for each in removal(place).steps] == left, calls
    assert calls > least
