"""A VPC of the account's own, as parts of a CloudFormation template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .kinds.own_vpc import EVERYWHERE
from .place import TAG_LIST
from .vpc import ZONES, InternetGateway, RouteTable, S3Endpoint, Subnets, Vpc, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Piece: TypeAlias = tuple[str, dict[str, Any]]
    """A resource's name in the template, and the resource."""

VPC, TABLE, GATEWAY = ({"Ref": name} for name in ("Vpc", "RouteTable", "InternetGateway"))
TWO_ZONES = frozenset({"us-west-1"})
"""Where new accounts have no third zone. The command asks AWS, which a template cannot."""


def subnets(region: str) -> list[dict[str, str]]:
    """Return references to the subnets."""
    return [{"Ref": f"Subnet{number}"} for number in _numbers(region)]


def ways_out(region: str) -> list[str]:
    """Return the names of what instances need and nothing that they refer to depends on."""
    return ["DefaultRoute", *(f"Subnet{number}Routes" for number in _numbers(region))]


def _vpc(wanted: Vpc) -> Iterator[Piece]:
    properties = {
        "CidrBlock": wanted.cidr,
        "EnableDnsSupport": True,
        "EnableDnsHostnames": True,
        "Tags": _tags(wanted.name),
    }
    yield "Vpc", {"Type": "AWS::EC2::VPC", "Properties": properties}


def _gateway(wanted: InternetGateway) -> Iterator[Piece]:
    tags = {"Tags": _tags(wanted.name)}
    yield "InternetGateway", {"Type": "AWS::EC2::InternetGateway", "Properties": tags}
    properties = {"VpcId": VPC, "InternetGatewayId": GATEWAY}
    yield "Attachment", {"Type": "AWS::EC2::VPCGatewayAttachment", "Properties": properties}


def _table(wanted: RouteTable) -> Iterator[Piece]:
    properties = {"VpcId": VPC, "Tags": _tags(wanted.name)}
    yield "RouteTable", {"Type": "AWS::EC2::RouteTable", "Properties": properties}
    route = {"RouteTableId": TABLE, "DestinationCidrBlock": EVERYWHERE, "GatewayId": GATEWAY}
    yield (
        "DefaultRoute",
        {"Type": "AWS::EC2::Route", "DependsOn": "Attachment", "Properties": route},
    )


def _subnets(wanted: Subnets) -> Iterator[Piece]:
    for number, block in zip(_numbers(wanted.region), blocks(wanted.cidr), strict=False):
        properties = {
            "VpcId": VPC,
            "AvailabilityZone": {"Fn::Select": [number - 1, {"Fn::GetAZs": ""}]},
            "CidrBlock": block,
            "MapPublicIpOnLaunch": True,
            "Tags": _tags(wanted.name),
        }
        name = f"Subnet{number}"
        yield name, {"Type": "AWS::EC2::Subnet", "Properties": properties}
        association = {"SubnetId": {"Ref": name}, "RouteTableId": TABLE}
        yield (
            f"{name}Routes",
            {"Type": "AWS::EC2::SubnetRouteTableAssociation", "Properties": association},
        )


def _endpoint(wanted: S3Endpoint) -> Iterator[Piece]:
    properties = {
        "VpcId": VPC,
        "ServiceName": wanted.service,
        "VpcEndpointType": "Gateway",
        "RouteTableIds": [TABLE],
        "Tags": _tags(wanted.name),
    }
    yield "S3Endpoint", {"Type": "AWS::EC2::VPCEndpoint", "Properties": properties}


def _numbers(region: str) -> range:
    return range(1, ZONES + (region not in TWO_ZONES))


def _tags(name: str) -> list[dict[str, str]]:
    return [*TAG_LIST, {"Key": "Name", "Value": name}]


WRITERS: dict[type, Callable[[Any], Iterator[Piece]]] = {
    Vpc: _vpc,
    InternetGateway: _gateway,
    RouteTable: _table,
    Subnets: _subnets,
    S3Endpoint: _endpoint,
}
