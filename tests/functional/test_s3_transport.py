"""The transport, against a real S3 server."""

import time
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.config import Config

from nextstrain_batch.errors import (
    CredentialsError,
    MissingObjectError,
    StoreError,
    UnreachableError,
)
from nextstrain_batch.store.s3 import S3Transport


def client(endpoint, key="test-key", secret="test-secret"):
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def test_what_is_put_can_be_got(s3_transport):
    """The bytes of an object come back as they were written."""
    assert s3_transport.put("packs/one", b"content")
    assert s3_transport.get("packs/one") == b"content"


def test_ranges(s3_transport):
    """A part of an object can be read, from its start or its end."""
    s3_transport.put("packs/one", b"0123456789")
    assert s3_transport.get("packs/one", 3, 4) == b"3456"
    assert s3_transport.get("packs/one", 7) == b"789"
    assert s3_transport.get("packs/one", -2) == b"89"


def test_empty_object(s3_transport):
    """An object may be empty."""
    s3_transport.put("packs/none", b"")
    assert s3_transport.get("packs/none") == b""


def test_missing(s3_transport):
    """An object that is not there is told from other trouble."""
    with pytest.raises(MissingObjectError, match="packs/nothing"):
        s3_transport.get("packs/nothing")


def test_only_if_absent(s3_transport):
    """A conditional write leaves what is there alone, and says so."""
    assert s3_transport.put("packs/one", b"first", if_absent=True)
    assert not s3_transport.put("packs/one", b"second", if_absent=True)
    assert s3_transport.get("packs/one") == b"first"
    assert s3_transport.put("packs/one", b"third")
    assert s3_transport.get("packs/one") == b"third"


def test_list(s3_transport):
    """A listing has the objects below a prefix in order, with size and time, beyond one page."""
    for number in range(1005):
        s3_transport.put(f"packs/{number:04}", b"x" * (number % 7))
    s3_transport.put("runs/one", b"")
    listed = list(s3_transport.list("packs/"))
    assert [each.key for each in listed] == [f"packs/{number:04}" for number in range(1005)]
    assert [each.size for each in listed] == [number % 7 for number in range(1005)]
    assert all(abs(datetime.now(UTC) - each.modified) < timedelta(minutes=5) for each in listed)
    assert list(s3_transport.list("nothing/")) == []


def test_renew(s3_transport):
    """A renewed object is younger and the same."""
    s3_transport.put("packs/one", b"content" * 1000)
    (before,) = s3_transport.list("packs/")
    time.sleep(1.1)  # the server's times have no fractions
    s3_transport.renew("packs/one")
    (after,) = s3_transport.list("packs/")
    assert after.modified > before.modified
    assert s3_transport.get("packs/one") == b"content" * 1000


def test_renew_missing(s3_transport):
    """An object that is gone cannot be renewed."""
    with pytest.raises(MissingObjectError):
        s3_transport.renew("packs/nothing")


def test_delete(s3_transport):
    """Deleting makes an object go, and does not mind if it had gone."""
    s3_transport.put("runs/one", b"x")
    s3_transport.delete("runs/one")
    s3_transport.delete("runs/one")
    with pytest.raises(MissingObjectError):
        s3_transport.get("runs/one")


def test_url(s3_server):
    """The URL has the prefix and no slash at its end."""
    one = client(s3_server)
    assert S3Transport(one, "bucket", "some/prefix/").url == "s3://bucket/some/prefix"
    assert S3Transport(one, "bucket", "").url == "s3://bucket"


def test_no_bucket(s3_server):
    """A bucket that does not exist is named, with what to do about it."""
    transport = S3Transport(client(s3_server), "not-there")
    with pytest.raises(StoreError, match="does not exist"):
        list(transport.list("packs/"))


def test_wrong_credentials(s3_server):
    """Credentials that S3 does not accept are said to be the cause."""
    transport = S3Transport(client(s3_server, key="another"), "ready")
    with pytest.raises(CredentialsError):
        transport.get("packs/one")


def test_no_server():
    """An endpoint where nobody listens is unreachable."""
    transport = S3Transport(client("http://127.0.0.1:9"), "bucket")
    with pytest.raises(UnreachableError):
        transport.get("packs/one")
