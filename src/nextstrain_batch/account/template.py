"""The desired account in other forms: a CloudFormation template, and the permissions alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from . import policies, template_vpc
from .kinds import batch
from .kinds.bucket import ENCRYPTED, PRIVATE
from .kinds.lifecycle import our_rule
from .kinds.network import launch_data
from .place import OUR_PATH, TAG_LIST, TAGS
from .resources import (
    Account,
    Bucket,
    ComputeEnvironment,
    Group,
    JobDefinition,
    JobQueue,
    LaunchTemplate,
    LogGroup,
    Policy,
    Role,
    SecurityGroup,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from .resources import Resource

    Piece: TypeAlias = tuple[str, dict[str, Any]]
    """A resource's name in the template, and the resource."""

KEPT = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
"""For what holds data: removing the stack leaves it."""


def cloudformation(account: Account) -> str:
    """Return the account as a CloudFormation template, in JSON.

    AWS Batch's service-linked role is not in it: AWS makes it where it is missing, and a template
    that has it fails where it is not.
    """
    pieces = dict(piece for each in account.resources for piece in _written(each, account.region))
    document = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What Nextstrain builds on AWS Batch need",
        "Parameters": _parameters(account),
        "Resources": pieces,
        "Outputs": _outputs(account),
    }
    if not document["Parameters"]:
        del document["Parameters"]
    return json.dumps(document, indent=2) + "\n"


def permissions(account: Account) -> str:
    """Return the policies' documents by name, and the job role's trust, in JSON."""
    documents = {each.name: json.loads(each.document) for each in account.of(Policy)}
    trusts = {f"{each.name} (trust)": json.loads(each.trust) for each in account.of(Role)}
    return json.dumps(documents | trusts, indent=2) + "\n"


def _parameters(account: Account) -> dict[str, Any]:
    network = account.of(ComputeEnvironment)[0].network
    if network.own_vpc:
        return {}
    subnets: dict[str, Any] = {
        "Type": "List<AWS::EC2::Subnet::Id>",
        "Description": "Where instances are; they need a way to the internet",
    }
    if network.subnets:
        subnets["Default"] = ",".join(network.subnets)
    found = {"Subnets": subnets}
    if account.of(SecurityGroup):
        vpc: dict[str, Any] = {"Type": "AWS::EC2::VPC::Id", "Description": "The subnets' network"}
        found["Vpc"] = vpc | ({"Default": network.vpc} if network.vpc else {})
    return found


def _outputs(account: Account) -> dict[str, Any]:
    names = account.names
    values = {
        "Bucket": account.of(Bucket)[0].name,
        "Queue": names.queue,
        "Definition": names.definition,
        "Group": names.group,
    }
    words = {
        "Bucket": "s3-bucket in the section [aws-batch] of ~/.nextstrain/config",
        "Queue": "queue, likewise, where it is not nextstrain-job-queue",
        "Definition": "job, likewise, where it is not nextstrain-job",
        "Group": "The group for the people who launch jobs",
    }
    return {
        f"{key}Name": {"Value": value, "Description": words[key]} for key, value in values.items()
    }


def _written(wanted: Resource, region: str) -> Iterator[Piece]:
    if isinstance(wanted, ComputeEnvironment):
        yield from _environment(wanted, region)
    elif type(wanted) in _WRITERS:
        yield from _WRITERS[type(wanted)](wanted)


def _bucket(wanted: Bucket) -> Iterator[Piece]:
    rule, aborted = our_rule(wanted), "AbortIncompleteMultipartUpload"
    encryption = ENCRYPTED["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    yield (
        "Bucket",
        {
            "Type": "AWS::S3::Bucket",
            **KEPT,
            "Properties": {
                "BucketName": wanted.name,
                "PublicAccessBlockConfiguration": PRIVATE,
                "BucketEncryption": {
                    "ServerSideEncryptionConfiguration": [
                        {"ServerSideEncryptionByDefault": encryption}
                    ]
                },
                "LifecycleConfiguration": {
                    "Rules": [
                        {
                            "Id": rule["ID"],
                            "Status": "Enabled",
                            "ExpirationInDays": wanted.expire_days,
                            "AbortIncompleteMultipartUpload": rule[aborted],
                        }
                    ]
                },
                "Tags": TAG_LIST,
            },
        },
    )
    partition = policies.partition_of(wanted.region)
    document = json.loads(policies.document(policies.tls_only(wanted.name, partition)))
    yield (
        "BucketPolicy",
        {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": document},
        },
    )


def _policy(wanted: Policy) -> Iterator[Piece]:
    yield (
        _logical(wanted),
        {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": wanted.name,
                "Description": f"Nextstrain jobs: {wanted.purpose}",
                "PolicyDocument": json.loads(wanted.document),
            },
        },
    )


def _role(wanted: Role) -> Iterator[Piece]:
    own = [{"Ref": _name("policy", each)} for each in wanted.policies]
    managed = [
        {"Fn::Sub": f"arn:${{AWS::Partition}}:iam::aws:policy/{path}"}
        for path in wanted.managed_policies
    ]
    yield (
        _logical(wanted),
        {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": wanted.name,
                "Description": f"Nextstrain jobs: {wanted.purpose}",
                "AssumeRolePolicyDocument": json.loads(wanted.trust),
                "ManagedPolicyArns": [*own, *managed],
                "Tags": TAG_LIST,
            },
        },
    )
    if wanted.instance_profile:
        yield (
            _name("profile", wanted.name),
            {
                "Type": "AWS::IAM::InstanceProfile",
                "Properties": {
                    "InstanceProfileName": wanted.name,
                    "Roles": [{"Ref": _logical(wanted)}],
                },
            },
        )


def _group(wanted: Group) -> Iterator[Piece]:
    policies_of = [{"Ref": _name("policy", each)} for each in wanted.policies]
    properties = {"GroupName": wanted.name, "Path": OUR_PATH, "ManagedPolicyArns": policies_of}
    yield _logical(wanted), {"Type": "AWS::IAM::Group", "Properties": properties}


def _log_group(wanted: LogGroup) -> Iterator[Piece]:
    properties = {
        "LogGroupName": wanted.name,
        "RetentionInDays": wanted.retention_days,
        "Tags": TAG_LIST,
    }
    yield "LogGroup", {"Type": "AWS::Logs::LogGroup", **KEPT, "Properties": properties}


def _security_group(wanted: SecurityGroup) -> Iterator[Piece]:
    properties = {
        "GroupName": wanted.name,
        "GroupDescription": "Nextstrain jobs: nothing may connect to the instances",
        "VpcId": {"Ref": "Vpc"},  # the parameter, or the VPC that the template makes
        "Tags": TAG_LIST,
    }
    yield "InstancesGroup", {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}


def _launch_template(wanted: LaunchTemplate) -> Iterator[Piece]:
    properties = {
        "LaunchTemplateName": wanted.name,
        "LaunchTemplateData": launch_data(wanted),
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": TAG_LIST}],
    }
    yield "LaunchTemplate", {"Type": "AWS::EC2::LaunchTemplate", "Properties": properties}


def _environment(wanted: ComputeEnvironment, region: str) -> Iterator[Piece]:
    subnets: object = {"Ref": "Subnets"}
    after: dict[str, Any] = {}
    if wanted.network.own_vpc:
        subnets = template_vpc.subnets(region)
        after = {"DependsOn": template_vpc.ways_out(region)}
    own_group = [{"Fn::GetAtt": ["InstancesGroup", "GroupId"]}]
    resources: dict[str, Any] = {
        "Type": wanted.kind,
        "AllocationStrategy": wanted.allocation,
        "MinvCpus": wanted.min_vcpus,
        "MaxvCpus": wanted.max_vcpus,
        "InstanceTypes": list(wanted.instance_types),
        "Subnets": subnets,
        "SecurityGroupIds": list(wanted.network.security_groups) or own_group,
        "InstanceRole": {"Fn::GetAtt": [_name("profile", wanted.instance_role), "Arn"]},
        "Tags": {"Name": wanted.name},
    }
    if wanted.launch_template:
        resources["LaunchTemplate"] = {
            "LaunchTemplateName": wanted.launch_template,
            "Version": {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]},
        }
    properties = {
        "ComputeEnvironmentName": wanted.name,
        "Type": "MANAGED",
        "State": "ENABLED",
        "ComputeResources": resources,
        "Tags": TAGS,
    }
    yield (
        _logical(wanted),
        {"Type": "AWS::Batch::ComputeEnvironment", **after, "Properties": properties},
    )


def _queue(wanted: JobQueue) -> Iterator[Piece]:
    order = [
        {"Order": number, "ComputeEnvironment": {"Ref": _name("compute environment", name)}}
        for number, name in enumerate(wanted.environments, 1)
    ]
    properties = {
        "JobQueueName": wanted.name,
        "State": "ENABLED",
        "Priority": wanted.priority,
        "ComputeEnvironmentOrder": order,
        "Tags": TAGS,
    }
    yield "JobQueue", {"Type": "AWS::Batch::JobQueue", "Properties": properties}


def _definition(wanted: JobDefinition) -> Iterator[Piece]:
    sizes = (("VCPU", wanted.vcpus), ("MEMORY", wanted.memory_mib))
    retry = batch.retry_strategy(wanted)
    strategy: dict[str, Any] = {"Attempts": retry["attempts"]}
    if rules := retry.get("evaluateOnExit"):
        strategy["EvaluateOnExit"] = [
            {key[0].upper() + key[1:]: value for key, value in rule.items()} for rule in rules
        ]
    properties = {
        "JobDefinitionName": wanted.name,
        "Type": "container",
        "ContainerProperties": {
            "Image": wanted.image,
            "Command": [],
            "JobRoleArn": {"Fn::GetAtt": [_name("role", wanted.role), "Arn"]},
            "ResourceRequirements": [{"Type": kind, "Value": str(size)} for kind, size in sizes],
        },
        "RetryStrategy": strategy,
        "Timeout": {"AttemptDurationSeconds": wanted.timeout_seconds},
        "Tags": TAGS,
    }
    yield "JobDefinition", {"Type": "AWS::Batch::JobDefinition", "Properties": properties}


def _logical(wanted: Policy | Role | Group | ComputeEnvironment) -> str:
    return _name(wanted.noun, wanted.name)


def _name(noun: str, name: str) -> str:
    """Return a name for the template: letters and digits."""
    words = re.findall(r"[A-Za-z0-9]+", f"{noun} {name}")
    return "".join(word[0].upper() + word[1:] for word in words)


_WRITERS: dict[type, Callable[[Any], Iterator[Piece]]] = {
    **template_vpc.WRITERS,
    Bucket: _bucket,
    Policy: _policy,
    Role: _role,
    Group: _group,
    LogGroup: _log_group,
    SecurityGroup: _security_group,
    LaunchTemplate: _launch_template,
    JobQueue: _queue,
    JobDefinition: _definition,
}
