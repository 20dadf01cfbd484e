"""The account made, found, damaged and mended, on the sandbox's own services."""

import pytest

from nextstrain_batch.account.apply import apply
from nextstrain_batch.account.options import Options
from nextstrain_batch.account.plan import plan
from nextstrain_batch.account.resources import account
from nextstrain_batch.sandbox import manager
from sandbox_account import clients_of, place_of

ACCOUNT = account(Options("their-bucket", "us-east-1", max_vcpus=16))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield manager.administrator(home)
    manager.stop(home)


@pytest.fixture(scope="module")
def place(endpoint):
    return place_of(clients_of(endpoint))


@pytest.fixture
def complete(place):
    apply(ACCOUNT, place)


@pytest.mark.usefixtures("complete")
def test_applying_twice_does_nothing(place):
    """A complete account has a plan without work."""
    assert plan(ACCOUNT, place).work == ()
    assert apply(ACCOUNT, place).work == ()


def test_every_step_is_told_before_it_is_taken(place):
    """Progress names each resource, in the order in which they depend on each other."""
    other = account(Options("another-bucket", "us-east-1", max_vcpus=16))
    steps = []
    apply(other, place, progress=steps.append)
    numbers = [other.resources.index(step.resource) for step in steps]
    assert numbers
    assert numbers == sorted(numbers)
    apply(ACCOUNT, place)


DAMAGE = {
    "the bucket is open": (
        "s3",
        lambda s3: s3.delete_public_access_block(Bucket="their-bucket"),
    ),
    "objects do not expire": (
        "s3",
        lambda s3: s3.delete_bucket_lifecycle(Bucket="their-bucket"),
    ),
    "plain HTTP is allowed": (
        "s3",
        lambda s3: s3.delete_bucket_policy(Bucket="their-bucket"),
    ),
    "the bucket is gone": ("s3", lambda s3: s3.delete_bucket(Bucket="their-bucket")),
    "a role lost its policy": (
        "iam",
        lambda iam: iam.detach_role_policy(
            RoleName="NextstrainJobsRole",
            PolicyArn="arn:aws:iam::123456789012:policy/NextstrainJobsAccessToBucket",
        ),
    ),
    "the group lost a policy": (
        "iam",
        lambda iam: iam.detach_group_policy(
            GroupName="NextstrainJobsUsers",
            PolicyArn="arn:aws:iam::123456789012:policy/NextstrainJobsAccessToLogs",
        ),
    ),
    "the log group is gone": (
        "logs",
        lambda logs: logs.delete_log_group(logGroupName="/aws/batch/job"),
    ),
    "logs are kept for ever": (
        "logs",
        lambda logs: logs.delete_retention_policy(logGroupName="/aws/batch/job"),
    ),
    "the queue is disabled": (
        "batch",
        lambda batch: batch.update_job_queue(jobQueue="nextstrain-job-queue", state="DISABLED"),
    ),
    "the definition is gone": (
        "batch",
        lambda batch: [
            batch.deregister_job_definition(jobDefinition=each["jobDefinitionArn"])
            for each in batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        ],
    ),
}


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_found_and_mended(place, damage):
    """The plan has the one thing that is lacking; applying it mends it."""
    service, break_it = DAMAGE[damage]
    break_it(place.client(service))
    assert len(plan(ACCOUNT, place).work) == 1
    apply(ACCOUNT, place)
    assert plan(ACCOUNT, place).work == ()
