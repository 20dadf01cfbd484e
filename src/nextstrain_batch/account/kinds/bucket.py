"""The bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import (
    TAG_LIST,
    Difference,
    Found,
    Kind,
    absent,
    differences,
    is_ours,
)
from nextstrain_batch.account.resources import Bucket
from nextstrain_batch.errors import AwsError

from . import bucket_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nextstrain_batch.account.place import Client, Place

PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}

PUBLIC, ENCRYPTION, TLS = "public access", "encryption", "requests without TLS"
EXPIRY, UPLOADS = "expiry of objects", "expiry of incomplete uploads"


class BucketKind(Kind[Bucket]):
    """Settings that somebody added to a bucket, such as more rules, stay."""

    costs = "$0.023 a GB and month while files are kept, and $0.005 for 1,000 uploads"

    def summary(self, wanted: Bucket) -> tuple[str, ...]:
        """Return what it will be."""
        return (
            "private, encrypted, reached by TLS only",
            f"objects expire after {wanted.expire_days} days",
        )

    def look(self, wanted: Bucket, place: Place) -> Found | None:
        """Read its settings."""
        s3, name = place.client("s3"), {"Bucket": wanted.name}
        if absent(("404", "NoSuchBucket"), lambda: s3.head_bucket(**name)) is None:
            return None
        rules = lifecycle_rules(s3, wanted.name)
        tags = absent(("NoSuchTagSet",), lambda: s3.get_bucket_tagging(**name)) or {}
        tls = bucket_policy.denies_plain(bucket_policy.read(s3, wanted.name), wanted.name)
        return Found(
            is_ours(tags.get("TagSet")),
            (
                *differences((PUBLIC, _words(is_private(s3, wanted.name)), "blocked")),
                *differences((ENCRYPTION, is_encrypted(s3, wanted.name), True)),
                *differences((TLS, "denied" if tls else "allowed", "denied")),
                *_expiry(rules, wanted),
            ),
            holds=_content(s3, wanted.name),
        )

    def make(self, wanted: Bucket, place: Place) -> None:
        """Make it, closed before anything can be put into it."""
        s3 = place.client("s3")
        configuration: dict[str, Any] = {"Tags": TAG_LIST}
        if wanted.region != "us-east-1":  # the one region that must not be named
            configuration["LocationConstraint"] = wanted.region
        s3.create_bucket(Bucket=wanted.name, CreateBucketConfiguration=configuration)
        tags = absent(("NoSuchTagSet",), lambda: s3.get_bucket_tagging(Bucket=wanted.name)) or {}
        if not is_ours(tags.get("TagSet")):  # S3-like servers that ignore tags at creation
            s3.put_bucket_tagging(Bucket=wanted.name, Tagging={"TagSet": TAG_LIST})
        everything = [PUBLIC, ENCRYPTION, TLS, EXPIRY, UPLOADS]
        self._set(wanted, s3, everything)

    def mend(self, wanted: Bucket, place: Place, found: Found) -> None:
        """Change the settings that differ."""
        self._set(wanted, place.client("s3"), [each.what for each in found.differences])

    def _set(self, wanted: Bucket, s3: Client, parts: list[str]) -> None:
        name = {"Bucket": wanted.name}
        if PUBLIC in parts:
            s3.put_public_access_block(**name, PublicAccessBlockConfiguration=PRIVATE)
        if ENCRYPTION in parts:
            s3.put_bucket_encryption(**name, ServerSideEncryptionConfiguration=ENCRYPTED)
        if TLS in parts:
            document = bucket_policy.with_tls_only(bucket_policy.read(s3, wanted.name), wanted)
            s3.put_bucket_policy(**name, Policy=json.dumps(document))
        if EXPIRY in parts or UPLOADS in parts:
            rules = list(merged_rules(lifecycle_rules(s3, wanted.name), wanted))
            s3.put_bucket_lifecycle_configuration(**name, LifecycleConfiguration={"Rules": rules})

    def remove(self, wanted: Bucket, place: Place, found: Found) -> None:  # noqa: ARG002
        """Empty it and remove it."""
        s3 = place.client("s3")
        for keys in _versions(s3, wanted.name):
            place.tell(f"deleting {len(keys)} objects")
            answer = s3.delete_objects(Bucket=wanted.name, Delete={"Objects": keys, "Quiet": True})
            if errors := answer.get("Errors"):
                place.tell(f"{len(errors)} objects were not deleted: {errors[0].get('Message')}")
                if len(errors) >= len(keys):  # the next listing would have the same ones again
                    raise _undeletable(wanted.name, errors[0])
        s3.delete_bucket(Bucket=wanted.name)


def _undeletable(bucket: str, error: dict[str, Any]) -> AwsError:
    return AwsError(
        f"The bucket {bucket} cannot be emptied: AWS does not delete {error.get('Key')}.\n\n"
        "Likely causes: an object lock, or a policy against s3:DeleteObjectVersion. When that is"
        " mended, run the same command again: it goes on where it stopped. Without --delete-data,"
        " the bucket stays.\n\n"
        f"AWS said: {error.get('Code')}: {error.get('Message')}"
    )


def is_private(s3: Client, name: str) -> bool:
    """Tell whether all four settings against public access are on."""
    code = ("NoSuchPublicAccessBlockConfiguration",)
    found = absent(code, lambda: s3.get_public_access_block(Bucket=name))
    return bool(found and found["PublicAccessBlockConfiguration"] == PRIVATE)


def is_encrypted(s3: Client, name: str) -> bool:
    """Tell whether objects are encrypted by default, with whatever key."""
    code = ("ServerSideEncryptionConfigurationNotFoundError",)
    found = absent(code, lambda: s3.get_bucket_encryption(Bucket=name))
    return bool(found and found["ServerSideEncryptionConfiguration"]["Rules"])


def lifecycle_rules(s3: Client, name: str) -> list[dict[str, Any]]:
    """Return the bucket's lifecycle rules."""
    found = absent(
        ("NoSuchLifecycleConfiguration",),
        lambda: s3.get_bucket_lifecycle_configuration(Bucket=name),
    )
    return list(found["Rules"]) if found else []


def expiry_days(rules: list[dict[str, Any]]) -> int | None:
    """Return after how many days every object expires, or None."""
    days = [rule["Expiration"]["Days"] for rule in rules if _for_all(rule, "Expiration", "Days")]
    return min(days, default=None)


def upload_days(rules: list[dict[str, Any]]) -> int | None:
    """Return after how many days every incomplete upload is removed, or None."""
    part, key = "AbortIncompleteMultipartUpload", "DaysAfterInitiation"
    return min((rule[part][key] for rule in rules if _for_all(rule, part, key)), default=None)


def merged_rules(rules: list[dict[str, Any]], wanted: Bucket) -> Iterator[dict[str, Any]]:
    """Yield rules as desired, and those that are about something else."""
    for rule in rules:
        others = {
            key: value
            for key, value in rule.items()
            if not _for_all(rule, key) or key in {"ID", "Filter", "Prefix", "Status"}
        }
        if set(others) - {"ID", "Filter", "Prefix", "Status"}:
            yield others
    yield our_rule(wanted)


def our_rule(wanted: Bucket) -> dict[str, Any]:
    """Return the lifecycle rule that the bucket needs."""
    return {
        "ID": f"expire-after-{wanted.expire_days}-days",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": wanted.expire_days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": wanted.abort_uploads_days},
    }


def _for_all(rule: dict[str, Any], part: str, key: str | None = None) -> bool:
    """Tell whether an enabled rule does *part* (by *key*) to every object."""
    filtered = rule.get("Filter", {})
    narrow = {name for name, value in filtered.items() if value not in ("", None)}
    if rule.get("Status") != "Enabled" or narrow or rule.get("Prefix"):
        return False
    if part not in {"Expiration", "AbortIncompleteMultipartUpload"}:
        return False
    return part in rule and (key is None or key in rule[part])


def _expiry(rules: list[dict[str, Any]], wanted: Bucket) -> tuple[Difference, ...]:
    objects, uploads = expiry_days(rules), upload_days(rules)
    found = differences((EXPIRY, _days(objects), _days(wanted.expire_days)))
    if uploads is None:  # any number will do
        found += differences((UPLOADS, _days(None), _days(wanted.abort_uploads_days)))
    return found


def _days(days: int | None) -> str:
    return "never" if days is None else f"after {days} days"


def _words(private: bool) -> str:
    return "blocked" if private else "not blocked"


def _content(s3: Client, name: str) -> str:
    answer = absent(
        ("AccessDenied",), lambda: s3.list_object_versions(Bucket=name, MaxKeys=1000)
    ) or {"IsTruncated": True}
    count = len(answer.get("Versions", ())) + len(answer.get("DeleteMarkers", ()))
    if not count and not answer.get("IsTruncated"):
        return ""
    return f"{'more than ' * bool(answer.get('IsTruncated'))}{count:,} objects"


def _versions(s3: Client, name: str) -> Iterator[list[dict[str, str]]]:
    """Yield the objects, with all their versions, in lots that one request may delete."""
    while True:
        answer = s3.list_object_versions(Bucket=name, MaxKeys=1000)
        found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        if not found:
            return
        yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
