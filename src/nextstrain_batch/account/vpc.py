"""A network of the account's own, in its parts: instances in it reach nothing else of yours.

All parts are called alike. They are known by that name and by the tag of what we make, for AWS lets
several have one name.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar

from nextstrain_batch.errors import ConfigError

DEFAULT_CIDR = "10.83.0.0/16"
"""Not what AWS's default networks (172.31), Docker (172.17) or most offices use, should somebody
connect it to another network one day."""
ZONES = 3
"""In how many availability zones there are instances at most: some have what others lack."""
LARGEST, SMALLEST = 16, 26
"""The lengths of prefixes: a VPC has a /16 at most, and a subnet, of which four fit, a /28 at
least."""


@dataclass(frozen=True)
class Vpc:
    """The network."""

    noun: ClassVar[str] = "VPC"
    name: str
    cidr: str


@dataclass(frozen=True)
class InternetGateway:
    """Its only door: instances have to reach AWS and images, and a build what it downloads."""

    noun: ClassVar[str] = "internet gateway"
    name: str


@dataclass(frozen=True)
class RouteTable:
    """The way from the subnets to that door."""

    noun: ClassVar[str] = "route table"
    name: str


@dataclass(frozen=True)
class Subnets:
    """One in each zone, up to ``ZONES``; instances get public addresses in them.

    Without such an address they would need a NAT gateway, which costs money all the time.
    """

    noun: ClassVar[str] = "subnets"
    name: str
    cidr: str
    """The VPC's addresses, of which each has a quarter."""
    region: str


@dataclass(frozen=True)
class S3Endpoint:
    """A way of its own to the bucket, without a detour through the gateway."""

    noun: ClassVar[str] = "S3 endpoint"
    name: str
    region: str

    @property
    def service(self) -> str:
        """S3's name among the services that endpoints lead to."""
        return f"com.amazonaws.{self.region}.s3"


Part = Vpc | InternetGateway | RouteTable | Subnets | S3Endpoint


def parts(name: str, cidr: str, region: str) -> tuple[Part, ...]:
    """Return the network's parts, in the order in which they have to be made."""
    return (
        Vpc(name, cidr),
        InternetGateway(name),
        RouteTable(name),
        Subnets(name, cidr, region),
        S3Endpoint(name, region),
    )


def blocks(cidr: str) -> list[str]:
    """Return the quarters of a network's addresses: a subnet has one each, and one is spare."""
    return [str(each) for each in ipaddress.ip_network(cidr).subnets(prefixlen_diff=2)]


def checked_cidr(text: str) -> str:
    """Return the addresses that a network can have; raises ``ConfigError`` for others."""
    try:
        found = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} are no addresses of a network: {error}.") from error
    if not LARGEST <= found.prefixlen <= SMALLEST or not found.is_private:
        raise ConfigError(
            f"{text} cannot be a VPC's addresses: they are private ones, such as {DEFAULT_CIDR},"
            f" and from a /{LARGEST} to a /{SMALLEST}."
        )
    return text
