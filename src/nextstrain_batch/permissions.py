"""Which IAM action a request takes, and which of the account's policies grants it."""

from __future__ import annotations

import re

# S3's operations are not named like the permissions they need (Service Authorization Reference).
_S3_ACTIONS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
}
_ACTION_SERVICES = {
    "CancelJob": "batch",
    "DescribeComputeEnvironments": "batch",
    "DescribeJobDefinitions": "batch",
    "DescribeJobQueues": "batch",
    "DescribeJobs": "batch",
    "GetJobQueueSnapshot": "batch",
    "ListJobs": "batch",
    "RegisterJobDefinition": "batch",
    "SubmitJob": "batch",
    "TagResource": "batch",
    "TerminateJob": "batch",
    "DeleteLogStream": "logs",
    "FilterLogEvents": "logs",
    "GetLogEvents": "logs",
}
_POLICIES = {
    "NextstrainJobsAccessToBatch": {
        "batch:CancelJob",
        "batch:DescribeJobDefinitions",
        "batch:DescribeJobQueues",
        "batch:DescribeJobs",
        "batch:SubmitJob",
        "batch:TerminateJob",
    },
    "NextstrainJobsAccessToBucket": {
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    },
    "NextstrainJobsAccessToLogs": {
        "logs:DeleteLogStream",
        "logs:FilterLogEvents",
        "logs:GetLogEvents",
    },
}
_OPTIONAL = {
    "using another image than the job definition's": {
        "batch:RegisterJobDefinition",
        "iam:PassRole",
    },
    "listing jobs and saying why they wait": {
        "batch:DescribeComputeEnvironments",
        "batch:GetJobQueueSnapshot",
        "batch:ListJobs",
    },
    "tagging jobs": {"batch:TagResource"},
}

_ENDING = (
    "Some accounts let people end jobs of their own only (the policy"
    " NextstrainJobsAccessToOwnJobs). If yours does, a job can be ended by whoever launched it,"
    " with the same credentials and with job tags on (tag-jobs), or by an administrator."
)
_OWN_JOBS = {
    "batch:CancelJob": _ENDING,
    "batch:TerminateJob": _ENDING,
    "batch:SubmitJob": (
        "Some accounts take only jobs that say whose they are (the policy"
        " NextstrainJobsAccessToOwnJobs). If yours does, turn job tags on: `tag-jobs = true` under"
        " [aws-batch] in ~/.nextstrain/config, NEXTSTRAIN_AWS_BATCH_TAG_JOBS=1, or the option"
        " --aws-batch-tag-jobs."
    ),
}
"""What else may be meant where people are kept to their own jobs."""
_TAGS = (
    ": jobs are tagged because --aws-batch-tag-jobs, NEXTSTRAIN_AWS_BATCH_TAG_JOBS or `tag-jobs`"
    " under [aws-batch] in ~/.nextstrain/config says so, and --no-aws-batch-tag-jobs turns that off"
)


def denied_action(operation: str, text: str) -> str | None:
    """Return the IAM action that was denied, or None if it cannot be told.

    The one that AWS's sentence *text* names, else the one that the *operation* needs.
    """
    named = re.search(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9]+)", text)
    if named:
        return named[1]
    if operation in _S3_ACTIONS:
        return _S3_ACTIONS[operation]
    service = _ACTION_SERVICES.get(operation)
    return f"{service}:{operation}" if service else None


def who_grants(action: str | None) -> str:
    """Say which policy grants an action, and whom to ask for it."""
    for policy, actions in _POLICIES.items():
        if action in actions:
            granted = (
                f"The policy {policy} grants it. Ask whoever administers the AWS account to attach"
                " that policy to you (usually through the group for people who launch jobs), or,"
                " when this happens inside a job, to the job's role. Check also that the policy"
                " names this very resource, and that you use the credentials you mean to:"
                " `aws sts get-caller-identity` shows whose they are."
            )
            own = _OWN_JOBS.get(action or "")
            return f"{granted}\n\n{own}" if own else granted
    for purpose, actions in _OPTIONAL.items():
        if action in actions:
            further = _TAGS if action == "batch:TagResource" else ""
            return (
                f"It is part of the optional policy for {purpose}. Ask whoever administers the AWS"
                f" account to attach that policy to you, or do without{further}."
            )
    return (
        "Ask whoever administers the AWS account for this permission."
        " `aws sts get-caller-identity` shows whose credentials you use."
    )
