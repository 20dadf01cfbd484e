"""What the instances of a compute environment begin with: role, network, launch template.

AWS Batch calls an environment valid that has lost one of these, and its jobs wait for ever.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.kinds.environments import template_name
from nextstrain_batch.account.kinds.network import (
    NO_TEMPLATE,
    default_data,
    disk_gib,
    user_data,
)
from nextstrain_batch.account.place import absent, is_ours
from nextstrain_batch.account.resources import LaunchTemplate

from .computing import allowed, environments_of, role_documents, trusts
from .finding import Check, failed, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .finding import Finding, Subject


ECS_POLICY = "AmazonEC2ContainerServiceforEC2Role"
"""AWS's policy for instances' roles; another one that lets instances take jobs will do."""
JOINING = "ecs:RegisterContainerInstance"


def needs(subject: Subject) -> Iterator[Finding]:
    """See for each environment that what it refers to is there, and as it should be."""
    for environment in environments_of(subject):
        part = f"instances of {environment['computeEnvironmentName']}"
        wrong = list(_wrong(environment, subject))
        if wrong:
            yield failed(part, "; ".join(wrong), f"{subject.mend} mends it.")
        else:
            yield ok(part, "their role, network and launch template are there")


def _wrong(environment: dict[str, Any], subject: Subject) -> Iterator[str]:
    resources = environment["computeResources"]
    service = str(environment.get("serviceRole") or "").rpartition("/")[2]
    if service and _role(service, subject) is None:
        yield f"the service role {service} is gone"
    profile = str(resources.get("instanceRole", "")).rpartition("/")[2]
    if profile:
        yield from _of_profile(profile, subject)
    yield from _of_network(resources, subject)
    name = template_name(resources, subject.place)
    if name:
        yield from _of_template(name, subject)


def _of_profile(profile: str, subject: Subject) -> Iterator[str]:
    iam, name = subject.place.client("iam"), {"InstanceProfileName": profile}
    found = absent(("NoSuchEntity",), lambda: iam.get_instance_profile(**name))
    roles = found["InstanceProfile"]["Roles"] if found else []
    role = _role(str(roles[0]["RoleName"]), subject) if roles else None
    if role is None:
        yield f"the role of the instance profile {profile} is gone"
        return
    if not trusts(role["AssumeRolePolicyDocument"], "ec2.amazonaws.com"):
        yield f"the role {role['RoleName']} cannot be taken on by instances (ec2.amazonaws.com)"
    attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    if ECS_POLICY in {each["PolicyName"] for each in attached}:
        return
    if allowed(role_documents(iam, role["RoleName"]), JOINING, "*") is False:
        yield f"the role {role['RoleName']} lacks {ECS_POLICY}, so instances take no jobs"


def _of_network(resources: dict[str, Any], subject: Subject) -> Iterator[str]:
    ec2 = subject.place.client("ec2")
    for group in resources.get("securityGroupIds") or ():
        call = partial(ec2.describe_security_groups, GroupIds=[group])
        if not absent(("InvalidGroup.NotFound", "InvalidGroupId.Malformed"), call):
            yield f"the security group {group} is gone"
    for subnet in resources.get("subnets") or ():
        call = partial(ec2.describe_subnets, SubnetIds=[subnet])
        if not absent(("InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound"), call):
            yield f"the subnet {subnet} is gone"


def _of_template(name: str, subject: Subject) -> Iterator[str]:
    ec2 = subject.place.client("ec2")
    found = absent(NO_TEMPLATE, lambda: ec2.describe_launch_templates(LaunchTemplateNames=[name]))
    if not found or not found["LaunchTemplates"]:
        yield f"the launch template {name} is gone"
    elif is_ours(found["LaunchTemplates"][0].get("Tags")):
        # The name of one of ours tells its content.
        prefix, data = name.rpartition("-")[0], default_data(name, subject.place)
        if LaunchTemplate.named(prefix, disk_gib(data), user_data(data)).name != name:
            yield f"somebody has changed the launch template {name}"


def _role(name: str, subject: Subject) -> dict[str, Any] | None:
    iam = subject.place.client("iam")
    found = absent(("NoSuchEntity",), lambda: iam.get_role(RoleName=name))
    return dict(found["Role"]) if found else None


CHECKS = (Check("instances", needs),)
