"""A bucket's lifecycle rules: ours is set, and whatever somebody else wants of them stays."""

import pytest

from nextstrain_batch.account.kinds.bucket import BucketKind
from nextstrain_batch.account.kinds.lifecycle import EXPIRY, UPLOADS, lacks, our_rule
from nextstrain_batch.account.place import Found, Place
from nextstrain_batch.account.resources import Bucket

BUCKET = Bucket("our-jobs", "us-east-1", expire_days=30)
OURS = our_rule(BUCKET)
ID = OURS["ID"]
ALL = {"Status": "Enabled", "Filter": {"Prefix": ""}}
TRANSITION = {"Transitions": [{"Days": 10, "StorageClass": "STANDARD_IA"}]}
NONCURRENT = {"NoncurrentVersionExpiration": {"NoncurrentDays": 3}}
MARKERS = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
DATED = {"Expiration": {"Date": "2030-01-01"}}


def expires(days):
    return {"Expiration": {"Days": days}}


def aborts(days):
    return {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}}


class Rules:
    """S3 with a bucket's rules, which refuses what S3 refuses."""

    def __init__(self, rules):
        self.rules = rules

    def get_bucket_lifecycle_configuration(self, **_):
        return {"Rules": self.rules}

    def put_bucket_lifecycle_configuration(self, *, LifecycleConfiguration, **_):  # noqa: N803
        rules = LifecycleConfiguration["Rules"]
        ids = [rule["ID"] for rule in rules]
        assert len(ids) == len(set(ids)), "the same ID twice"
        for rule in rules:
            assert set(rule) - {"ID", "Status", "Filter", "Prefix"}, "a rule without an action"
            assert rule.get("Expiration") != {}
        self.rules = rules


def mended(rules):
    """Return a bucket's rules after setup, which then finds nothing more to do."""
    s3 = Rules(rules)
    differs = Found(ours=True, differences=lacks(rules, BUCKET))
    BucketKind().mend(BUCKET, Place(lambda _: s3, "us-east-1"), differs)
    assert lacks(s3.rules, BUCKET) == ()
    return s3.rules


@pytest.mark.parametrize(
    ("before", "others"),
    [
        ([], []),
        ([{**OURS, **expires(60)}], []),
        ([{"ID": "theirs", **ALL, **expires(7), **aborts(7)}], []),
        # What somebody added to ours, whose days they changed, too.
        ([{**OURS, **expires(90), **TRANSITION}], [{"ID": f"{ID}-2", **ALL, **TRANSITION}]),
        ([{**OURS, **expires(90), **NONCURRENT}], [{"ID": f"{ID}-2", **ALL, **NONCURRENT}]),
        (
            [{"ID": f"{ID}-2", **ALL, **MARKERS}, {**OURS, **expires(90), **TRANSITION}],
            [{"ID": f"{ID}-2", **ALL, **MARKERS}, {"ID": f"{ID}-3", **ALL, **TRANSITION}],
        ),
        ([{**OURS, "Status": "Disabled"}], [{**OURS, "ID": f"{ID}-2", "Status": "Disabled"}]),
        # What is about other things.
        ([{"ID": "a", **ALL, **MARKERS}], [{"ID": "a", **ALL, **MARKERS}]),
        (
            [{"ID": "a", **ALL, **MARKERS, **NONCURRENT}],
            [{"ID": "a", **ALL, **MARKERS, **NONCURRENT}],
        ),
        ([{"ID": "a", **ALL, **DATED}], [{"ID": "a", **ALL, **DATED}]),
        (
            [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "x/"}, **expires(5)}],
            [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "x/"}, **expires(5)}],
        ),
        (
            [{"ID": "a", "Status": "Enabled", "Prefix": "x/", **expires(5), **aborts(1)}],
            [{"ID": "a", "Status": "Enabled", "Prefix": "x/", **expires(5), **aborts(1)}],
        ),
        (
            [{"ID": "a", "Status": "Enabled", "Filter": {"And": {"Tags": []}}, **expires(5)}],
            [{"ID": "a", "Status": "Enabled", "Filter": {"And": {"Tags": []}}, **expires(5)}],
        ),
    ],
)
def test_only_days_are_changed(before, others):
    """Transitions, old versions, delete markers and rules for some objects stay as they were."""
    assert mended(before) == [*others, OURS]


def test_uploads_are_removed_as_early_as_before():
    """Any number of days will do, so that of somebody else stays."""
    rules = [{"ID": "theirs", **ALL, **expires(7), **aborts(2)}]
    assert [each.what for each in lacks(rules, BUCKET)] == [EXPIRY]
    assert mended(rules) == [{**OURS, **aborts(2)}]
    assert [each.what for each in lacks([], BUCKET)] == [EXPIRY, UPLOADS]
