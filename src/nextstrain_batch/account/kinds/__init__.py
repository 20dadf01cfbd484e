"""The kinds of resources, one class each: how it is read, made, mended and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account import resources
from nextstrain_batch.account import vpc as vpc_parts

from . import batch, bucket, environments, iam, logs, network, vpc

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Kind

KINDS: dict[type, Kind[Any]] = {
    resources.Bucket: bucket.BucketKind(),
    resources.Policy: iam.PolicyKind(),
    resources.ServiceLinkedRole: iam.ServiceLinkedRoleKind(),
    resources.Role: iam.RoleKind(),
    resources.Group: iam.GroupKind(),
    resources.LogGroup: logs.LogGroupKind(),
    vpc_parts.Vpc: vpc.VpcKind(),
    vpc_parts.InternetGateway: vpc.InternetGatewayKind(),
    vpc_parts.RouteTable: vpc.RouteTableKind(),
    vpc_parts.Subnets: vpc.SubnetsKind(),
    vpc_parts.S3Endpoint: vpc.S3EndpointKind(),
    resources.SecurityGroup: network.SecurityGroupKind(),
    resources.LaunchTemplate: network.LaunchTemplateKind(),
    resources.ComputeEnvironment: environments.ComputeEnvironmentKind(),
    resources.JobQueue: batch.JobQueueKind(),
    resources.JobDefinition: batch.JobDefinitionKind(),
}


def of(resource: resources.Resource) -> Kind[Any]:
    """Return what knows how to deal with a resource."""
    return KINDS[type(resource)]
