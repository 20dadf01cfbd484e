"""Trouble with S3: both transports ride out what passes, and end in the same words else."""

import os

import pytest

from nextstrain_batch.aws import Aws, Credentials
from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.errors import (
    AccessDeniedError,
    CredentialsError,
    MissingObjectError,
    StoreError,
    UnreachableError,
    UserError,
)
from nextstrain_batch.sandbox import manager
from nextstrain_batch.sandbox.breaking import Breaking
from transports import BOTH

BODY = b"x" * 500_000


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def endpoint(home):
    yield manager.ensure(home, {"PATH": os.environ["PATH"], "HOME": str(home)})
    manager.stop(home)


@pytest.fixture
def broken(home, endpoint):
    assert endpoint
    with Breaking(home) as found:
        yield found


@pytest.fixture
def make(endpoint):
    """Return what makes a transport of one kind, by someone else's keys if need be."""

    def make(kind, bucket=endpoint.bucket, keys=(endpoint.access_key, endpoint.secret_key)):
        # botocore cannot be kept from waiting.
        more = {"sleep": lambda _seconds: None} if kind == "direct" else {}
        return BOTH[kind](endpoint.url, keys, bucket, "some/prefix", **more)

    return make


@pytest.fixture(params=BOTH)
def transport(request, make):
    return make(request.param)


DO = {
    "get": lambda transport: transport.get("key"),
    "put": lambda transport: transport.put("key", BODY),
    "list": lambda transport: list(transport.list("")),
    "renew": lambda transport: transport.renew("key"),
    "delete": lambda transport: transport.delete("another"),
}


@pytest.mark.parametrize("verb", DO)
@pytest.mark.parametrize("fault", [{"kind": "throttle"}, {"kind": "error", "status": 500}])
def test_what_passes_is_ridden_out(transport, broken, fault, verb):
    """Throttling and S3's own errors that pass do not show, whatever was asked."""
    transport.put("key", BODY)
    struck = broken.add(**fault, api="s3:*", times=1)
    DO[verb](transport)
    assert struck.struck == 1


@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        ("get", {"kind": "cut", "api": "GetObject"}),
        ("put", {"kind": "cut", "api": "PutObject", "way": "request"}),
        ("list", {"kind": "cut", "api": "ListObjectsV2"}),
        ("get", {"kind": "delay", "api": "GetObject", "seconds": 0.3}),
    ],
)
def test_broken_connections_are_ridden_out(transport, broken, verb, fault):
    """A connection that is cut, or slow, does not show."""
    transport.put("key", BODY)
    struck = broken.add(**fault, times=1)
    DO[verb](transport)
    assert struck.struck == 1
    assert transport.get("key") == BODY


TROUBLE = {
    "throttled": ("list", BusyError, {"kind": "throttle"}),
    "failing": ("put", BusyError, {"kind": "error", "status": 500}),
    "unavailable": ("renew", BusyError, {"kind": "error", "status": 503}),
    "cut answers": ("get", UnreachableError, {"kind": "cut"}),
    "cut requests": ("put", UnreachableError, {"kind": "cut", "way": "request"}),
    "expired": ("get", CredentialsError, {"kind": "expire"}),
    "skewed": ("put", CredentialsError, {"kind": "skew", "seconds": 3600}),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_that_lasts_is_told_alike(make, broken, name):
    """Trouble that does not pass ends in the same class of error and the same words."""
    verb, kind, fault = TROUBLE[name]
    make("direct").put("key", BODY)
    broken.add(**fault, api="s3:*")
    said = [failure(make(transport), verb) for transport in BOTH]
    assert type(said[0]) is type(said[1]) is kind
    assert words(said[0]) == words(said[1])


WRONG = {
    "no object": (MissingObjectError, "get", {}),
    "no object to renew": (MissingObjectError, "renew", {}),
    "no bucket": (StoreError, "list", {"bucket": "there-is-none"}),
    "unknown key": (CredentialsError, "get", {"keys": ("AKIANOBODY", "x")}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_s3_refuses_is_told_alike(make, name):
    """What S3 refuses ends in the same class of error and the same words."""
    kind, verb, wrong = WRONG[name]
    make("direct").delete("key")
    said = [failure(make(transport, **wrong), verb) for transport in BOTH]
    assert type(said[0]) is type(said[1]) is kind
    assert words(said[0]) == words(said[1])


def test_denied(make, home, endpoint):
    """What the policy does not allow is told alike, with the action that lacks."""
    administrator = manager.administrator(home)
    keys = (administrator.access_key, administrator.secret_key)
    aws = Aws(endpoint=endpoint.url, region=endpoint.region, credentials=Credentials(*keys))
    aws.client("s3").create_bucket(Bucket="somebody-elses")
    said = [failure(make(transport, bucket="somebody-elses"), "put") for transport in BOTH]
    assert [type(each) for each in said] == [AccessDeniedError] * 2
    assert said[0].action == said[1].action == "s3:PutObject"
    assert words(said[0]) == words(said[1])


def failure(transport, verb):
    """Return the error that *verb* ends in."""
    with pytest.raises(UserError) as error:
        DO[verb](transport)
    return error.value


def words(error):
    """Return what an error says, without what is different each time: the time, and the cause."""
    text = str(error).partition("The cause given:")[0]
    return text.partition("AWS said:")[0] if "RequestTime" in text else text
