"""Faults on command: each one happens to whom it is meant for, as on AWS, and is counted."""

import contextlib
import time
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    ResponseStreamingError,
)

from faulty_sandbox import Sandbox
from nextstrain_batch.errors import SandboxError
from nextstrain_batch.sandbox import manager
from nextstrain_batch.sandbox.breaking import Breaking

CUT = (
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    ResponseStreamingError,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def sandbox(home):
    yield Sandbox(home)
    manager.stop(home)


@pytest.fixture
def broken(home, sandbox):
    assert sandbox.endpoint
    with Breaking(home) as found:
        yield found


def code(error):
    return error.value.response["Error"]["Code"]


def status(error):
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("service", "call", "answer"),
    [
        ("s3", lambda c: c.list_buckets(), (503, "SlowDown")),
        ("batch", lambda c: c.describe_jobs(jobs=["x"]), (429, "TooManyRequestsException")),
        ("logs", lambda c: c.describe_log_groups(), (400, "ThrottlingException")),
        ("iam", lambda c: c.get_user(), (400, "Throttling")),
        ("sts", lambda c: c.get_caller_identity(), (400, "Throttling")),
        ("ec2", lambda c: c.describe_vpcs(), (503, "RequestLimitExceeded")),
    ],
)
def test_throttling_is_each_services_own(sandbox, broken, service, call, answer):
    """A throttled service answers with its own status and code, and goes on afterwards."""
    fault = broken.add("throttle", api=f"{service}:*", times=1)
    client = sandbox.client(service)
    with pytest.raises(ClientError) as error:
        call(client)
    assert (status(error), code(error)) == answer
    with contextlib.suppress(ClientError):  # what the user may not do is not throttled any more
        call(client)
    assert fault.struck == 1


@pytest.mark.parametrize(("number", "name"), [(500, "InternalError"), (503, "ServiceUnavailable")])
def test_errors_of_the_services_own_side(sandbox, broken, number, name):
    """500 and 503 are answered with the code that S3 has for each."""
    broken.add("error", api="PutObject", status=number)
    with pytest.raises(ClientError) as error:
        sandbox.client("s3").put_object(Bucket=sandbox.bucket, Key="e", Body=b"1")
    assert (status(error), code(error)) == (number, name)


def test_which_requests_are_struck(sandbox, broken):
    """``after``, ``every`` and ``times`` choose among those that operation and key choose."""
    fault = broken.add("throttle", api="putobject", key="some/*", after=1, every=2, times=2)
    s3 = sandbox.client("s3")
    struck = []
    for number in range(7):
        s3.put_object(Bucket=sandbox.bucket, Key="other", Body=b"")
        try:
            s3.put_object(Bucket=sandbox.bucket, Key=f"some/{number}", Body=b"")
        except ClientError:
            struck.append(number)
    assert struck == [1, 3]
    assert (fault.met, fault.struck) == (7, 2)


def test_a_fault_ends_with_its_time(sandbox, broken):
    """``lasting`` limits a fault to so many seconds."""
    s3 = sandbox.client("s3")
    broken.add("throttle", api="ListObjectsV2", lasting=0.4)
    with pytest.raises(ClientError):
        s3.list_objects_v2(Bucket=sandbox.bucket)
    time.sleep(0.4)
    s3.list_objects_v2(Bucket=sandbox.bucket)
    assert broken.all()[0]["is_spent"]


def test_delay(sandbox, broken):
    """A delayed request is answered, later."""
    broken.add("delay", api="ListObjectsV2", seconds=0.3)
    begun = time.monotonic()
    sandbox.client("s3").list_objects_v2(Bucket=sandbox.bucket)
    assert time.monotonic() - begun >= 0.3


def test_an_answer_is_cut(sandbox, broken):
    """The connection ends in the middle of an object's body; the next request is whole."""
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=sandbox.bucket, Key="cut", Body=b"x" * 500_000)
    fault = broken.add("cut", api="GetObject", key="cut", times=1)
    with pytest.raises(CUT):
        s3.get_object(Bucket=sandbox.bucket, Key="cut")["Body"].read()
    assert fault.struck == 1
    assert len(s3.get_object(Bucket=sandbox.bucket, Key="cut")["Body"].read()) == 500_000


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_request_is_cut(sandbox, broken, size):
    """The connection breaks while a body is on its way, and nothing is stored."""
    s3 = sandbox.client("s3")
    fault = broken.add("cut", api="PutObject", key="half", way="request", times=1)
    with pytest.raises(CUT):
        s3.put_object(Bucket=sandbox.bucket, Key="half", Body=b"x" * size)
    assert fault.struck == 1
    assert "Contents" not in s3.list_objects_v2(Bucket=sandbox.bucket, Prefix="half")
    s3.put_object(Bucket=sandbox.bucket, Key="half", Body=b"x" * size)
    s3.delete_object(Bucket=sandbox.bucket, Key="half")


@pytest.mark.parametrize(
    ("service", "call", "answer"),
    [
        ("s3", lambda c: c.list_buckets(), (400, "ExpiredToken")),
        ("batch", lambda c: c.describe_jobs(jobs=["x"]), (403, "ExpiredTokenException")),
        ("logs", lambda c: c.describe_log_groups(), (400, "ExpiredTokenException")),
    ],
)
def test_the_users_credentials_expire(sandbox, broken, service, call, answer):
    """From some request on, a user's credentials are refused everywhere, until the fault ends."""
    fault = broken.add("expire", caller="user", after=1)
    sandbox.client("s3").list_objects_v2(Bucket=sandbox.bucket)
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            call(sandbox.client(service))
        assert (status(error), code(error)) == answer
    assert fault.struck == 2
    fault.clear()
    sandbox.client("s3").list_objects_v2(Bucket=sandbox.bucket)


FETCH = """\
import json, os, urllib.request
def key():
    request = urllib.request.Request(
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
    )
    return json.load(urllib.request.urlopen(request))
import botocore.session
from botocore.config import Config
def put(key):
    session = botocore.session.Session()
    client = session.create_client("s3", aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"], aws_session_token=key["Token"],
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
    try:
        client.put_object(Bucket="nextstrain-jobs", Key="runs/of-a-job", Body=b"")
        return "stored"
    except Exception as error:
        return type(error).__name__ + " " + error.response["Error"]["Code"]
first, second = key(), key()
print(put(first), "|", put(first), "|", put(second))
"""


def test_a_jobs_credentials_expire(sandbox, broken):
    """A job's credentials are refused for good, new ones are not, and users have their own."""
    fault = broken.add("expire", caller="job", times=1)
    sandbox.client("s3").list_objects_v2(Bucket=sandbox.bucket)
    job = sandbox.run(f"python3 -c '{FETCH}'")
    expired = "ClientError ExpiredToken"
    assert sandbox.lines(job) == [f"{expired} | {expired} | stored"]
    assert fault.struck == 2


def test_the_services_clock_is_ahead(sandbox, broken):
    """A clock that is too far off is S3's RequestTimeTooSkewed; a little is tolerated."""
    broken.add("skew", api="s3:*", seconds=600)
    s3 = sandbox.client("s3")
    s3.list_objects_v2(Bucket=sandbox.bucket)
    broken.add("skew", seconds=-3600)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket=sandbox.bucket)
    assert code(error) == "RequestTimeTooSkewed"
    with pytest.raises(ClientError) as error:
        sandbox.client("batch").describe_jobs(jobs=["x"])
    assert code(error) == "InvalidSignatureException"


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "earthquake"},
        {"kind": "error", "status": 404},
        {"kind": "throttle", "colour": "red"},
        {"kind": "throttle", "times": 0},
        {"kind": "cut", "way": "both"},
        {"kind": "fill-disk"},
        {"kind": "delay", "seconds": -1},
    ],
)
def test_faults_that_make_no_sense(broken, values):
    """A fault that cannot be is refused, and says why."""
    with pytest.raises(SandboxError):
        broken.add(**values)
    assert broken.all() == []


def test_clearing(broken):
    """One fault is cleared by its id, and all without."""
    first, _, _ = (broken.add("throttle", api="nothing") for _ in range(3))
    assert broken.clear(first.id) == 1
    assert broken.clear("99") == 0
    assert broken.clear() == 2


def test_jobs_cannot_break_anything(sandbox):
    """Faults take the token that only the sandbox's user can read."""
    request = urllib.request.Request(
        f"{sandbox.endpoint.url}/_sandbox/control/fault-list", method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)
    error.value.close()
    assert error.value.code == 403
