"""The account as a CloudFormation template."""

import json

import pytest
from cfnlint.api import lint_all

from nextstrain_batch.account.options import ALLOWABLE, Names, Options
from nextstrain_batch.account.resources import account
from nextstrain_batch.account.template import cloudformation

NAMES = Names(definition="zika-job", queue="zika-queue", environment="zika", group="ZikaPeople")
SETS = {
    "plain": {},
    "spot": {"spot": True},
    "disk": {"disk_gib": 500},
    "spot with disk": {"spot": True, "disk_gib": 200},
    "local disks": {"local_nvme": True, "instance_types": ("m6id", "r6id.4xlarge")},
    "metadata": {"block_metadata": True},
    "all policies": {"allow": ALLOWABLE},
    "own prefixes": {"own_prefixes": True},
    "own jobs": {"own_jobs": True, "allow": ALLOWABLE},
    "own network": {"vpc": "vpc-0123456789abcdef0", "subnets": ("subnet-0123456789abcdef0",)},
    "new network": {"new_vpc": True},
    "new network with all else": {
        "new_vpc": True,
        "vpc_cidr": "192.168.0.0/22",
        "spot": True,
        "disk_gib": 200,
        "block_metadata": True,
        "names": NAMES,
    },
    "new network in a region of two zones": {"new_vpc": True, "region": "us-west-1"},
    "own security group": {
        "vpc": "vpc-0123456789abcdef0",
        "security_groups": ("sg-0123456789abcdef0",),
    },
    "sizes": {"max_vcpus": 2000, "vcpus": 64, "memory_mib": 500_000, "timeout_seconds": 86_400},
    "times": {"expire_days": 90, "log_days": 7},
    "names": {"names": NAMES, "spot": True},
    "another region": {"region": "eu-central-1"},
}


def template(choices):
    values = {"bucket": "our-nextstrain-jobs", "region": "us-east-1", **choices}
    return cloudformation(account(Options(**values)))


@pytest.mark.parametrize("choices", SETS.values(), ids=SETS)
def test_a_linter_accepts_it(choices):
    """cfn-lint has nothing to say, whatever was chosen."""
    found = [str(match) for match in lint_all(template(choices))]
    # Without what the command does not show either: suggestions such as to add a context.
    assert [each for each in found if not each.startswith("[I")] == []


def test_it_has_every_resource():
    """Each kind of resource is in it, except AWS's own role, which a template cannot share."""
    found = json.loads(template({"spot": True, "disk_gib": 100}))["Resources"]
    kinds = [each["Type"].removeprefix("AWS::") for each in found.values()]
    assert sorted(kinds) == sorted(
        [
            *("S3::Bucket", "S3::BucketPolicy", "Logs::LogGroup"),
            *["IAM::ManagedPolicy"] * 3,
            *("IAM::Role", "IAM::Role", "IAM::InstanceProfile", "IAM::Group"),
            *("EC2::SecurityGroup", "EC2::LaunchTemplate"),
            *("Batch::ComputeEnvironment", "Batch::ComputeEnvironment"),
            *("Batch::JobQueue", "Batch::JobDefinition"),
        ]
    )


def test_a_new_network_is_in_it_with_all_its_parts():
    """Then nothing has to be given: the template has no parameters."""
    found = json.loads(template({"new_vpc": True}))
    kinds = [each["Type"].removeprefix("AWS::EC2::") for each in found["Resources"].values()]
    parts = ["VPC", "InternetGateway", "VPCGatewayAttachment", "RouteTable", "Route", "VPCEndpoint"]
    assert {each: kinds.count(each) for each in parts} == dict.fromkeys(parts, 1)
    assert kinds.count("Subnet") == kinds.count("SubnetRouteTableAssociation") == 3
    assert "NatGateway" not in kinds
    assert "Parameters" not in found


def test_an_environment_names_its_launch_template_as_the_command_does():
    """By its name, which tells the content; so that the command finds nothing to change."""
    found = json.loads(template({"disk_gib": 500}))["Resources"]
    (environment,) = (each for each in found.values() if each["Type"].endswith("Environment"))
    named = environment["Properties"]["ComputeResources"]["LaunchTemplate"]
    made = found["LaunchTemplate"]["Properties"]["LaunchTemplateName"]
    assert named["LaunchTemplateName"] == made
    assert "LaunchTemplateId" not in named


def test_removing_the_stack_keeps_data():
    """The bucket and the logs outlive the stack."""
    found = json.loads(template({}))["Resources"]
    kept = {name for name, each in found.items() if each.get("DeletionPolicy") == "Retain"}
    assert kept == {"Bucket", "LogGroup"}
