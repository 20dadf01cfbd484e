"""A VPC of the account's own: the network, its door and the ways through it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import Difference, Found, Kind, absent, differences, is_ours
from nextstrain_batch.account.vpc import (
    ZONES,
    InternetGateway,
    RouteTable,
    S3Endpoint,
    Subnets,
    Vpc,
    blocks,
)
from nextstrain_batch.errors import AwsError

from . import own_vpc
from .own_vpc import EVERYWHERE, tagged
from .waiting import once_known

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Place

ADDRESSES, DNS = "addresses", "DNS"
ATTACHED, WAY_OUT = "attached to", "way to the internet"
IN_ZONES, PUBLIC, ROUTED = "in the zones", "public addresses", "way out"
ROUTES = "of the route table"
NEW = "the new one"
"""What is made first, and has no id yet."""


class VpcKind(Kind[Vpc]):
    """The network. Its addresses are for ever."""

    def summary(self, wanted: Vpc) -> tuple[str, ...]:
        """Return what it will be."""
        return (f"{wanted.cidr}; nothing of your other networks can be reached from it",)

    def look(self, wanted: Vpc, place: Place) -> Found | None:
        """Read its addresses and DNS."""
        found = own_vpc.find(wanted.name, place)
        if found is None:
            return None
        lacking = own_vpc.lacking_dns(str(found["VpcId"]), place)
        lacks = differences(
            (ADDRESSES, found["CidrBlock"], wanted.cidr),
            (DNS, f"without {', '.join(lacking)}" if lacking else "on", "on"),
        )
        return Found(is_ours(found.get("Tags")), lacks, raw=found)

    def make(self, wanted: Vpc, place: Place) -> None:
        """Make it."""
        made = place.client("ec2").create_vpc(
            CidrBlock=wanted.cidr, TagSpecifications=tagged("vpc", wanted.name)
        )
        self._turn_on_dns(str(made["Vpc"]["VpcId"]), place)

    def mend(self, wanted: Vpc, place: Place, found: Found) -> None:
        """Turn DNS on; raises ``AwsError`` for other addresses."""
        if found.lacks(ADDRESSES):
            there = found.raw["CidrBlock"]
            raise AwsError(
                f"The VPC {wanted.name} has the addresses {there}, and AWS cannot change them.\n\n"
                f"Keep them with --vpc-cidr={there}. Or make another VPC: give it a name of its own"
                ' (`network = "…"` in the table [names] of a --file), or take this set-up away'
                " first (--destroy)."
            )
        self._turn_on_dns(str(found.raw["VpcId"]), place)

    def remove(self, wanted: Vpc, place: Place, found: Found) -> None:
        """Remove it; raises ``AwsError`` when somebody has put something into it."""
        vpc = str(found.raw["VpcId"])
        call = lambda: place.client("ec2").delete_vpc(VpcId=vpc) or {}  # noqa: E731
        if absent(("DependencyViolation",), call) is None:
            raise AwsError(
                f"The VPC {wanted.name} ({vpc}) holds something that this command did not make,"
                " such as subnets, security groups or machines of yours.\n\n"
                "Look at it in the console (VPC → Your VPCs), remove that, and run the same command"
                " again. All else is removed."
            )

    @staticmethod
    def _turn_on_dns(vpc: str, place: Place) -> None:
        # AWS takes one at a time, and names of hosts only with the other.
        modify = place.client("ec2").modify_vpc_attribute
        for parameter in own_vpc.DNS.values():
            once_known(partial(modify, VpcId=vpc, **{parameter: {"Value": True}}), place)


class InternetGatewayKind(Kind[InternetGateway]):
    """The door."""

    def summary(self, wanted: InternetGateway) -> tuple[str, ...]:  # noqa: ARG002
        """Return what it will be."""
        return ("for connections from the instances; none to them, by their security group",)

    def look(self, wanted: InternetGateway, place: Place) -> Found | None:
        """Read what it is attached to."""
        found = own_vpc.gateway(wanted.name, place)
        if found is None:
            return None
        vpc = own_vpc.find(wanted.name, place)
        attached = ", ".join(str(each["VpcId"]) for each in found.get("Attachments") or ())
        lacks = differences((ATTACHED, attached, str(vpc["VpcId"]) if vpc else NEW))
        return Found(is_ours(found.get("Tags")), lacks, raw=found)

    def make(self, wanted: InternetGateway, place: Place) -> None:
        """Make it, and attach it."""
        made = place.client("ec2").create_internet_gateway(
            TagSpecifications=tagged("internet-gateway", wanted.name)
        )
        self._attach(wanted, str(made["InternetGateway"]["InternetGatewayId"]), place)

    def mend(self, wanted: InternetGateway, place: Place, found: Found) -> None:
        """Attach it."""
        self._detach(found, place)
        self._attach(wanted, str(found.raw["InternetGatewayId"]), place)

    def remove(self, wanted: InternetGateway, place: Place, found: Found) -> None:  # noqa: ARG002
        """Detach it, and remove it."""
        self._detach(found, place)
        place.client("ec2").delete_internet_gateway(
            InternetGatewayId=found.raw["InternetGatewayId"]
        )

    @staticmethod
    def _attach(wanted: InternetGateway, gateway: str, place: Place) -> None:
        vpc = own_vpc.vpc_id(wanted.name, place)
        once_known(
            lambda: place.client("ec2").attach_internet_gateway(
                InternetGatewayId=gateway, VpcId=vpc
            ),
            place,
        )

    @staticmethod
    def _detach(found: Found, place: Place) -> None:
        gateway = found.raw["InternetGatewayId"]
        for each in found.raw.get("Attachments") or ():
            place.client("ec2").detach_internet_gateway(
                InternetGatewayId=gateway, VpcId=each["VpcId"]
            )


class RouteTableKind(Kind[RouteTable]):
    """One for all subnets. The VPC's main table stays as AWS makes it, without a way out."""

    def summary(self, wanted: RouteTable) -> tuple[str, ...]:  # noqa: ARG002
        """Return what it will be."""
        return ("by default through the internet gateway",)

    def look(self, wanted: RouteTable, place: Place) -> Found | None:
        """Read where it leads by default."""
        found = own_vpc.route_table(wanted.name, place)
        if found is None:
            return None
        gateway = own_vpc.gateway(wanted.name, place)
        way = str(gateway["InternetGatewayId"]) if gateway else NEW
        route = own_vpc.default_route(found)
        lacks = differences((WAY_OUT, own_vpc.target(route) if route else None, way))
        return Found(is_ours(found.get("Tags")), lacks, raw=found)

    def make(self, wanted: RouteTable, place: Place) -> None:
        """Make it, and its default route."""
        made = place.client("ec2").create_route_table(
            VpcId=own_vpc.vpc_id(wanted.name, place),
            TagSpecifications=tagged("route-table", wanted.name),
        )["RouteTable"]
        self._lead_out(wanted, dict(made), place)

    def mend(self, wanted: RouteTable, place: Place, found: Found) -> None:
        """Lead it out."""
        self._lead_out(wanted, found.raw, place)

    def remove(self, wanted: RouteTable, place: Place, found: Found) -> None:  # noqa: ARG002
        """Take it from the subnets that have it, and remove it."""
        ec2 = place.client("ec2")
        for each in found.raw.get("Associations") or ():
            ec2.disassociate_route_table(AssociationId=each["RouteTableAssociationId"])
        ec2.delete_route_table(RouteTableId=found.raw["RouteTableId"])

    @staticmethod
    def _lead_out(wanted: RouteTable, table: dict[str, Any], place: Place) -> None:
        ec2 = place.client("ec2")
        route = {
            "RouteTableId": table["RouteTableId"],
            "DestinationCidrBlock": EVERYWHERE,
            "GatewayId": own_vpc.gateway_id(wanted.name, place),
        }
        set_route = ec2.replace_route if own_vpc.default_route(table) else ec2.create_route
        once_known(lambda: set_route(**route), place)


class SubnetsKind(Kind[Subnets]):
    """One in each of the first zones by name, and the way out of each."""

    # Since 2024; nothing else of a VPC costs anything: there is no NAT gateway.
    costs = "$0.005 an hour for the public address of each instance, while it runs"

    def summary(self, wanted: Subnets) -> tuple[str, ...]:  # noqa: ARG002
        """Return what they will be."""
        return (f"one in each availability zone, up to {ZONES}; instances get public addresses",)

    def look(self, wanted: Subnets, place: Place) -> Found | None:
        """Read what there is in which zone."""
        found = own_vpc.subnets(wanted.name, place)
        if not found:
            return None
        table = own_vpc.route_table(wanted.name, place)
        leading = own_vpc.associations([table] if table else [])
        private = [each["SubnetId"] for each in found if not each["MapPublicIpOnLaunch"]]
        lost = [each["SubnetId"] for each in found if each["SubnetId"] not in leading]
        lacks = differences(
            (PUBLIC, f"not in {', '.join(private)}" if private else "in all", "in all"),
            (ROUTED, f"not of {', '.join(lost)}" if lost else "of all", "of all"),
        )
        return Found(is_ours(found[0].get("Tags")), _zones_lacking(found, place) + lacks, raw=found)

    def make(self, wanted: Subnets, place: Place) -> None:
        """Make them, one after the other."""
        self._complete(wanted, place, [])

    def mend(self, wanted: Subnets, place: Place, found: Found) -> None:
        """Complete them."""
        self._complete(wanted, place, found.raw)

    def remove(self, wanted: Subnets, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove them."""
        for each in found.raw:
            place.client("ec2").delete_subnet(SubnetId=each["SubnetId"])

    def _complete(self, wanted: Subnets, place: Place, there: list[dict[str, Any]]) -> None:
        vpc = own_vpc.wait_for(wanted.name, place)
        served = {each["AvailabilityZone"] for each in there}
        free = own_vpc.free_blocks(vpc, blocks(vpc["CidrBlock"]), place)
        added = [
            self._make_one(wanted, zone, str(vpc["VpcId"]), free, place)
            for zone in own_vpc.zones(place)
            if zone not in served
        ]
        for each in [*there, *added]:
            self._open(wanted, each, place)

    @staticmethod
    def _make_one(
        wanted: Subnets, zone: str, vpc: str, free: list[str], place: Place
    ) -> dict[str, Any]:
        if not free:
            raise AwsError(
                f"The VPC {wanted.name} ({vpc}) has no addresses left for a subnet in {zone}:"
                " somebody has made others in it.\n\nRemove them, and run the same command again."
            )
        made = place.client("ec2").create_subnet(
            VpcId=vpc,
            AvailabilityZone=zone,
            CidrBlock=free.pop(0),
            TagSpecifications=tagged("subnet", wanted.name),
        )
        return dict(made["Subnet"])

    @staticmethod
    def _open(wanted: Subnets, subnet: dict[str, Any], place: Place) -> None:
        """Give its instances public addresses and a way out, where they have none."""
        ec2, name = place.client("ec2"), str(subnet["SubnetId"])
        if not subnet["MapPublicIpOnLaunch"]:
            public = {"MapPublicIpOnLaunch": {"Value": True}}
            once_known(lambda: ec2.modify_subnet_attribute(SubnetId=name, **public), place)
        table = own_vpc.table_id(wanted.name, place)
        tables = own_vpc.tables_of(str(subnet["VpcId"]), place)
        associated = own_vpc.associations(tables).get(name)
        if associated is None:
            once_known(lambda: ec2.associate_route_table(SubnetId=name, RouteTableId=table), place)
        elif associated["RouteTableId"] != table:
            ec2.replace_route_table_association(
                AssociationId=associated["RouteTableAssociationId"], RouteTableId=table
            )


class S3EndpointKind(Kind[S3Endpoint]):
    """A gateway endpoint, which costs nothing, unlike those of other services."""

    def summary(self, wanted: S3Endpoint) -> tuple[str, ...]:  # noqa: ARG002
        """Return what it will be."""
        return ("files go to the bucket and back without the internet gateway",)

    def look(self, wanted: S3Endpoint, place: Place) -> Found | None:
        """Read which route table it is in."""
        vpc = own_vpc.find(wanted.name, place)
        found = own_vpc.endpoint(str(vpc["VpcId"]), wanted.service, place) if vpc else None
        if found is None:
            return None
        table = own_vpc.route_table(wanted.name, place)
        own = str(table["RouteTableId"]) if table else NEW
        tables = found.get("RouteTableIds") or ()
        lacks = () if own in tables else (Difference(ROUTES, ", ".join(tables) or "none", own),)
        return Found(is_ours(found.get("Tags")), lacks, raw=found)

    def make(self, wanted: S3Endpoint, place: Place) -> None:
        """Make it."""
        vpc, table = own_vpc.vpc_id(wanted.name, place), own_vpc.table_id(wanted.name, place)
        once_known(
            lambda: place.client("ec2").create_vpc_endpoint(
                VpcId=vpc,
                ServiceName=wanted.service,
                VpcEndpointType="Gateway",
                RouteTableIds=[table],
                TagSpecifications=tagged("vpc-endpoint", wanted.name),
            ),
            place,
        )

    def mend(self, wanted: S3Endpoint, place: Place, found: Found) -> None:
        """Put it into the route table, and out of those that are gone."""
        there = own_vpc.tables_of(str(found.raw["VpcId"]), place)
        known = {each["RouteTableId"] for each in there}
        gone = [each for each in found.raw.get("RouteTableIds") or () if each not in known]
        place.client("ec2").modify_vpc_endpoint(
            VpcEndpointId=found.raw["VpcEndpointId"],
            AddRouteTableIds=[own_vpc.table_id(wanted.name, place)],
            **({"RemoveRouteTableIds": gone} if gone else {}),
        )

    def remove(self, wanted: S3Endpoint, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove it."""
        answer = place.client("ec2").delete_vpc_endpoints(
            VpcEndpointIds=[found.raw["VpcEndpointId"]]
        )
        for each in answer.get("Unsuccessful") or ():  # AWS answers 200 all the same
            raise AwsError(
                f"Cannot remove the S3 endpoint {found.raw['VpcEndpointId']}.\n\n"
                f"AWS said: {each.get('Error', {}).get('Message', 'nothing')}"
            )


def _zones_lacking(found: list[dict[str, Any]], place: Place) -> tuple[Difference, ...]:
    wanted = own_vpc.zones(place)
    there = {each["AvailabilityZone"] for each in found}
    return differences((IN_ZONES, [each for each in wanted if each in there], wanted))
