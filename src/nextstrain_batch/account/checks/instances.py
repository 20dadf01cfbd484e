"""What the instances of a compute environment begin with: role, network, launch template.

AWS Batch calls an environment valid that has lost one of these, and its jobs wait for ever.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.kinds.network import NO_TEMPLATE
from nextstrain_batch.account.place import absent

from .computing import environments_of
from .finding import Check, failed, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .finding import Finding, Subject


def needs(subject: Subject) -> Iterator[Finding]:
    """See for each environment that what it refers to is there."""
    for environment in environments_of(subject):
        part = f"instances of {environment['computeEnvironmentName']}"
        missing = list(_missing(environment["computeResources"], subject))
        if missing:
            yield failed(part, f"{', '.join(missing)} is gone", f"{subject.mend} mends it.")
        else:
            yield ok(part, "their role, network and launch template are there")


def _missing(resources: dict[str, Any], subject: Subject) -> Iterator[str]:
    ec2 = subject.place.client("ec2")
    profile = str(resources.get("instanceRole", "")).rpartition("/")[2]
    if profile and not _has_role(profile, subject):
        yield f"the role of the instance profile {profile}"
    for group in resources.get("securityGroupIds") or ():
        call = partial(ec2.describe_security_groups, GroupIds=[group])
        if not absent(("InvalidGroup.NotFound", "InvalidGroupId.Malformed"), call):
            yield f"the security group {group}"
    for subnet in resources.get("subnets") or ():
        call = partial(ec2.describe_subnets, SubnetIds=[subnet])
        if not absent(("InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound"), call):
            yield f"the subnet {subnet}"
    name = (resources.get("launchTemplate") or {}).get("launchTemplateName")
    if name:
        names = {"LaunchTemplateNames": [name]}
        found = absent(NO_TEMPLATE, lambda: ec2.describe_launch_templates(**names))
        if not found or not found["LaunchTemplates"]:
            yield f"the launch template {name}"


def _has_role(profile: str, subject: Subject) -> bool:
    iam, name = subject.place.client("iam"), {"InstanceProfileName": profile}
    found = absent(("NoSuchEntity",), lambda: iam.get_instance_profile(**name))
    return bool(found and found["InstanceProfile"]["Roles"])


CHECKS = (Check("instances", needs),)
