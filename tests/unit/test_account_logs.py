"""A log group: what it holds, and what becomes of it when events expire earlier."""

import pytest

from nextstrain_batch.account.kinds.logs import LogGroupKind
from nextstrain_batch.account.options import Options
from nextstrain_batch.account.place import Place
from nextstrain_batch.account.plan import Action, Step
from nextstrain_batch.account.resources import LogGroup

GROUP = LogGroup("/aws/batch/job", Options("our-jobs", "us-east-1").log_days)


class Logs:
    """CloudWatch Logs with the one group."""

    def __init__(self, streams=(), **group):
        self.streams = list(streams)
        self.group = {"logGroupName": GROUP.name, "arn": "arn:aws:logs:x:*", **group}

    def describe_log_groups(self, **_):
        return {"logGroups": [self.group]}

    def describe_log_streams(self, **_):
        return {"logStreams": self.streams}

    def list_tags_for_resource(self, **_):
        return {"tags": {}}


def look(logs):
    return LogGroupKind().look(GROUP, Place(lambda _: logs, "us-east-1"))


@pytest.mark.parametrize(
    ("logs", "holds"),
    [
        (Logs(), ""),
        (Logs(storedBytes=0), ""),
        (Logs([{"logStreamName": "a"}], storedBytes=0), "logs of whatever jobs"),
        (Logs([{"logStreamName": "a"}], storedBytes=1234), "1,234 bytes of logs of whatever jobs"),
    ],
)
def test_a_group_with_streams_holds_logs(logs, holds):
    """Also while AWS has not counted their bytes, which it does hours later."""
    assert look(logs).holds.startswith(holds)
    assert bool(look(logs).holds) is bool(holds)


@pytest.mark.parametrize(
    ("kept", "deletes"),
    [({}, True), ({"retentionInDays": 90}, True), ({"retentionInDays": 7}, False)],
)
def test_an_earlier_expiry_is_said_to_delete(kept, deletes):
    """The plan's line says that older events go; that is asked about like any change of others'."""
    found = look(Logs(**kept))
    (difference,) = found.differences
    assert ("what is older is deleted" in difference.wanted) is deletes
    assert Step(Action.CHANGE, GROUP, found).is_foreign
