"""The bucket and the log group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.kinds import bucket as kind
from nextstrain_batch.account.kinds import bucket_policy, lifecycle
from nextstrain_batch.store import keys
from nextstrain_batch.store.pins import EXPIRY as RELIED_ON

from .computing import newest
from .finding import Check, failed, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .finding import Finding, Subject

BUCKET, PRIVATE, ENCRYPTED = "bucket", "bucket is private", "bucket is encrypted"
TLS, EXPIRY, LOGS = "bucket is reached by TLS only", "bucket's files expire", "log group"
LOG_GROUP = "/aws/batch/job"


def reachable(subject: Subject) -> Iterator[Finding]:
    """List it as whoever launches builds."""
    url = subject.bucket
    if url is None:
        remedy = f"{subject.mend} makes one; or name one with `s3-bucket` under [aws-batch]."
        yield failed(BUCKET, "none is set", remedy)
        return
    below = f"{url.prefix}/".lstrip("/")  # all that some users may list
    subject.own.client("s3").list_objects_v2(Bucket=url.bucket, Prefix=below, MaxKeys=1)
    yield ok(BUCKET, f"{url} can be reached")


def private(subject: Subject) -> Iterator[Finding]:
    """See that nobody else can read it, whatever somebody may set on an object."""
    if subject.bucket:
        good = kind.is_private(subject.place.client("s3"), subject.bucket.bucket)
        yield (
            ok(PRIVATE, "public access is blocked")
            if good
            else failed(PRIVATE, "public access is not blocked", f"{subject.mend} blocks it.")
        )


def encrypted(subject: Subject) -> Iterator[Finding]:
    """See the default, which S3 sets by itself since 2023."""
    if subject.bucket:
        good = kind.is_encrypted(subject.place.client("s3"), subject.bucket.bucket)
        yield (
            ok(ENCRYPTED, "by default")
            if good
            else failed(ENCRYPTED, "not by default", f"{subject.mend} sets it.")
        )


def tls_only(subject: Subject) -> Iterator[Finding]:
    """See that a policy of the bucket's own denies anything else."""
    if subject.bucket:
        document = bucket_policy.read(subject.place.client("s3"), subject.bucket.bucket)
        yield (
            ok(TLS, "its policy denies anything else")
            if bucket_policy.denies_plain(document, subject.bucket.bucket)
            else failed(TLS, "its policy allows more", f"{subject.mend} sets it.")
        )


def expiring(subject: Subject) -> Iterator[Finding]:
    """See a rule: builds remove nothing, so what nothing removes is paid for for ever.

    And see that none removes what uploads found young enough to rely on.
    """
    if subject.bucket is None:
        return
    rules = lifecycle.rules_of(subject.place.client("s3"), subject.bucket.bucket)
    rules = [rule for rule in rules if rule.get("Status") == "Enabled"]
    below = f"{subject.bucket.prefix}/".lstrip("/")
    for rule in rules:
        if (days := _expires_after(rule, below)) is not None and days < RELIED_ON.days:
            yield _too_early(rule, days, subject)
            return
    whole = [rule for rule in rules if _applies_to_all(rule, below)]
    after = [rule["Expiration"]["Days"] for rule in whole if "Days" in rule.get("Expiration", {})]
    if not after:
        yield failed(EXPIRY, "no rule removes what builds leave", f"{subject.mend} adds one.")
    elif not any("AbortIncompleteMultipartUpload" in rule for rule in whole):
        yield failed(EXPIRY, "no rule removes incomplete uploads", f"{subject.mend} adds one.")
    else:
        yield ok(EXPIRY, f"after {min(after)} days")


def _too_early(rule: dict[str, Any], days: int, subject: Subject) -> Finding:
    name, wanted = rule.get("ID", "without a name"), RELIED_ON.days
    detail = (
        f"the lifecycle rule {name} removes some after {days} days; builds rely on {wanted}, so"
        " files of a job that waits may vanish"
    )
    if _applies_to_all(rule, "") and "Days" in rule["Expiration"]:  # setup leaves dates alone
        return failed(EXPIRY, detail, f"{subject.mend} --expire-days={wanted} changes it.")
    remedy = (
        f"Let it remove them after {wanted} days or more (in S3's console: Management, Lifecycle"
        " rules), or send builds through another prefix or bucket."
    )
    return failed(EXPIRY, detail, remedy)


def _expires_after(rule: dict[str, Any], below: str) -> int | None:
    """Return after how many days an enabled rule removes any of our objects; None for never.

    A rule for tagged objects is about others: ours have no tags. One that names a date removes from
    then on whatever there is. https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    limits, expiration = _limits(rule), rule.get("Expiration", {})
    if "Tags" in limits or "Tag" in limits or not {"Days", "Date"} & expiration.keys():
        return None
    prefix = str(limits.get("Prefix", ""))
    areas = [below + kind_of for kind_of in (keys.PACKS, keys.AGENTS, keys.RUNS)]
    if not any(area.startswith(prefix) or prefix.startswith(area) for area in areas):
        return None
    return int(expiration.get("Days", 0))


def _applies_to_all(rule: dict[str, Any], below: str) -> bool:
    """Tell whether an enabled rule is about every object whose key begins with *below*."""
    limits = _limits(rule)
    return not set(limits) - {"Prefix"} and below.startswith(str(limits.get("Prefix", "")))


def _limits(rule: dict[str, Any]) -> dict[str, Any]:
    """Return what a rule's objects must have, by S3's names for it."""
    found = {"Prefix": rule.get("Prefix"), **rule.get("Filter", {})}
    found |= found.pop("And", None) or {}
    return {name: value for name, value in found.items() if value not in ("", None)}


def logs(subject: Subject) -> Iterator[Finding]:
    """Look at the group that the job definition sends logs to."""
    name = _log_group(subject)
    client = subject.place.client("logs")
    found = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    named = [each for each in found if each["logGroupName"] == name]
    if not named:
        yield failed(
            LOGS,
            f"there is no {name}; the first job would make one that keeps logs for ever",
            f"{subject.mend} makes it.",
        )
    elif not named[0].get("retentionInDays"):
        yield failed(LOGS, f"{name} keeps logs for ever", f"{subject.mend} sets an end.")
    else:
        yield ok(LOGS, f"{name} keeps logs for {named[0]['retentionInDays']} days")


def _log_group(subject: Subject) -> str:
    container = (newest(subject) or {}).get("containerProperties") or {}
    options = (container.get("logConfiguration") or {}).get("options") or {}
    return str(options.get("awslogs-group") or LOG_GROUP)


CHECKS = (
    Check(BUCKET, reachable),
    Check(PRIVATE, private),
    Check(ENCRYPTED, encrypted),
    Check(TLS, tls_only),
    Check(EXPIRY, expiring),
    Check(LOGS, logs),
)
