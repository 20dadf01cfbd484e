"""The permission documents: the three that people who launch jobs need, and optional ones.

The three allow exactly the documented actions on the documented resources. Whatever goes beyond
them is a policy of its own, named for what it allows, so that each may be granted or not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nextstrain_batch import job_tags

BATCH_ACTIONS = (
    "batch:DescribeJobQueues",
    "batch:TerminateJob",
    "batch:DescribeJobs",
    "batch:CancelJob",
    "batch:SubmitJob",
    "batch:DescribeJobDefinitions",
)
BUCKET_ACTIONS = ("s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject")
LOGS_ACTIONS = ("logs:GetLogEvents", "logs:FilterLogEvents", "logs:DeleteLogStream")

IMAGES, LISTING, TAGS = "images", "listing", "tags"
"""The optional policies' short names."""


@dataclass(frozen=True)
class Optional:
    """Something that people may be allowed besides what every build needs."""

    key: str
    allows: str
    without: str
    """What does not work without it."""
    actions: tuple[str, ...]


OPTIONAL = (
    Optional(
        IMAGES,
        "run a build in another image than the job definition's (--image)",
        "--image ends with an error that says so",
        ("batch:RegisterJobDefinition", "iam:PassRole"),
    ),
    Optional(
        LISTING,
        "list everybody's jobs, and see why a job waits",
        "a job that waits long gives fewer reasons, and a submission whose answer was lost cannot"
        " be looked up",
        ("batch:ListJobs", "batch:DescribeComputeEnvironments", "batch:GetJobQueueSnapshot"),
    ),
    Optional(
        TAGS,
        "tag jobs when they are submitted",
        "jobs carry no tags",
        ("batch:TagResource",),
    ),
)


def batch() -> str:
    """Return the document for submitting, watching and ending jobs, as JSON."""
    return document(allow(BATCH_ACTIONS, "*"))


def bucket(name: str, partition: str = "aws") -> str:
    """Return the document for the files of builds in the bucket *name*, as JSON."""
    arn = f"arn:{partition}:s3:::{name}"
    return document(allow(BUCKET_ACTIONS, [f"{arn}/*", arn]))


def logs(group: str, partition: str = "aws") -> str:
    """Return the document for reading jobs' logs, as JSON."""
    arn = f"arn:{partition}:logs:*:*:log-group:{group}"
    return document(allow(LOGS_ACTIONS, [arn, f"{arn}:log-stream:*"]))


def images(definition: str, role: str, partition: str = "aws") -> str:
    """Return the document for deriving job definitions from *definition* for other images."""
    return document(
        allow(
            ("batch:RegisterJobDefinition",),
            [
                f"arn:{partition}:batch:*:*:job-definition/{definition}-image-*",
            ],
            "DeriveJobDefinitions",
        ),
        {
            **allow(("iam:PassRole",), [f"arn:{partition}:iam::*:role/{role}"], "GiveThemTheRole"),
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    )


def listing() -> str:
    """Return the document for listing jobs and finding out why they wait, as JSON."""
    return document(allow(_optional(LISTING).actions, "*", "ListAndDiagnose"))


def tags(partition: str = "aws") -> str:
    """Return the document for tagging jobs when they are submitted, as JSON."""
    return document(_tag_at_submission(partition))


def own_jobs(partition: str = "aws") -> str:
    """Return a document instead of ``batch`` that lets people end jobs of their own only.

    Whose a job is, its tag says, which everybody has to give it at submission with the value that
    IAM itself has for them. Nobody can tag a job later: that action is allowed on what jobs are
    submitted to, never on jobs. SubmitJob, TagResource, TerminateJob and CancelJob know these
    condition keys, and jobs these tags, by the Service Authorization Reference for AWS Batch.
    """
    arn = f"arn:{partition}:batch:*:*"
    submitted_to = [f"{arn}:job-definition/*", f"{arn}:job-queue/*", f"{arn}:job/*"]
    reads = ("batch:DescribeJobQueues", "batch:DescribeJobs", "batch:DescribeJobDefinitions")
    ends = ("batch:TerminateJob", "batch:CancelJob")
    return document(
        allow(reads, "*", "Look"),
        {
            **allow(("batch:SubmitJob",), submitted_to, "SubmitAsOneself"),
            "Condition": _own("Request"),
        },
        _tag_at_submission(partition, _own("Request")),
        {**allow(ends, [f"{arn}:job/*"], "EndOwnJobs"), "Condition": _own("Resource")},
    )


def _own(place: str) -> dict[str, object]:
    """Return the condition that the tag for a job's owner, there, is whoever asks."""
    return {"StringEquals": {f"aws:{place}Tag/{job_tags.OWNER}": "${aws:userid}"}}


def _tag_at_submission(
    partition: str, condition: dict[str, object] | None = None
) -> dict[str, object]:
    """Return the statement that lets jobs have our tags from the start; *condition* limits it.

    AWS judges TagResource, when a job is submitted with tags, on the job definition and the queue:
    its refusals name the definition (github.com/wri/gfw-data-api, pull request 175, where these
    two were then granted). Queues and definitions may so be tagged, too, but with our keys alone.
    """
    arn = f"arn:{partition}:batch:*:*"
    resources = [f"{arn}:job-definition/*", f"{arn}:job-queue/*"]
    ours = {"ForAllValues:StringEquals": {"aws:TagKeys": list(job_tags.KEYS)}}
    return {
        **allow(_optional(TAGS).actions, resources, "TagNewJobs"),
        "Condition": {**(condition or {}), **ours},
    }


def own_prefix(name: str, partition: str = "aws") -> str:
    """Return a document instead of ``bucket`` that keeps IAM users to ``users/<their name>/``."""
    arn = f"arn:{partition}:s3:::{name}"
    own = "users/${aws:username}/*"
    return document(
        allow(("s3:PutObject", "s3:GetObject", "s3:DeleteObject"), [f"{arn}/{own}"], "OwnFiles"),
        {
            **allow(("s3:ListBucket",), [arn], "ListOwnFiles"),
            "Condition": {"StringLike": {"s3:prefix": [own]}},
        },
    )


def tls_only(name: str, partition: str = "aws") -> dict[str, object]:
    """Return a bucket policy's statement: no request without TLS."""
    arn = f"arn:{partition}:s3:::{name}"
    return {
        "Sid": "TransportSecurityOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


_PARTITIONS = {
    "cn-": "aws-cn",
    "eusc-": "aws-eusc",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}
"""The parts of AWS by how their regions' names begin; all other regions are in ``aws``."""


def partition_of(region: str) -> str:
    """Return the part of AWS that a region is in, as ARNs have it and botocore knows it."""
    found = (part for prefix, part in _PARTITIONS.items() if region.startswith(prefix))
    return next(found, "aws")


def trust(service: str) -> str:
    """Return the document of a role that *service* takes on, as JSON."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    )


def allow(
    actions: tuple[str, ...], resources: str | list[str], sid: str = "VisualEditor0"
) -> dict[str, object]:
    """Return a statement that allows *actions* on *resources*."""
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def document(*statements: dict[str, object]) -> str:
    """Return a policy document, as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def same(one: str | dict[str, Any], other: str | dict[str, Any]) -> bool:
    """Tell whether two documents say the same: order and statement ids are of no account."""
    return _normal(one) == _normal(other)


def buckets(text: str | dict[str, Any]) -> frozenset[str]:
    """Return the names of the buckets that a document is about; patterns for names are none."""
    found: set[str] = set()
    for statement in statements(text):
        resources = statement.get("Resource", [])
        for arn in [resources] if isinstance(resources, str) else resources:
            _, is_bucket, path = str(arn).partition(":s3:::")
            name = path.partition("/")[0]
            if is_bucket and not {"*", "?", "$"} & set(name):
                found.add(name)
    return frozenset(found)


def statements(text: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Return a document's statements; AWS takes a single one without a list."""
    value = json.loads(text) if isinstance(text, str) else text
    found = value.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _normal(text: str | dict[str, Any]) -> list[str]:
    return sorted(
        json.dumps(
            {key: _sorted(part) for key, part in statement.items() if key != "Sid"}, sort_keys=True
        )
        for statement in statements(text)
    )


def _sorted(value: object) -> object:
    """Return a list's items in order; a single one as itself, as AWS takes both."""
    if not isinstance(value, list):
        return value
    return sorted(value) if len(value) > 1 else value[0] if value else value


def _optional(key: str) -> Optional:
    return next(each for each in OPTIONAL if each.key == key)
