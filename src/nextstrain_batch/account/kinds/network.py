"""Where instances are: the VPC, its subnets, their security group, and how they start."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import (
    TAG_LIST,
    Found,
    Kind,
    absent,
    differences,
    is_ours,
)
from nextstrain_batch.account.resources import (
    GIB_BY_DEFAULT,
    ROOT_DEVICE,
    LaunchTemplate,
    Network,
    SecurityGroup,
)
from nextstrain_batch.errors import AwsError

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Client, Place

INBOUND = "inbound connections"
NO_TEMPLATE = (
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateName.NotFound",
)


class SecurityGroupKind(Kind[SecurityGroup]):
    """One of its own keeps jobs out of what the default group's members let each other do."""

    def summary(self, wanted: SecurityGroup) -> tuple[str, ...]:
        """Return what it will be."""
        return (f"in {wanted.vpc or 'the default VPC'}; nothing may connect to the instances",)

    def look(self, wanted: SecurityGroup, place: Place) -> Found | None:
        """Read its rules."""
        group = security_group(wanted, place)
        if group is None:
            return None
        inbound = len(group.get("IpPermissions") or ())
        lacks = differences((INBOUND, f"{inbound} rules" if inbound else "none", "none"))
        return Found(is_ours(group.get("Tags")), lacks, raw=group)

    def make(self, wanted: SecurityGroup, place: Place) -> None:
        """Make it: without rules, nothing may connect in and everything out."""
        place.client("ec2").create_security_group(
            GroupName=wanted.name,
            Description="Nextstrain jobs: nothing may connect to the instances",
            VpcId=vpc(wanted.vpc, place),
            TagSpecifications=[{"ResourceType": "security-group", "Tags": TAG_LIST}],
        )

    def mend(self, wanted: SecurityGroup, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove the rules that let something in."""
        place.client("ec2").revoke_security_group_ingress(
            GroupId=found.raw["GroupId"], IpPermissions=found.raw["IpPermissions"]
        )

    def remove(self, wanted: SecurityGroup, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove it, once the last instance has let it go."""
        ec2, group = place.client("ec2"), found.raw["GroupId"]
        for attempt in range(30):
            in_use = absent(
                ("DependencyViolation",), lambda: ec2.delete_security_group(GroupId=group) or {}
            )
            if in_use is not None:
                return
            if attempt == 0:
                place.tell("waiting for the last instances to end")
            place.sleep(10)
        ec2.delete_security_group(GroupId=group)


class LaunchTemplateKind(Kind[LaunchTemplate]):
    """Named by its content, so there is never anything to mend."""

    costs = "$0.08 a GB and month of the disk, while instances run"

    def summary(self, wanted: LaunchTemplate) -> tuple[str, ...]:
        """Return what it will be."""
        disk = wanted.disk_gib or GIB_BY_DEFAULT
        lines = [f"instances have {disk} GiB of disk, which their jobs share"]
        if wanted.user_data and "/var/lib/docker" in wanted.user_data:
            lines.append("jobs' files are on the instances' local NVMe disks")
        if wanted.user_data and "169.254.169.254" in wanted.user_data:
            lines.append("what is not root in a job cannot reach the instance's metadata and role")
        return tuple(lines)

    def look(self, wanted: LaunchTemplate, place: Place) -> Found | None:
        """Look whether it is there."""
        ec2 = place.client("ec2")
        found = absent(
            NO_TEMPLATE,
            lambda: ec2.describe_launch_templates(LaunchTemplateNames=[wanted.name]),
        )
        if not found or not found["LaunchTemplates"]:
            return None
        return Found(is_ours(found["LaunchTemplates"][0].get("Tags")))

    def make(self, wanted: LaunchTemplate, place: Place) -> None:
        """Make it."""
        place.client("ec2").create_launch_template(
            LaunchTemplateName=wanted.name,
            LaunchTemplateData=launch_data(wanted),
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": TAG_LIST}],
        )

    def remove(self, wanted: LaunchTemplate, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove it."""
        place.client("ec2").delete_launch_template(LaunchTemplateName=wanted.name)


def launch_data(wanted: LaunchTemplate) -> dict[str, Any]:
    """Return the content of a launch template."""
    # With version 2 of the metadata service alone, a request that is merely forwarded gets nothing.
    data: dict[str, Any] = {"MetadataOptions": {"HttpTokens": "required"}}
    if wanted.disk_gib is not None:
        disk = {"VolumeSize": wanted.disk_gib, "VolumeType": "gp3", "DeleteOnTermination": True}
        data["BlockDeviceMappings"] = [
            {"DeviceName": ROOT_DEVICE, "Ebs": {**disk, "Encrypted": True}}
        ]
    if wanted.user_data is not None:
        data["UserData"] = base64.b64encode(wanted.user_data.encode()).decode()
    return data


def our_templates(place: Place) -> list[str]:
    """Return the names of all launch templates that we made, also for earlier choices."""
    tags = [{"Name": f"tag:{each['Key']}", "Values": [each["Value"]]} for each in TAG_LIST]
    found = place.client("ec2").describe_launch_templates(Filters=tags)["LaunchTemplates"]
    return sorted(str(each["LaunchTemplateName"]) for each in found)


def vpc(given: str | None, place: Place) -> str:
    """Return the id of the VPC, or raise ``AwsError`` when there is no default one."""
    if given:
        return given
    filters = [{"Name": "is-default", "Values": ["true"]}]
    found = place.client("ec2").describe_vpcs(Filters=filters)["Vpcs"]
    if not found:
        raise AwsError(
            f"The account has no default VPC in the region {place.region}.\n\n"
            "Make one with `aws ec2 create-default-vpc`, or name another with --vpc."
        )
    return str(found[0]["VpcId"])


def subnets(network: Network, place: Place) -> list[str]:
    """Return the ids of the subnets for instances: those given, else all of the VPC."""
    if network.subnets:
        return list(network.subnets)
    where = vpc(network.vpc, place)
    filters = [{"Name": "vpc-id", "Values": [where]}]
    found = place.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    if not found:
        raise AwsError(f"The VPC {where} has no subnets.\n\nMake one, or name another with --vpc.")
    return sorted(str(each["SubnetId"]) for each in found)


def security_groups(network: Network, place: Place) -> list[str]:
    """Return the ids of the security groups for instances; none while ours is not made yet."""
    if network.security_groups or network.own_security_group is None:
        return list(network.security_groups)
    group = security_group(SecurityGroup(network.own_security_group, network.vpc), place)
    return [str(group["GroupId"])] if group else []


def security_group(wanted: SecurityGroup, place: Place) -> dict[str, Any] | None:
    """Return AWS's description of a security group, or None."""
    filters = [
        {"Name": "vpc-id", "Values": [vpc(wanted.vpc, place)]},
        {"Name": "group-name", "Values": [wanted.name]},
    ]
    ec2: Client = place.client("ec2")
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return dict(found[0]) if found else None
