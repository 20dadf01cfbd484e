"""The bucket and the log group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch.account.kinds import bucket as kind
from nextstrain_batch.account.kinds.batch import active_definitions

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
        document = kind.policy_of(subject.place.client("s3"), subject.bucket.bucket)
        yield (
            ok(TLS, "its policy denies anything else")
            if kind.denies_plain(document)
            else failed(TLS, "its policy allows more", f"{subject.mend} sets it.")
        )


def expiring(subject: Subject) -> Iterator[Finding]:
    """See a rule: builds remove nothing, so what nothing removes is paid for for ever."""
    if subject.bucket is None:
        return
    rules = kind.lifecycle_rules(subject.place.client("s3"), subject.bucket.bucket)
    days, uploads = kind.expiry_days(rules), kind.upload_days(rules)
    if days is None:
        yield failed(EXPIRY, "no rule removes what builds leave", f"{subject.mend} adds one.")
    elif uploads is None:
        yield failed(EXPIRY, "no rule removes incomplete uploads", f"{subject.mend} adds one.")
    else:
        yield ok(EXPIRY, f"after {days} days")


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
    for each in active_definitions(subject.definition, subject.own):
        configuration = each.get("containerProperties", {}).get("logConfiguration") or {}
        if group := configuration.get("options", {}).get("awslogs-group"):
            return str(group)
    return LOG_GROUP


CHECKS = (
    Check(BUCKET, reachable),
    Check(PRIVATE, private),
    Check(ENCRYPTED, encrypted),
    Check(TLS, tls_only),
    Check(EXPIRY, expiring),
    Check(LOGS, logs),
)
