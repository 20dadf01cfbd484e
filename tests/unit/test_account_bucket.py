"""A bucket that others have settings and objects in, or that does not let itself be emptied."""

import pytest

from nextstrain_batch.account.kinds.bucket import BucketKind
from nextstrain_batch.account.place import Found, Place
from nextstrain_batch.account.resources import Bucket
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
