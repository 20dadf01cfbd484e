"""The real commands on an account that is damaged part by part: check names it, setup mends it."""

import io
import json

import pytest

from nextstrain_batch import cli
from nextstrain_batch.account import policies
from nextstrain_batch.sandbox import manager
from sandbox_account import clients_of

BUCKET, QUEUE, DEFINITION = "nextstrain-jobs", "nextstrain-job-queue", "nextstrain-job"
ENVIRONMENT = "nextstrain-jobs"
POLICY = "arn:aws:iam::123456789012:policy/NextstrainJobsAccessToBucket"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    yield home
    manager.stop(home)


@pytest.fixture
def run(home, monkeypatch, capsys):
    """Return the command line as a function: exit code and standard output."""
    monkeypatch.setenv("NEXTSTRAIN_HOME", str(home))
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def command(*words):
        capsys.readouterr()
        code = cli.run(words)
        return code, capsys.readouterr().out

    return command


@pytest.fixture
def check(run):
    def checked():
        code, out = run("check-setup", "--sandbox", "--json")
        found = json.loads(out)["findings"]
        assert code == int(any(each["verdict"] == "failed" for each in found))
        return {each["part"]: each for each in found}

    return checked


@pytest.fixture
def set_up(run):
    def setting(*words):
        code, out = run("setup", "aws-batch", "--sandbox", "--yes", *words)
        assert code == 0, out
        return out

    return setting


def failed(found):
    return {part for part, each in found.items() if each["verdict"] == "failed"}


def test_an_empty_account_is_set_up_checked_and_emptied(run, check, set_up):
    """Setup, check, setup again with nothing to do, destroy, and everything is missing."""
    set_up()
    set_up("--destroy", "--delete-data")
    empty = check()
    assert "permissions for AWS Batch" in failed(empty)
    assert {empty[part]["verdict"] for part in ("bucket", "job queue")} <= {"failed", "cannot tell"}
    assert "to make" in set_up()
    found = check()
    assert failed(found) == set()
    unknown = {part for part, each in found.items() if each["verdict"] == "cannot tell"}
    assert all(part.startswith("optional") for part in unknown)
    assert "There is nothing to do." in set_up()
    assert "to remove" in set_up("--destroy")
    code, out = run("setup", "aws-batch", "--sandbox", "--destroy", "--dry-run")
    assert (code, "nothing to do" in out) == (0, True)
    set_up()


def own_security_group(ec2):
    filters = [{"Name": "group-name", "Values": ["nextstrain-jobs"]}]
    return ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]["GroupId"]


def remove_queue(batch):
    batch.update_job_queue(jobQueue=QUEUE, state="DISABLED")
    batch.delete_job_queue(jobQueue=QUEUE)


def remove_environment(batch):
    remove_queue(batch)
    batch.update_compute_environment(computeEnvironment=ENVIRONMENT, state="DISABLED")
    batch.delete_compute_environment(computeEnvironment=ENVIRONMENT)


def remove_instance_role(iam):
    name = {"RoleName": "NextstrainJobsInstanceRole"}
    iam.remove_role_from_instance_profile(InstanceProfileName=name["RoleName"], **name)
    remove_role(iam, name)


def remove_job_role(iam):
    remove_role(iam, {"RoleName": "NextstrainJobsRole"})


def remove_role(iam, name):
    for each in iam.list_attached_role_policies(**name)["AttachedPolicies"]:
        iam.detach_role_policy(PolicyArn=each["PolicyArn"], **name)
    iam.delete_role(**name)


DAMAGE = {
    "bucket removed": ("bucket", "s3", lambda s3: s3.delete_bucket(Bucket=BUCKET)),
    "bucket open": (
        "bucket is private",
        "s3",
        lambda s3: s3.delete_public_access_block(Bucket=BUCKET),
    ),
    "bucket without policy": (
        "bucket is reached by TLS only",
        "s3",
        lambda s3: s3.delete_bucket_policy(Bucket=BUCKET),
    ),
    "files kept for ever": (
        "bucket's files expire",
        "s3",
        lambda s3: s3.delete_bucket_lifecycle(Bucket=BUCKET),
    ),
    "log group removed": (
        "log group",
        "logs",
        lambda logs: logs.delete_log_group(logGroupName="/aws/batch/job"),
    ),
    "logs kept for ever": (
        "log group",
        "logs",
        lambda logs: logs.delete_retention_policy(logGroupName="/aws/batch/job"),
    ),
    "queue disabled": (
        "job queue",
        "batch",
        lambda batch: batch.update_job_queue(jobQueue=QUEUE, state="DISABLED"),
    ),
    "queue removed": ("job queue", "batch", remove_queue),
    "environment disabled": (
        "compute environment nextstrain-jobs",
        "batch",
        lambda batch: batch.update_compute_environment(
            computeEnvironment=ENVIRONMENT, state="DISABLED"
        ),
    ),
    "queue and environment removed": ("job queue", "batch", remove_environment),
    "environment that costs while idle": (
        "compute environment nextstrain-jobs",
        "batch",
        lambda batch: batch.update_compute_environment(
            computeEnvironment=ENVIRONMENT, computeResources={"minvCpus": 4}
        ),
    ),
    "environment too small": (
        "size of jobs",
        "batch",
        lambda batch: batch.update_compute_environment(
            computeEnvironment=ENVIRONMENT, computeResources={"maxvCpus": 2}
        ),
    ),
    "definition removed": (
        "job definition",
        "batch",
        lambda batch: [
            batch.deregister_job_definition(jobDefinition=each["jobDefinitionArn"])
            for each in batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        ],
    ),
    "definition without a role": (
        "job definition",
        "batch",
        lambda batch: batch.register_job_definition(
            jobDefinitionName=DEFINITION,
            type="container",
            containerProperties={"image": "nextstrain/base", "vcpus": 1, "memory": 1024},
        ),
    ),
    "group without a policy": (
        "permissions for the bucket",
        "iam",
        lambda iam: iam.detach_group_policy(GroupName="NextstrainJobsUsers", PolicyArn=POLICY),
    ),
    "group with less in a policy": (
        "permissions for the bucket",
        "iam",
        lambda iam: iam.create_policy_version(
            PolicyArn=POLICY,
            PolicyDocument=policies.document(policies.allow(("s3:ListBucket",), "*")),
            SetAsDefault=True,
        ),
    ),
    "role without its policy": (
        "job role",
        "iam",
        lambda iam: iam.detach_role_policy(RoleName="NextstrainJobsRole", PolicyArn=POLICY),
    ),
    "role for somebody else": (
        "job role",
        "iam",
        lambda iam: iam.update_assume_role_policy(
            RoleName="NextstrainJobsRole", PolicyDocument=policies.trust("ec2.amazonaws.com")
        ),
    ),
    "role removed": ("job role", "iam", remove_job_role),
    "instance role removed": ("instances of nextstrain-jobs", "iam", remove_instance_role),
    "security group removed": (
        "instances of nextstrain-jobs",
        "ec2",
        lambda ec2: ec2.delete_security_group(GroupId=own_security_group(ec2)),
    ),
    "launch template removed": (
        "instances of nextstrain-jobs",
        "ec2",
        lambda ec2: ec2.delete_launch_template(
            LaunchTemplateName=ec2.describe_launch_templates()["LaunchTemplates"][0][
                "LaunchTemplateName"
            ]
        ),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_named_and_mended(damage, home, check, set_up):
    """check-setup fails on the damaged part, and setup mends it."""
    if not (home / "complete").exists():  # each case leaves it so
        set_up("--disk=100")
        (home / "complete").touch()
    part, service, break_it = DAMAGE[damage]
    break_it(clients_of(manager.administrator(home))(service))
    found = check()
    assert part in failed(found)
    assert "nextstrain setup aws-batch" in found[part]["remedy"] or part.startswith("permissions")
    set_up()
    assert failed(check()) == set()


def test_the_canary_comes_back(run, set_up):
    """A tiny job goes the whole path, and says so."""
    set_up()
    code, out = run("check-setup", "--sandbox", "--canary")
    assert code == 0, out
    assert out.splitlines()[-1].startswith("ok           canary: ")
