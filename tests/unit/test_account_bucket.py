"""A bucket that others have settings and objects in, or that does not let itself be emptied."""

import json
from types import SimpleNamespace

import pytest

from fakes_aws import client_error
from nextstrain_batch.account import policies
from nextstrain_batch.account.checks import Verdict
from nextstrain_batch.account.checks.storage import tls_only
from nextstrain_batch.account.kinds.bucket import TLS, BucketKind
from nextstrain_batch.account.place import Difference, Found, Place
from nextstrain_batch.account.plan import look
from nextstrain_batch.account.resources import Bucket
from nextstrain_batch.config import BucketUrl
from nextstrain_batch.errors import AwsError

BUCKET = Bucket("our-jobs", "us-east-1")


class Versions:
    """S3 with objects in one bucket, some of which are *locked*; *lot* are listed at once."""

    def __init__(self, keys, locked=(), lot=1000):
        self.keys = list(keys)
        self.locked = set(locked)
        self.lot = lot
        self.deleted_bucket = False
        self.listings = 0

    def list_object_versions(self, **_):
        self.listings += 1
        if self.listings > 20:
            pytest.fail("the same objects are listed for ever")
        listed = [{"Key": key, "VersionId": "null"} for key in self.keys[: self.lot]]
        return {"Versions": listed}

    def delete_objects(self, *, Delete, **_):  # noqa: N803
        wanted = [each["Key"] for each in Delete["Objects"]]
        self.keys = [key for key in self.keys if key not in wanted or key in self.locked]
        error = {"Code": "AccessDenied", "Message": "under object lock"}
        return {"Errors": [{"Key": key, **error} for key in wanted if key in self.locked]}

    def delete_bucket(self, **_):
        assert not self.keys
        self.deleted_bucket = True


def remove(s3):
    BucketKind().remove(BUCKET, Place(lambda _: s3, "us-east-1"), Found(ours=True))


def test_a_bucket_that_cannot_be_emptied_is_an_error():
    """What can be deleted is; then the first object that cannot is named, with AWS's reason."""
    s3 = Versions("abcdefg", locked="ce", lot=3)
    with pytest.raises(AwsError, match=r"does not delete c\.(?s:.*)under object lock"):
        remove(s3)
    assert (s3.keys, s3.deleted_bucket) == (["c", "e"], False)


def test_a_bucket_is_emptied_lot_by_lot():
    """All versions go, then the bucket."""
    remove(s3 := Versions("abcdefg", lot=3))
    assert s3.deleted_bucket


DENY = policies.tls_only("our-jobs")
BOTH = DENY["Resource"]
ALLOW = {
    "Sid": "Reading",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:user/ada"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::our-jobs/*",
}
NO_TLS = {"aws:SecureTransport": "false"}


class Policy:
    """S3 with a bucket's policy."""

    def __init__(self, statements):
        self.document = {"Version": "2012-10-17", "Statement": statements}

    def get_bucket_policy(self, **_):
        return {"Policy": json.dumps(self.document)}

    def put_bucket_policy(self, *, Policy, **_):  # noqa: N803
        self.document = json.loads(Policy)


def is_ok(s3):
    """Return whether check-setup finds nothing wrong with the policy."""
    place = Place(lambda _: s3, "us-east-1")
    (found,) = tls_only(SimpleNamespace(bucket=BucketUrl.parse("our-jobs"), place=place, mend="x"))
    return found.verdict is Verdict.OK


@pytest.mark.parametrize(
    "statements",
    [
        DENY,
        [DENY],
        [ALLOW, DENY],
        {**DENY, "Principal": {"AWS": "*"}},
        {**DENY, "Principal": {"AWS": ["*"]}, "Action": ["s3:*"], "Sid": "Mine"},
        {**DENY, "Resource": "arn:aws:s3:::our-jobs*", "Action": "*"},
        {**DENY, "Resource": "*"},
        {**DENY, "Condition": {"Bool": {"AWS:securetransport": [False]}}},
        {**DENY, "Condition": {"BoolIfExists": NO_TLS}},
    ],
)
def test_a_policy_that_denies_whatever_is_without_tls(statements):
    """In all of the forms that AWS takes, also as a single statement without a list."""
    assert is_ok(Policy(statements))


@pytest.mark.parametrize(
    "statements",
    [
        ALLOW,
        [],
        {**DENY, "Effect": "Allow"},
        {**DENY, "Principal": {"AWS": "arn:aws:iam::123456789012:user/ada"}},
        {**DENY, "Principal": {"Service": "*"}},
        {**DENY, "Action": "s3:GetObject"},
        {**DENY, "Resource": BOTH[0]},
        {**DENY, "Resource": BOTH[1]},
        {**DENY, "Resource": [BOTH[0], f"{BOTH[0]}/private/*"]},
        {**DENY, "Resource": ["arn:aws:s3:::another", "arn:aws:s3:::another/*"]},
        {**DENY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {**DENY, "Condition": {}},
        {**DENY, "Condition": {"Bool": NO_TLS, "StringLike": {"aws:UserAgent": "curl*"}}},
        {**DENY, "Condition": {"Bool": {**NO_TLS, "aws:ViaAWSService": "true"}}},
    ],
)
def test_a_policy_that_denies_less_is_completed(statements):
    """One that denies some requests only is not enough; what it says stays beside ours."""
    s3 = Policy(statements)
    assert not is_ok(s3)
    differs = Found(ours=False, differences=(Difference(TLS, "allowed", "denied"),))
    BucketKind().mend(BUCKET, Place(lambda _: s3, "us-east-1"), differs)
    assert is_ok(s3)
    before = statements if isinstance(statements, list) else [statements]
    assert s3.document["Statement"][:-1] == before
    ids = [each["Sid"] for each in s3.document["Statement"] if "Sid" in each]
    assert len(ids) == len(set(ids))


class Theirs:
    """A bucket that AWS answers about with *code* alone."""

    def __init__(self, code):
        self.code = code

    def head_bucket(self, **_):
        raise client_error(self.code, "Forbidden", "HeadBucket", status=int(self.code))

    def get_caller_identity(self):
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"}


def test_a_name_that_somebody_else_has_leads_to_another_name():
    """AWS answers alike where the credentials may not look; no policy of ours would help."""
    with pytest.raises(AwsError) as caught:
        look(BUCKET, Place(lambda _: Theirs("403"), "us-east-1"))
    for words in ("belongs to another account", "--bucket", "arn:aws:iam::123456789012:user/ada"):
        assert words in str(caught.value)
    assert "NextstrainJobsAccessToBucket" not in str(caught.value)


def test_a_name_that_nobody_has_is_to_be_made():
    """Only "not found" is nothing; what AWS cannot answer is not taken for it."""
    assert look(BUCKET, Place(lambda _: Theirs("404"), "us-east-1")) is None
    with pytest.raises(AwsError, match="busy"):
        look(BUCKET, Place(lambda _: Theirs("503"), "us-east-1"))
