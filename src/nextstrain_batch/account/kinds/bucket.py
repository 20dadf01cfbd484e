"""The bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import (
    TAG_LIST,
    Found,
    Kind,
    absent,
    differences,
    is_ours,
)
from nextstrain_batch.account.resources import Bucket
from nextstrain_batch.aws_errors import error_code, error_text
from nextstrain_batch.errors import AwsError

from . import bucket_policy, lifecycle
from .lifecycle import EXPIRY, UPLOADS

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
        if not _exists(wanted.name, place):
            return None
        tags = absent(("NoSuchTagSet",), lambda: s3.get_bucket_tagging(**name)) or {}
        tls = bucket_policy.denies_plain(bucket_policy.read(s3, wanted.name), wanted.name)
        return Found(
            is_ours(tags.get("TagSet")),
            (
                *differences((PUBLIC, _words(is_private(s3, wanted.name)), "blocked")),
                *differences((ENCRYPTION, is_encrypted(s3, wanted.name), True)),
                *differences((TLS, "denied" if tls else "allowed", "denied")),
                *lifecycle.lacks(lifecycle.rules_of(s3, wanted.name), wanted),
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
            rules = lifecycle.merged(lifecycle.rules_of(s3, wanted.name), wanted)
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


def _exists(name: str, place: Place) -> bool:
    """Tell whether there is such a bucket; ``AwsError`` where AWS does not let us look at it."""
    from botocore.exceptions import ClientError

    s3 = place.client("s3")
    try:
        return absent(("404", "NoSuchBucket"), lambda: s3.head_bucket(Bucket=name)) is not None
    except ClientError as error:
        if error_code(error) not in {"403", "AccessDenied"}:
            raise
        raise AwsError(
            f"There is a bucket {name}, and AWS does not let you look at it.\n\n"
            "Most likely it belongs to another account, as names of buckets are unique in the"
            " world: choose another one with --bucket. If it is this account's, "
            f"{place.caller} may not look at it: use an administrator's credentials, or see"
            " whether the bucket's own policy denies s3:ListBucket.\n\n"
            f"AWS said: {error_text(error)}"
        ) from error


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
