"""Deletes that are tried once at most, and only while they may be done, by both transports."""

from datetime import UTC, datetime, timedelta

import pytest

from nextstrain_batch.aws import Aws, Credentials
from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.errors import UnreachableError
from nextstrain_batch.store.s3 import S3Transport
from scripted_server import drop, error
from transports import BOTH, directly

KEYS = ("AKID", "sesame")
BUSY = (503, error("SlowDown"))


@pytest.fixture(params=BOTH)
def made(request):
    """Return what makes a transport to a server."""
    return lambda server: BOTH[request.param](server.url, KEYS, "bucket", "a/prefix")


def test_it_deletes_if_it_may(serve, made):
    """The request is sent once, after the question."""
    server = serve((204,))
    asked = []
    assert made(server).delete("key", may=lambda: asked.append(len(server.asked)) or True)
    assert asked == [0]
    assert [each.path for each in server.asked] == ["/bucket/a/prefix/key"]


def test_it_sends_nothing_if_it_may_not(serve, made):
    """Nothing is sent; and that question was for this request alone."""
    server = serve((204,))
    transport = made(server)
    assert not transport.delete("key", may=lambda: False)
    assert server.asked == []
    assert transport.delete("key")


@pytest.mark.parametrize(("step", "kind"), [(BUSY, BusyError), (drop, UnreachableError)])
def test_it_is_never_repeated(serve, made, step, kind):
    """Somebody may have written the object anew since the first attempt."""
    server = serve(step, (204,))
    with pytest.raises(kind):
        made(server).delete("key", may=lambda: True)
    assert len(server.asked) == 1


def test_others_are_repeated(serve, made):
    """A delete that nobody has reservations about is repeated as ever."""
    server = serve(BUSY, (204,))
    transport = made(server)
    assert transport.delete("key")
    assert len(server.asked) == 2


def test_the_question_comes_after_the_date(serve):
    """What may be sent bears a date at which it might be, so that S3 knows when it is too late."""
    server = serve((200,), (204,))
    hours = [datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in range(3)]
    clock = iter(hours)
    transport = directly(server.url, KEYS, "bucket", now=lambda: next(clock))
    transport.put("first", b"x")
    assert transport.delete("key", may=lambda: next(clock) - hours[1] == timedelta(hours=1))
    assert server.asked[1].headers["X-Amz-Date"] == "20261123T010000Z"


def test_botocore_asks_after_the_date(serve):
    """botocore's transport asks when the request is signed."""
    server = serve((204,))
    client = Aws(
        endpoint=server.url, region="us-east-1", credentials=Credentials(*KEYS)
    ).client("s3")  # fmt: skip
    order = []
    client.meta.events.register("before-sign.s3.DeleteObject", lambda **_: order.append("signed"))
    transport = S3Transport(client, "bucket")
    assert transport.delete("key", may=lambda: order.append("asked") or True)
    assert order == ["signed", "asked"]


def test_a_connection_that_was_lost_asks_again(serve):
    """Where the server has closed a connection, the request is dated and asked about anew."""
    server = serve((200,), drop, (204,))
    answers = iter([True, False])
    transport = directly(server.url, KEYS, "bucket")
    transport.put("first", b"x")
    assert not transport.delete("key", may=lambda: next(answers))
    assert len(server.asked) == 2


def test_a_region_is_learnt_for_all(serve):
    """Where a cautious delete has learnt that the bucket is elsewhere, others are sent there."""
    moved = (301, error("PermanentRedirect", Region="eu-west-1"))
    server = serve(moved, (204,), (204,), (200, b"content"))
    transport = directly(server.url, KEYS, "bucket")
    asked = []
    assert transport.delete("one", may=lambda: asked.append("one") or True)
    assert transport.delete("two", may=lambda: asked.append("two") or True)
    assert transport.get("three") == b"content"
    regions = [each.headers["Authorization"].split("/")[2] for each in server.asked]
    assert regions == ["us-east-1", "eu-west-1", "eu-west-1", "eu-west-1"]
    assert asked == ["one", "one", "two"]
