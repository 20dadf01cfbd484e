"""The transports: one suite for memory, and for botocore and ourselves on two S3 servers."""

import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.errors import (
    CredentialsError,
    MissingObjectError,
    StoreError,
    UnreachableError,
)
from nextstrain_batch.sandbox import manager
from transports import BOTH, by_botocore, directly

KEYS = ("test-key", "test-secret")
MIB = 2**20


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """Yield the endpoint of a sandbox."""
    home = tmp_path_factory.mktemp("sandbox")
    yield manager.ensure(home, {"PATH": os.environ["PATH"], "HOME": str(home)})
    manager.stop(home)


ON_SERVERS = [f"{one} on {server}" for one in BOTH for server in ("weed", "sandbox")]


def make_on_server(request):
    kind, _, server = request.param.partition(" on ")
    if server == "weed":
        endpoint, keys = request.getfixturevalue("s3_server"), KEYS
        return BOTH[kind](endpoint, keys, request.getfixturevalue("s3_bucket"), "some/prefix")
    sandbox = request.getfixturevalue("sandbox")
    keys = (sandbox.access_key, sandbox.secret_key)
    return BOTH[kind](sandbox.url, keys, sandbox.bucket, f"some/{secrets.token_hex(6)}")


@pytest.fixture(params=ON_SERVERS)
def on_server(request):
    """Return a transport to somewhere empty on a server."""
    return make_on_server(request)


@pytest.fixture(params=["memory", *ON_SERVERS])
def transport(request):
    """Return a transport to somewhere empty."""
    if request.param == "memory":
        return MemoryTransport(now=datetime.now(UTC))
    return make_on_server(request)


def test_what_is_put_can_be_got(transport):
    """The bytes of an object come back as they were written."""
    assert transport.put("packs/one", b"content")
    assert transport.get("packs/one") == b"content"


def test_ranges(transport):
    """A part of an object can be read, from its start or its end."""
    transport.put("packs/one", b"0123456789")
    assert transport.get("packs/one", 3, 4) == b"3456"
    assert transport.get("packs/one", 7) == b"789"
    assert transport.get("packs/one", -2) == b"89"


def test_empty_object(transport):
    """An object may be empty."""
    transport.put("packs/none", b"")
    assert transport.get("packs/none") == b""


def test_missing(transport):
    """An object that is not there is told from other trouble."""
    with pytest.raises(MissingObjectError, match="packs/nothing"):
        transport.get("packs/nothing")


def test_only_if_absent(transport):
    """A conditional write leaves what is there alone, and says so."""
    assert transport.put("packs/one", b"first", if_absent=True)
    assert not transport.put("packs/one", b"second", if_absent=True)
    assert transport.get("packs/one") == b"first"
    assert transport.put("packs/one", b"third")
    assert transport.get("packs/one") == b"third"


def test_list(transport):
    """A listing has the objects below a prefix in order, with size and time, beyond one page."""

    def put(number):
        transport.put(f"packs/{number:04}", b"x" * (number % 7))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(1005)))
    transport.put("runs/one", b"")
    listed = list(transport.list("packs/"))
    assert [each.key for each in listed] == [f"packs/{number:04}" for number in range(1005)]
    assert [each.size for each in listed] == [number % 7 for number in range(1005)]
    assert all(abs(datetime.now(UTC) - each.modified) < timedelta(minutes=5) for each in listed)
    assert all(each.modified.utcoffset() == timedelta(0) for each in listed)
    assert list(transport.list("nothing/")) == []


ODD = ["a b", "a+b", "a%2Fb", "ä/ö", "a~b*c", "a'b(c)!", "a&b=c?d", "<a>", "日本/x", "a:b;c,d@e$"]


@pytest.mark.parametrize("key", ODD)
def test_any_key(on_server, key):
    """Whatever characters a key has, it is written, listed, renewed, read and deleted."""
    on_server.put(f"odd/{key}", b"content")
    on_server.renew(f"odd/{key}")
    assert [each.key for each in on_server.list(f"odd/{key}")] == [f"odd/{key}"]
    assert on_server.get(f"odd/{key}") == b"content"
    on_server.delete(f"odd/{key}")
    assert list(on_server.list("odd/")) == []


def test_a_large_object(on_server):
    """An object of many megabytes comes back whole, and so does a part of it."""
    data = secrets.token_bytes(MIB) * 32
    on_server.put("packs/large", data)
    assert on_server.get("packs/large") == data
    assert on_server.get("packs/large", 17 * MIB + 1, 3 * MIB) == data[17 * MIB + 1 : 20 * MIB + 1]


def test_many_threads(on_server):
    """Sixteen threads at once each get their own answers."""

    def work(number):
        mine = f"{number:02}".encode() * 50_000
        on_server.put(f"packs/{number}", mine)
        assert not on_server.put(f"packs/{number}", b"other", if_absent=True)
        for _ in range(5):
            assert on_server.get(f"packs/{number}") == mine
            assert on_server.get(f"packs/{number}", number, 2) == mine[number : number + 2]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert len(list(on_server.list("packs/"))) == 16


def test_one_of_many_writers_wins(on_server):
    """Of many conditional writes at once exactly one writes, and that one's bytes stay."""
    with ThreadPoolExecutor(8) as pool:
        numbers = range(8)
        won = list(
            pool.map(lambda n: on_server.put("packs/one", b"%d" % n, if_absent=True), numbers)
        )
    assert won.count(True) == 1
    assert on_server.get("packs/one") == b"%d" % won.index(True)


def test_renew(on_server):
    """A renewed object is younger and the same."""
    on_server.put("packs/one", b"content" * 1000)
    (before,) = on_server.list("packs/")
    time.sleep(1.1)  # the servers' times have no fractions
    on_server.renew("packs/one")
    (after,) = on_server.list("packs/")
    assert after.modified > before.modified
    assert on_server.get("packs/one") == b"content" * 1000


def test_renew_missing(transport):
    """An object that is gone cannot be renewed."""
    with pytest.raises(MissingObjectError):
        transport.renew("packs/nothing")


def test_delete(transport):
    """Deleting makes an object go, and does not mind if it had gone."""
    transport.put("runs/one", b"x")
    transport.delete("runs/one")
    transport.delete("runs/one")
    with pytest.raises(MissingObjectError):
        transport.get("runs/one")


@pytest.fixture(params=BOTH)
def make(request):
    """Return what makes a transport."""
    return BOTH[request.param]


def test_url(make):
    """The URL has the prefix and no slash at its end."""
    assert make("http://127.0.0.1:9", KEYS, "bucket", "some/prefix/").url == (
        "s3://bucket/some/prefix"
    )
    assert make("http://127.0.0.1:9", KEYS, "bucket").url == "s3://bucket"


def test_no_bucket(s3_server, make):
    """A bucket that does not exist is named, with what to do about it."""
    transport = make(s3_server, KEYS, "not-there")
    with pytest.raises(StoreError, match="bucket not-there does not exist"):
        list(transport.list("packs/"))


@pytest.mark.parametrize("keys", [("another", "test-secret"), ("test-key", "another")])
def test_wrong_credentials(s3_server, keys):
    """Credentials that S3 does not accept are said to be the cause, by both in the same words."""
    said = []
    for make in BOTH.values():
        with pytest.raises(CredentialsError) as error:
            make(s3_server, keys, "ready").get("packs/one")
        said.append(str(error.value))
    assert said[0] == said[1]


def test_no_server():
    """An endpoint where nobody listens is unreachable, and named by both in the same words."""
    said, waits = [], []
    for transport in (
        by_botocore("http://127.0.0.1:9", KEYS, "bucket", "p"),
        directly("http://127.0.0.1:9", KEYS, "bucket", "p", sleep=waits.append),
    ):
        with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:9/bucket") as error:
            list(transport.list("packs/"))
        said.append(str(error.value))
    assert said[0] == said[1]
    assert len(waits) == 3
