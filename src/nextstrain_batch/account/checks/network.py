"""Whether instances can reach what they need, and nobody reaches them.

AWS Batch calls an environment valid whose instances cannot reach AWS; its jobs wait for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.kinds import own_vpc
from nextstrain_batch.account.kinds.network import lets_all_out
from nextstrain_batch.account.place import is_ours
from nextstrain_batch.account.vpc import S3Endpoint

from .computing import environments_of
from .finding import Check, failed, ok, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .finding import Finding, Subject

THEIRS = (
    "Give each subnet a default route to an internet gateway, and its instances public addresses;"
    " or a route to a NAT gateway. Or"
)


def reach(subject: Subject) -> Iterator[Finding]:
    """Look at the network of each environment."""
    for environment in environments_of(subject):
        resources = environment["computeResources"]
        subnets = _described("subnet", resources.get("subnets"), subject)
        if subnets:  # what is gone, the check of the instances names
            name = environment["computeEnvironmentName"]
            yield _finding(f"network of {name}", subnets, subject)


def doors(subject: Subject) -> Iterator[Finding]:
    """Look at the security groups that setup made; others are others' affair."""
    for environment in environments_of(subject):
        part = f"security group of {environment['computeEnvironmentName']}"
        ids = environment["computeResources"].get("securityGroupIds")
        found = [each for each in _described("group", ids, subject) if is_ours(each.get("Tags"))]
        wrong = [trouble for each in found for trouble in _of_group(each)]
        if wrong:
            yield failed(part, "; ".join(wrong), f"{subject.mend} mends it.")
        elif found:
            yield ok(part, "lets everything out, and nothing in")


def _described(kind: str, ids: object, subject: Subject) -> list[dict[str, Any]]:
    """Return EC2's descriptions of what of a list of ids there is; it takes no empty filter."""
    if not isinstance(ids, list) or not ids:
        return []
    ec2, filters = subject.place.client("ec2"), [{"Name": f"{kind}-id", "Values": ids}]
    if kind == "subnet":
        return list(ec2.describe_subnets(Filters=filters)["Subnets"])
    return list(ec2.describe_security_groups(Filters=filters)["SecurityGroups"])


def _finding(part: str, subnets: list[dict[str, Any]], subject: Subject) -> Finding:
    ec2, vpc = subject.place.client("ec2"), str(subnets[0]["VpcId"])
    tables = own_vpc.tables_of(vpc, subject.place)
    wrong = [trouble for each in subnets for trouble in _of_subnet(each, tables, subject)]
    wrong += _of_dns(vpc, subject)
    described = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    if is_ours(described.get("Tags")):
        wrong += _of_ours(vpc, subnets, tables, subject)
        remedy = f"{subject.mend} mends it."
    elif wrong and _has_endpoints(vpc, subject):
        return unknown(part, f"{'; '.join(wrong)}; perhaps the VPC's endpoints are enough")
    else:
        remedy = f"{THEIRS} {subject.mend} --new-vpc."
    if wrong:
        return failed(part, "; ".join(wrong), remedy)
    return ok(part, f"{vpc}: {len(subnets)} subnets with a way to the internet")


def _of_subnet(
    subnet: dict[str, Any], tables: list[dict[str, Any]], subject: Subject
) -> Iterator[str]:
    name = str(subnet["SubnetId"])
    table = own_vpc.table_for(name, tables)
    route = own_vpc.default_route(table) if table else None
    way = str((route or {}).get("GatewayId") or "")
    if route is None or not own_vpc.leads_somewhere(route, str(subnet["VpcId"]), subject.place):
        yield f"the subnet {name} has no way to the internet"
    elif way.startswith("igw-") and not subnet["MapPublicIpOnLaunch"]:
        yield f"instances in the subnet {name} get no public address, and so no answers"


def _of_dns(vpc: str, subject: Subject) -> Iterator[str]:
    if own_vpc.DNS_SUPPORT in own_vpc.lacking_dns(vpc, subject.place):
        yield f"DNS is off in {vpc}"


def _of_ours(
    vpc: str, subnets: list[dict[str, Any]], tables: list[dict[str, Any]], subject: Subject
) -> Iterator[str]:
    """Yield what is wrong with a VPC that setup made, and would not be with another."""
    if set(own_vpc.lacking_dns(vpc, subject.place)) == {own_vpc.DNS_NAMES}:
        yield f"instances in {vpc} have no names"
    used = {table["RouteTableId"] for each in subnets if (table := _table(each, tables))}
    service = S3Endpoint("", subject.place.region).service
    endpoint = own_vpc.endpoint(vpc, service, subject.place)
    if endpoint is None or not used & set(endpoint.get("RouteTableIds") or ()):
        yield f"the S3 endpoint of {vpc} is gone"


def _table(subnet: dict[str, Any], tables: list[dict[str, Any]]) -> dict[str, Any] | None:
    return own_vpc.table_for(str(subnet["SubnetId"]), tables)


def _of_group(group: dict[str, Any]) -> Iterator[str]:
    if group.get("IpPermissions"):
        yield f"{group['GroupId']} lets something in"
    if not lets_all_out(group):
        yield f"{group['GroupId']} does not let everything out"


def _has_endpoints(vpc: str, subject: Subject) -> bool:
    """Tell whether a VPC has interface endpoints, with which AWS can be reached from inside."""
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    found = subject.place.client("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
    return any(each.get("VpcEndpointType") == "Interface" for each in found)


CHECKS = (Check("network", reach), Check("security group", doors))
