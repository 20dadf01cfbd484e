"""Where instances are: the VPC, its subnets, their security group, and how they start."""

from __future__ import annotations

import base64
import hashlib
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

from . import own_vpc
from .own_vpc import EVERYWHERE

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Client, Place

INBOUND, OUTBOUND = "inbound connections", "outbound connections"
CONTENT = "content"
NO_TEMPLATE = (
    "InvalidLaunchTemplateName.NotFoundException",
    "InvalidLaunchTemplateName.NotFound",
)


class SecurityGroupKind(Kind[SecurityGroup]):
    """One of its own keeps jobs out of what the default group's members let each other do."""

    def summary(self, wanted: SecurityGroup) -> tuple[str, ...]:
        """Return what it will be."""
        where = words(wanted.vpc, wanted.own_vpc)
        return (f"in {where}; nothing may connect to the instances",)

    def look(self, wanted: SecurityGroup, place: Place) -> Found | None:
        """Read its rules."""
        group = security_group(wanted, place)
        if group is None:
            return None
        inbound = len(group.get("IpPermissions") or ())
        lacks = differences(
            (INBOUND, f"{inbound} rules" if inbound else "none", "none"),
            (OUTBOUND, "all" if lets_all_out(group) else "some", "all"),
        )
        return Found(is_ours(group.get("Tags")), lacks, raw=group)

    def make(self, wanted: SecurityGroup, place: Place) -> None:
        """Make it: without rules, nothing may connect in and everything out."""
        place.client("ec2").create_security_group(
            GroupName=wanted.name,
            Description="Nextstrain jobs: nothing may connect to the instances",
            VpcId=own_vpc.vpc_id(wanted.own_vpc, place)
            if wanted.own_vpc
            else vpc(wanted.vpc, place),
            TagSpecifications=[{"ResourceType": "security-group", "Tags": TAG_LIST}],
        )

    def mend(self, wanted: SecurityGroup, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove the rules that let something in, and let everything out."""
        ec2, group = place.client("ec2"), found.raw["GroupId"]
        if found.lacks(INBOUND):
            ec2.revoke_security_group_ingress(
                GroupId=group, IpPermissions=found.raw["IpPermissions"]
            )
        if found.lacks(OUTBOUND):
            everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": EVERYWHERE}]}
            ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everywhere])

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
    """Named by its content: there is something to mend only if somebody changed it by hand."""

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
        """Read its default version."""
        ec2, name = place.client("ec2"), wanted.name
        found = absent(
            NO_TEMPLATE, lambda: ec2.describe_launch_templates(LaunchTemplateNames=[name])
        )
        if not found or not found["LaunchTemplates"]:
            return None
        data = default_data(name, place)
        lacks = differences((CONTENT, content(data), content(launch_data(wanted))))
        return Found(is_ours(found["LaunchTemplates"][0].get("Tags")), lacks)

    def make(self, wanted: LaunchTemplate, place: Place) -> None:
        """Make it."""
        place.client("ec2").create_launch_template(
            LaunchTemplateName=wanted.name,
            LaunchTemplateData=launch_data(wanted),
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": TAG_LIST}],
        )

    def mend(self, wanted: LaunchTemplate, place: Place, found: Found) -> None:  # noqa: ARG002
        """Add a version, which becomes the default one."""
        ec2, name = place.client("ec2"), {"LaunchTemplateName": wanted.name}
        made = ec2.create_launch_template_version(**name, LaunchTemplateData=launch_data(wanted))
        number = made["LaunchTemplateVersion"]["VersionNumber"]
        ec2.modify_launch_template(**name, DefaultVersion=str(number))

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


def default_data(name: str, place: Place) -> dict[str, Any]:
    """Return the content of a launch template's default version, as AWS describes it."""
    answer = place.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=name, Versions=["$Default"]
    )
    return dict(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"])


def disk_gib(data: dict[str, Any]) -> int | None:
    """Return the size of an instance's disk by the content of a launch template, if it says so."""
    sizes = [
        int(each["Ebs"]["VolumeSize"])
        for each in data.get("BlockDeviceMappings") or ()
        if (each.get("Ebs") or {}).get("VolumeSize")
    ]
    return max(sizes, default=None)


def user_data(data: dict[str, Any]) -> str | None:
    """Return what instances run first by the content of a launch template, if anything."""
    found = data.get("UserData")
    return base64.b64decode(found).decode("utf-8", "replace") if found else None


def content(data: dict[str, Any]) -> str:
    """Return in words what of a launch template matters here."""
    script = str(data.get("UserData") or "")
    tokens = (data.get("MetadataOptions") or {}).get("HttpTokens", "optional")
    digest = hashlib.sha256(script.encode()).hexdigest()[:8] if script else "none"
    return f"disk {disk_gib(data) or GIB_BY_DEFAULT} GiB, script {digest}, tokens {tokens}"


def lets_all_out(group: dict[str, Any]) -> bool:
    """Tell whether a security group lets its members connect to anything."""
    return any(
        rule.get("IpProtocol") == "-1"
        and any(each.get("CidrIp") == EVERYWHERE for each in rule.get("IpRanges") or ())
        for rule in group.get("IpPermissionsEgress") or ()
    )


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
            "Have one made for the instances alone with --new-vpc, or name one with --vpc."
        )
    return str(found[0]["VpcId"])


def words(given: str | None, own: str | None) -> str:
    """Return which VPC is meant, in words: an id, the name of our own, or the default one."""
    return f"the VPC {own}" if own else given or "the default VPC"


def subnets(network: Network, place: Place) -> list[str]:
    """Return the ids of the subnets for instances; raises ``AwsError`` when there are none."""
    found = subnets_or_none(network, place)
    if not found:
        where = words(network.vpc, network.own_vpc)
        raise AwsError(
            f"There are no subnets in {where}.\n\n"
            "Make one, name another VPC with --vpc, or have one made with --new-vpc."
        )
    return found


def subnets_or_none(network: Network, place: Place) -> list[str]:
    """Return the ids of the subnets: those given, else those of our VPC, else all of the VPC."""
    if network.subnets:
        return sorted(network.subnets)
    if network.own_vpc:
        return sorted(str(each["SubnetId"]) for each in own_vpc.subnets(network.own_vpc, place))
    filters = [{"Name": "vpc-id", "Values": [vpc(network.vpc, place)]}]
    found = place.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    return sorted(str(each["SubnetId"]) for each in found)


def security_groups(network: Network, place: Place) -> list[str]:
    """Return the ids of the security groups for instances; none while ours is not made yet."""
    if network.security_groups or network.own_security_group is None:
        return list(network.security_groups)
    wanted = SecurityGroup(network.own_security_group, network.vpc, network.own_vpc)
    group = security_group(wanted, place)
    return [str(group["GroupId"])] if group else []


def security_group(wanted: SecurityGroup, place: Place) -> dict[str, Any] | None:
    """Return AWS's description of a security group, or None."""
    if wanted.own_vpc:
        made = own_vpc.find(wanted.own_vpc, place)
        if made is None:
            return None
        where = str(made["VpcId"])
    else:
        where = vpc(wanted.vpc, place)
    filters = [
        {"Name": "vpc-id", "Values": [where]},
        {"Name": "group-name", "Values": [wanted.name]},
    ]
    ec2: Client = place.client("ec2")
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return dict(found[0]) if found else None


def our_groups(name: str, place: Place) -> list[SecurityGroup]:
    """Return the security groups of a name that we made, in whichever VPC, also earlier ones."""
    filters = [
        {"Name": "group-name", "Values": [name]},
        *({"Name": f"tag:{each['Key']}", "Values": [each["Value"]]} for each in TAG_LIST),
    ]
    found = place.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    return [SecurityGroup(name, str(each["VpcId"])) for each in found]
