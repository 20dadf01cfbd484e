"""What the S3 transport does about answers that a real server gives rarely."""

import io
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from botocore.hooks import HierarchicalEmitter

from nextstrain_batch.errors import AccessDeniedError, AwsError, UnreachableError
from nextstrain_batch.store.s3 import S3Transport


class Client:
    """Gives prepared answers; an exception among them is raised."""

    def __init__(self, *answers):
        self.meta = SimpleNamespace(events=HierarchicalEmitter())
        self.answers = list(answers)
        self.asked = []

    def answer(self, **options):
        self.asked.append(options)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    get_object = put_object = list_objects_v2 = copy_object = delete_object = answer


class Broken(io.BytesIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, *_size):
        raise self.error


def refusal(code, operation="PutObject", status=400):
    error = {"Error": {"Code": code, "Message": code}}
    return ClientError({**error, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)


def body(data):
    return {"Body": io.BytesIO(data)}


@pytest.fixture
def waits():
    return []


def transport(client, waits):
    return S3Transport(client, "bucket", "a/prefix", sleep=waits.append)


@pytest.mark.parametrize(
    "error",
    [
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ResponseStreamingError(error="connection reset"),
    ],
)
def test_an_answer_that_breaks_off_is_asked_for_again(waits, error):
    """An object that breaks off half-way is read again, after a pause."""
    client = Client({"Body": Broken(error)}, {"Body": Broken(error)}, body(b"content"))
    assert transport(client, waits).get("key", 5, 7) == b"content"
    assert len(waits) == 2
    assert client.asked[2] == {"Bucket": "bucket", "Key": "a/prefix/key", "Range": "bytes=5-11"}


def test_an_answer_that_always_breaks_off(waits):
    """After several attempts the connection counts as lost."""
    error = ResponseStreamingError(error="connection reset")
    client = Client(*[{"Body": Broken(error)} for _ in range(9)])
    with pytest.raises(UnreachableError):
        transport(client, waits).get("key")
    assert len(client.asked) == 5


def test_a_refusal_is_not_repeated(waits):
    """What S3 refuses is refused at once."""
    client = Client(refusal("AccessDenied", "GetObject", 403))
    with pytest.raises(AccessDeniedError) as error:
        transport(client, waits).get("key")
    assert error.value.action == "s3:GetObject"
    assert "s3://bucket/a/prefix/key" in str(error.value)
    assert waits == []


def test_a_race_of_conditional_writes_is_settled(waits):
    """A conditional write that collides with another is repeated until it is known who won."""
    race = refusal("ConditionalRequestConflict", status=409)
    assert transport(Client(race, {}), waits).put("key", b"x", if_absent=True)
    lost = Client(race, race, refusal("PreconditionFailed", status=412))
    assert not transport(lost, waits).put("key", b"x", if_absent=True)
    assert lost.asked[0]["IfNoneMatch"] == "*"
    assert len(waits) == 3


def test_a_race_that_does_not_end(waits):
    """A race that is not settled in several attempts is an error."""
    race = refusal("ConditionalRequestConflict", status=409)
    with pytest.raises(AwsError):
        transport(Client(*[race] * 9), waits).put("key", b"x", if_absent=True)


def test_an_unconditional_write_has_no_condition(waits):
    """Without the condition, 412 is an error like any other."""
    client = Client({}, refusal("PreconditionFailed", status=412))
    assert transport(client, waits).put("key", b"x")
    assert "IfNoneMatch" not in client.asked[0]
    with pytest.raises(AwsError):
        transport(client, waits).put("key", b"x")


@pytest.mark.parametrize(
    ("start", "length", "span"),
    [(0, None, None), (0, 1, "bytes=0-0"), (3, None, "bytes=3-"), (-9, None, "bytes=-9")],
)
def test_ranges(waits, start, length, span):
    """A range is asked for as HTTP has it."""
    client = Client(body(b""))
    transport(client, waits).get("key", start, length)
    assert client.asked[0].get("Range") == span


def test_pages(waits):
    """Listings go on while S3 says that there is more."""
    item = {"Key": "a/prefix/packs/1", "Size": 3, "LastModified": "then"}
    client = Client({"Contents": [item], "NextContinuationToken": "more"}, {"KeyCount": 0})
    (found,) = transport(client, waits).list("packs/")
    assert (found.key, found.size, found.modified) == ("packs/1", 3, "then")
    assert client.asked[0] == {"Bucket": "bucket", "Prefix": "a/prefix/packs/"}
    assert client.asked[1]["ContinuationToken"] == "more"


def test_renewing_copies_onto_itself(waits):
    """S3 accepts a copy onto itself only if it replaces the metadata."""
    client = Client({})
    transport(client, waits).renew("key")
    assert client.asked[0] == {
        "Bucket": "bucket",
        "Key": "a/prefix/key",
        "CopySource": {"Bucket": "bucket", "Key": "a/prefix/key"},
        "MetadataDirective": "REPLACE",
    }
