"""The desired account says what the documentation promises."""

import json

import pytest

from nextstrain_batch.account import policies
from nextstrain_batch.account.options import Options
from nextstrain_batch.account.resources import (
    Bucket,
    ComputeEnvironment,
    JobDefinition,
    JobQueue,
    LogGroup,
    Policy,
    Role,
    account,
)

ACCOUNT = account(Options("my-builds", "eu-central-1"))


def only(kind):
    (found,) = ACCOUNT.of(kind)
    return found


def test_names_and_sizes_are_the_documented_ones():
    """The names that builds ask for when nothing else is set."""
    definition = only(JobDefinition)
    assert (definition.name, definition.image) == ("nextstrain-job", "nextstrain/base:latest")
    assert (definition.vcpus, definition.memory_mib) == (4, 7200)
    assert (definition.attempts, definition.timeout_seconds) == (1, 14_400)
    assert definition.role == "NextstrainJobsRole"
    assert only(JobQueue).name == "nextstrain-job-queue"
    assert only(ComputeEnvironment).min_vcpus == 0
    assert (only(LogGroup).name, only(LogGroup).retention_days) == ("/aws/batch/job", 30)
    assert only(Bucket).expire_days == 30


@pytest.mark.parametrize(
    ("name", "actions", "resources"),
    [
        (
            "NextstrainJobsAccessToBatch",
            {
                "batch:DescribeJobQueues",
                "batch:TerminateJob",
                "batch:DescribeJobs",
                "batch:CancelJob",
                "batch:SubmitJob",
                "batch:DescribeJobDefinitions",
            },
            {"*"},
        ),
        (
            "NextstrainJobsAccessToBucket",
            {"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"},
            {"arn:aws:s3:::my-builds/*", "arn:aws:s3:::my-builds"},
        ),
        (
            "NextstrainJobsAccessToLogs",
            {"logs:GetLogEvents", "logs:FilterLogEvents", "logs:DeleteLogStream"},
            {
                "arn:aws:logs:*:*:log-group:/aws/batch/job",
                "arn:aws:logs:*:*:log-group:/aws/batch/job:log-stream:*",
            },
        ),
    ],
)
def test_policies_allow_the_documented_actions_and_nothing_else(name, actions, resources):
    """Action by action and resource by resource."""
    (policy,) = [each for each in ACCOUNT.of(Policy) if each.name == name]
    (statement,) = json.loads(policy.document)["Statement"]
    found = statement["Resource"]
    assert statement["Effect"] == "Allow"
    assert set(statement["Action"]) == actions
    assert set(found if isinstance(found, list) else [found]) == resources


def test_the_job_role_is_for_ecs_tasks_and_reaches_only_the_bucket():
    """What runs inside a job can use the bucket, and nothing else."""
    (role,) = [each for each in ACCOUNT.of(Role) if each.name == "NextstrainJobsRole"]
    (statement,) = json.loads(role.trust)["Statement"]
    assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert role.policies == ("NextstrainJobsAccessToBucket",)
    assert role.managed_policies == ()


def test_the_bucket_refuses_requests_without_tls():
    """Whoever asks, for whatever."""
    statement = policies.tls_only("my-builds")
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "s3:*",
    )
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
