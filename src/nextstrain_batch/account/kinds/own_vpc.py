"""Reading a VPC of the account's own, by the name and the tag that its parts carry."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import TAG_KEY, TAG_LIST, TAG_VALUE
from nextstrain_batch.account.vpc import ZONES

from .waiting import appearing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from nextstrain_batch.account.place import Place

    Described: TypeAlias = dict[str, Any]
    """AWS's description of something."""

EVERYWHERE = "0.0.0.0/0"
DNS_SUPPORT, DNS_NAMES = "enableDnsSupport", "enableDnsHostnames"
DNS = {DNS_SUPPORT: "EnableDnsSupport", DNS_NAMES: "EnableDnsHostnames"}
"""The attributes of a VPC for DNS, and how answers call them."""


def named(name: str) -> list[dict[str, Any]]:
    """Return the filters for what we have made under a name."""
    return [_filter(f"tag:{TAG_KEY}", TAG_VALUE), _filter("tag:Name", name)]


def tagged(kind: str, name: str) -> list[dict[str, Any]]:
    """Return the tags that one of EC2's kinds gets in the call that makes it."""
    return [{"ResourceType": kind, "Tags": [*TAG_LIST, {"Key": "Name", "Value": name}]}]


def find(name: str, place: Place) -> Described | None:
    """Return the VPC, or None."""
    return _first(place.client("ec2").describe_vpcs(Filters=named(name))["Vpcs"], "VpcId")


def wait_for(name: str, place: Place) -> Described:
    """Return the VPC, which has just been made if it was not there before."""
    return appearing(lambda: find(name, place), f"the VPC {name}", place)


def vpc_id(name: str, place: Place) -> str:
    """Return the VPC's id."""
    return str(wait_for(name, place)["VpcId"])


def lacking_dns(vpc: str, place: Place) -> list[str]:
    """Return the attributes for DNS that are off."""
    ec2 = place.client("ec2")
    return [
        attribute
        for attribute, answer in DNS.items()
        if not ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)[answer]["Value"]
    ]


def gateway(name: str, place: Place) -> Described | None:
    """Return the internet gateway, or None."""
    answer = place.client("ec2").describe_internet_gateways(Filters=named(name))
    return _first(answer["InternetGateways"], "InternetGatewayId")


def gateway_id(name: str, place: Place) -> str:
    """Return the internet gateway's id."""
    found = appearing(lambda: gateway(name, place), f"the internet gateway {name}", place)
    return str(found["InternetGatewayId"])


def route_table(name: str, place: Place) -> Described | None:
    """Return the route table, or None."""
    answer = place.client("ec2").describe_route_tables(Filters=named(name))
    return _first(answer["RouteTables"], "RouteTableId")


def table_id(name: str, place: Place) -> str:
    """Return the route table's id."""
    found = appearing(lambda: route_table(name, place), f"the route table {name}", place)
    return str(found["RouteTableId"])


def tables_of(vpc: str, place: Place) -> list[Described]:
    """Return all route tables of a VPC."""
    answer = place.client("ec2").describe_route_tables(Filters=[_filter("vpc-id", vpc)])
    return list(answer["RouteTables"])


def associations(tables: Iterable[Described]) -> dict[str, Described]:
    """Return, by subnet, the associations of those subnets that have a route table of their own."""
    return {
        str(each["SubnetId"]): each
        for table in tables
        for each in table.get("Associations") or ()
        if each.get("SubnetId")
    }


def table_for(subnet: str, tables: list[Described]) -> Described | None:
    """Return the route table that a subnet has: its own one, or else the VPC's main one."""
    for table in tables:
        if subnet in associations([table]):
            return table
    for table in tables:
        if any(each.get("Main") for each in table.get("Associations") or ()):
            return table
    return None


def default_route(table: Described) -> Described | None:
    """Return where a route table leads what it knows no other way for, or None."""
    routes = table.get("Routes") or ()
    return next((each for each in routes if each.get("DestinationCidrBlock") == EVERYWHERE), None)


def target(route: Described) -> str:
    """Return the id of what a route leads to; of one that leads nowhere, with that remark."""
    kinds = ("GatewayId", "NatGatewayId", "TransitGatewayId", "InstanceId", "NetworkInterfaceId")
    found = next((str(route[kind]) for kind in kinds if route.get(kind)), "something")
    return f"{found}, which is gone" if route.get("State") == "blackhole" else found


def leads_somewhere(route: Described, vpc: str, place: Place) -> bool:
    """Tell whether what a route leads to is there, and attached to the VPC if it is a gateway."""
    gateway = str(route.get("GatewayId") or "")
    if route.get("State") == "blackhole":
        return False
    if not gateway.startswith("igw-"):
        return True
    filters = [_filter("internet-gateway-id", gateway), _filter("attachment.vpc-id", vpc)]
    found = place.client("ec2").describe_internet_gateways(Filters=filters)["InternetGateways"]
    return bool(found)


def subnets(name: str, place: Place) -> list[Described]:
    """Return the subnets, in the order of their zones."""
    found = place.client("ec2").describe_subnets(Filters=named(name))["Subnets"]
    return sorted(found, key=lambda each: (str(each["AvailabilityZone"]), str(each["SubnetId"])))


def zones(place: Place) -> list[str]:
    """Return the availability zones that have a subnet: the first of the region's by name."""
    filters = [_filter("zone-type", "availability-zone"), _filter("state", "available")]
    answer = place.client("ec2").describe_availability_zones(Filters=filters)
    return sorted(str(each["ZoneName"]) for each in answer["AvailabilityZones"])[:ZONES]


def free_blocks(vpc: Described, blocks: list[str], place: Place) -> list[str]:
    """Return those of *blocks* of which no subnet has an address."""
    filters = [_filter("vpc-id", str(vpc["VpcId"]))]
    found = place.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    taken = [ipaddress.ip_network(each["CidrBlock"]) for each in found]
    return [
        block
        for block in blocks
        if not any(ipaddress.ip_network(block).overlaps(each) for each in taken)
    ]


def endpoint(vpc: str, service: str, place: Place) -> Described | None:
    """Return the gateway endpoint of a VPC to a service, whoever made it, or None."""
    filters = [_filter("vpc-id", vpc), _filter("service-name", service)]
    found = place.client("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    there = [
        each
        for each in found
        if str(each.get("State")).lower() in {"pending", "available"}
        and each.get("VpcEndpointType") == "Gateway"
    ]
    return _first(there, "VpcEndpointId")


def _filter(name: str, value: str) -> dict[str, Any]:
    return {"Name": name, "Values": [value]}


def _first(found: Iterable[Described], key: str) -> Described | None:
    """Return the one whose id is first, should there be several after a race."""
    return min(found, key=lambda each: str(each[key]), default=None)
