"""Who asks, and where a bucket is."""

import json
import threading
from datetime import UTC, datetime

import pytest
from botocore import exceptions as boto

from nextstrain_batch.errors import CredentialsError
from nextstrain_batch.store.direct.credentials import ContainerAddress, ContainerCredentials
from nextstrain_batch.store.direct.place import Place
from nextstrain_batch.store.direct.transport import DirectTransport, Limits
from scripted_server import drop


@pytest.fixture
def waits():
    return []


def test_a_bucket_on_aws_has_its_own_host():
    """On AWS the host is the bucket's, in its region and partition."""
    place = Place("my-bucket", "us-east-1")
    assert (place.host, place.path) == ("my-bucket.s3.amazonaws.com", "")
    assert place.moved("eu-west-1").host == "my-bucket.s3.eu-west-1.amazonaws.com"
    assert place.moved("cn-north-1").base == "https://my-bucket.s3.cn-north-1.amazonaws.com.cn"


def keys_until(expiry, name="AKID"):
    values = {"AccessKeyId": name, "SecretAccessKey": "s", "Token": "t", "Expiration": expiry}
    return 200, json.dumps(values).encode()


def test_a_containers_credentials_are_kept_and_renewed(serve, waits):
    """Keys are asked for once, and anew when less than ten minutes of their life remain."""
    server = serve(
        keys_until("2026-01-01T06:00:00Z", "one"), keys_until("2026-01-01T12:00:00Z", "two")
    )
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    address = ContainerAddress("127.0.0.1", server.server_port, "/x?y=1", "token")
    source = ContainerCredentials(address, now=lambda: now[0], sleep=waits.append)
    names = []
    for hour, minute in ((0, 0), (5, 49), (5, 51), (11, 0)):
        now[0] = now[0].replace(hour=hour, minute=minute)
        names.append(source().access_key)
    assert names == ["one", "one", "two", "two"]
    assert [each.path for each in server.asked] == ["/x?y=1"] * 2
    assert server.asked[0].headers["Authorization"] == "token"


def test_threads_ask_for_a_containers_credentials_once(serve):
    """Many threads that need keys at once cause one request."""
    server = serve(keys_until("2099-01-01T00:00:00Z"))
    source = ContainerCredentials(ContainerAddress("127.0.0.1", server.server_port, "/"))
    threads = [threading.Thread(target=source) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1


def test_a_token_in_a_file_is_read_anew(serve, tmp_path):
    """The token may be in a file, whose content changes."""
    file = tmp_path / "token"
    past = keys_until("2000-01-01T00:00:00Z")
    server = serve(past, past)
    address = ContainerAddress("127.0.0.1", server.server_port, "/", token_file=file)
    source = ContainerCredentials(address)
    for token in ("first", "second"):
        file.write_text(token)
        source()
    assert [each.headers["Authorization"] for each in server.asked] == ["first", "second"]


def test_trouble_with_a_containers_credentials_may_pass(serve, waits):
    """A failure is tried again twice, a second later each time."""
    server = serve((500,), drop, keys_until("2099-01-01T00:00:00Z"))
    address = ContainerAddress("127.0.0.1", server.server_port, "/")
    assert ContainerCredentials(address, sleep=waits.append)().access_key == "AKID"
    assert waits == [1.0, 1.0]


@pytest.mark.parametrize(
    "answer", [(500, b"no"), (200, b"{}"), (200, b"nonsense"), (200, b"[]"), keys_until("never")]
)
def test_a_container_without_credentials(serve, waits, answer):
    """Credentials that cannot be had are an error of credentials, as with botocore."""
    server = serve(*[answer] * 3)
    address = ContainerAddress("127.0.0.1", server.server_port, "/")
    source = ContainerCredentials(address, sleep=waits.append)
    with pytest.raises(boto.CredentialRetrievalError):
        source()
    server.script += [answer] * 3
    place = Place("bucket", "us-east-1", server.url)
    transport = DirectTransport(place, "", source, Limits(1, 1, 4, 1), sleep=waits.append)
    with pytest.raises(CredentialsError, match="cannot be obtained"):
        transport.get("key")
