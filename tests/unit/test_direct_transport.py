"""What the direct transport does about answers that a real server gives rarely."""

import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from botocore import exceptions as boto

from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.errors import (
    AccessDeniedError,
    AwsError,
    StoreError,
    UnreachableError,
)
from nextstrain_batch.store.direct import answers
from scripted_server import cut_body, drop, error
from transports import directly

KEYS = ("AKID", "sesame")


@pytest.fixture
def waits():
    return []


@pytest.fixture
def made(waits):
    """Return what makes a transport to a server."""
    return lambda server, **options: directly(
        server.url, KEYS, "bucket", "a/prefix", sleep=waits.append, **options
    )


def test_an_answer_that_breaks_off_is_asked_for_again(serve, made, waits):
    """An object that breaks off half-way is read again, after a pause."""
    server = serve(cut_body, drop, (200, b"content"))
    assert made(server).get("key", 5, 7) == b"content"
    assert len(waits) == 2
    assert all(0 <= wait <= 2 for wait in waits)
    assert server.asked[2].path == "/bucket/a/prefix/key"
    assert server.asked[2].headers["Range"] == "bytes=5-11"


def test_what_is_sent_again_is_signed_again(serve, made, waits):
    """A connection that was lost while the computer slept costs no request its signature."""
    hours = iter(datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in range(3))
    server = serve((200,), drop, (200,))
    transport = made(server, now=lambda: next(hours))
    transport.put("first", b"x")
    transport.put("second", b"x")
    times = [each.headers["X-Amz-Date"][9:11] for each in server.asked]
    assert (times, waits) == (["00", "01", "02"], [])


@pytest.mark.parametrize(
    ("step", "cause"),
    [(cut_body, boto.IncompleteReadError), (drop, boto.ConnectionClosedError)],
)
def test_an_answer_that_always_breaks_off(serve, made, waits, step, cause):
    """After four attempts the connection counts as lost."""
    server = serve(*[step] * 9)
    with pytest.raises(UnreachableError) as raised:
        made(server).get("key")
    assert isinstance(raised.value.__cause__, cause)
    assert len(server.asked) == 4
    assert len(waits) == 3


def test_an_answer_that_does_not_come(serve, made):
    """A server that is silent for longer than the timeout counts as unreachable."""
    over = threading.Event()
    server = serve(lambda _handler: over.wait(5))
    with pytest.raises(UnreachableError) as raised:
        made(server, read_timeout=0.05, attempts=1).get("key")
    over.set()
    assert isinstance(raised.value.__cause__, boto.ReadTimeoutError)


def test_a_refusal_is_not_repeated(serve, made, waits):
    """What S3 refuses is refused at once."""
    server = serve((403, error("AccessDenied", Message="No.")))
    with pytest.raises(AccessDeniedError, match="s3://bucket/a/prefix/key") as raised:
        made(server).get("key")
    assert raised.value.action == "s3:GetObject"
    assert "AWS said: No." in str(raised.value)
    assert waits == []


def test_a_race_of_conditional_writes_is_settled(serve, made, waits):
    """A conditional write that collides with another is repeated until it is known who won."""
    race = (409, error("ConditionalRequestConflict"))
    server = serve(race, (200,), race, race, (412, error("PreconditionFailed")))
    transport = made(server)
    assert transport.put("key", b"x", if_absent=True)
    assert not transport.put("key", b"x", if_absent=True)
    assert server.asked[0].headers["If-None-Match"] == "*"
    assert len(waits) == 3


def test_a_race_that_does_not_end(serve, made):
    """A race that is not settled in several attempts is an error."""
    with pytest.raises(AwsError):
        made(serve(*[(409, error("ConditionalRequestConflict"))] * 9)).put("k", b"", if_absent=True)


def test_an_unconditional_write_has_no_condition(serve, made):
    """Without the condition, 412 is an error like any other."""
    server = serve((200,), (412, error("PreconditionFailed")))
    assert made(server).put("key", b"x")
    assert "If-None-Match" not in server.asked[0].headers
    with pytest.raises(AwsError):
        made(server).put("key", b"x")


def test_a_copy_that_fails_late(serve, made, waits):
    """A copy that is answered with 200 and an error in the body is tried again."""
    late = (200, b"<?xml version='1.0'?>\n  " + error("InternalError").partition(b"\n")[2])
    server = serve(late, (200, b"<CopyObjectResult/>"), *[late] * 4)
    made(server).renew("k y")
    assert server.asked[0].headers["X-Amz-Copy-Source"] == "bucket/a/prefix/k%20y"
    assert server.asked[0].headers["X-Amz-Metadata-Directive"] == "REPLACE"
    assert len(waits) == 1
    with pytest.raises(BusyError, match="InternalError"):
        made(server).renew("key")


def test_an_object_that_looks_like_an_error(serve, made):
    """An object's bytes are its bytes, even if they are those of an error."""
    data = error("InternalError")
    assert made(serve((200, data))).get("key") == data


@pytest.mark.parametrize(
    "answer",
    [
        lambda h: h.answer(301, error("PermanentRedirect"), x_amz_bucket_region="eu-west-1"),
        lambda h: h.answer(307, b"", x_amz_bucket_region="eu-west-1"),
        (400, error("AuthorizationHeaderMalformed", Region="eu-west-1")),
    ],
)
def test_a_bucket_in_another_region(serve, made, waits, answer):
    """A request for a bucket elsewhere is signed for there, at once and from then on."""
    server = serve(answer, (200, b"1"), (200, b"2"))
    transport = made(server)
    assert transport.get("key") + transport.get("key") == b"12"
    regions = [each.headers["Authorization"].split("/")[2] for each in server.asked]
    assert regions == ["us-east-1", "eu-west-1", "eu-west-1"]
    assert waits == []


@pytest.mark.parametrize("region", ["us-east-1", "evil.example/", ""])
def test_a_redirection_that_leads_nowhere(serve, made, region):
    """A redirection to where we are, or to what is no region, is an error."""
    body = error("PermanentRedirect", Region=region)
    server = serve((301, body), (301, body))
    with pytest.raises(StoreError, match="region"):
        made(server).get("key")
    assert len(server.asked) == 1


def test_a_bucket_that_is_never_where_it_is_said_to_be(serve, made):
    """Redirections are followed once."""
    answers = [(301, error("PermanentRedirect", Region=f"eu-west-{n}")) for n in range(3)]
    server = serve(*answers)
    with pytest.raises(StoreError):
        made(server).get("key")
    assert len(server.asked) == 2


def test_an_error_without_a_body(serve, made):
    """Where S3 says nothing but a status, that is the code, as with botocore."""
    with pytest.raises(AwsError, match=r"AWS answered 418"):
        made(serve((418,))).get("key")
    with pytest.raises(BusyError):
        made(serve(*[(503, b"<html>busy")] * 4)).get("key")


def test_a_listing_that_makes_no_sense(serve, made):
    """A listing that is no XML was damaged on its way; it is no bug."""
    with pytest.raises(UnreachableError, match="no XML"):
        list(made(serve((200, b"<ListBucketResult><Contents>"))).list(""))


def test_pages(serve, made):
    """Listings go on while S3 says that there is more; keys come decoded."""
    first = (
        "<x:ListBucketResult xmlns:x='y'><EncodingType>url</EncodingType><Contents>"
        "<Size>3</Size><Key>a/prefix/packs/%C3%B6+%2B</Key><Owner><ID>1</ID></Owner>"
        "<LastModified>2026-11-23T01:02:03.456Z</LastModified></Contents>"
        "<NextContinuationToken>more+</NextContinuationToken></x:ListBucketResult>"
    )
    server = serve((200, first.encode()), (200, b"<ListBucketResult/>"))
    (found,) = made(server).list("packs/ö")
    assert (found.key, found.size) == ("packs/ö +", 3)
    assert found.modified == datetime(2026, 11, 23, 1, 2, 3, 456000, UTC)
    query = "/bucket?list-type=2&prefix=a%2Fprefix%2Fpacks%2F%C3%B6"
    assert server.asked[0].path == f"{query}&encoding-type=url"
    assert server.asked[1].path == f"{query}&continuation-token=more%2B&encoding-type=url"


def test_keys_that_are_not_encoded():
    """A server that does not encode keys has them taken as they are."""
    body = (
        b"<ListBucketResult><Contents><Key>a+b &amp; c%20</Key><Size>1</Size>"
        b"<LastModified>2026-11-23T00:00:00Z</LastModified></Contents></ListBucketResult>"
    )
    (found,) = answers.page(body).objects
    assert found.key == "a+b & c%20"


def test_importing_is_cheap(serve):
    """A request imports neither botocore nor anything else that takes its time."""
    server = serve((200, b"<ListBucketResult/>"))
    code = (
        "import sys\n"
        "from nextstrain_batch.aws import Aws, Credentials\n"
        "class Place: bucket, prefix = 'bucket', ''\n"
        f"aws = Aws(endpoint={server.url!r}, region='us-east-1',"
        " credentials=Credentials('k', 's'))\n"
        "assert list(aws.bucket(Place()).list('')) == []\n"
        "heavy = {'botocore', 'urllib3', 'urllib.request', 'xml.etree', 'logging', 'asyncio'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
