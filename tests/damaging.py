"""What can happen to each kind of resource of an account, done by an administrator's own calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account import policies, vpc
from nextstrain_batch.account.resources import (
    Bucket,
    ComputeEnvironment,
    Group,
    JobDefinition,
    JobQueue,
    LaunchTemplate,
    LogGroup,
    Policy,
    Role,
    SecurityGroup,
    ServiceLinkedRole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REMOVED, CHANGED = "removed", "changed"
BUCKET, GROUP = "nextstrain-jobs", "NextstrainJobsUsers"
QUEUE, DEFINITION, ENVIRONMENT = "nextstrain-job-queue", "nextstrain-job", "nextstrain-jobs"
JOB_ROLE, INSTANCE_ROLE = "NextstrainJobsRole", "NextstrainJobsInstanceRole"
POLICY = "arn:aws:iam::123456789012:policy/NextstrainJobsAccessToBucket"
LOGS = "/aws/batch/job"

IMPOSSIBLE = {
    (ServiceLinkedRole, CHANGED): "AWS lets nobody change a service-linked role",
}


@dataclass(frozen=True)
class Damage:
    """Something that happens to a resource of *kind*; check-setup fails on *part* then."""

    kind: type
    how: str
    part: str
    does: Callable[[Any], object]
    """Is given botocore's clients by service."""


def damage(kind: type, how: str, part: str) -> Callable[[Callable[[Any], object]], Damage]:
    """Make a damage of a function, whose name tells what it does."""

    def made(function: Callable[[Any], object]) -> Damage:
        found = Damage(kind, how, part, function)
        DAMAGES[function.__name__.replace("_", " ")] = found
        return found

    return made


DAMAGES: dict[str, Damage] = {}


# --- S3, Logs ----------------------------------------------------------------------------------


@damage(Bucket, REMOVED, "bucket")
def bucket_removed(aws):
    aws("s3").delete_bucket(Bucket=BUCKET)


@damage(Bucket, CHANGED, "bucket is private")
def bucket_open(aws):
    aws("s3").delete_public_access_block(Bucket=BUCKET)


@damage(Bucket, CHANGED, "bucket is encrypted")
def bucket_not_encrypted(aws):
    aws("s3").delete_bucket_encryption(Bucket=BUCKET)


@damage(Bucket, CHANGED, "bucket is reached by TLS only")
def bucket_without_policy(aws):
    aws("s3").delete_bucket_policy(Bucket=BUCKET)


@damage(Bucket, CHANGED, "bucket's files expire")
def files_kept_for_ever(aws):
    aws("s3").delete_bucket_lifecycle(Bucket=BUCKET)


@damage(LogGroup, REMOVED, "log group")
def log_group_removed(aws):
    aws("logs").delete_log_group(logGroupName=LOGS)


@damage(LogGroup, CHANGED, "log group")
def logs_kept_for_ever(aws):
    aws("logs").delete_retention_policy(logGroupName=LOGS)


# --- IAM ---------------------------------------------------------------------------------------


@damage(Policy, REMOVED, "permissions for the bucket")
def policy_removed(aws):
    iam = aws("iam")
    iam.detach_group_policy(GroupName=GROUP, PolicyArn=POLICY)
    iam.detach_role_policy(RoleName=JOB_ROLE, PolicyArn=POLICY)
    for each in iam.list_policy_versions(PolicyArn=POLICY)["Versions"]:
        if not each["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=POLICY, VersionId=each["VersionId"])
    iam.delete_policy(PolicyArn=POLICY)


@damage(Policy, CHANGED, "permissions for the bucket")
def policy_with_less(aws):
    document = policies.document(policies.allow(("s3:ListBucket",), "*"))
    aws("iam").create_policy_version(PolicyArn=POLICY, PolicyDocument=document, SetAsDefault=True)


@damage(Group, REMOVED, "permissions for AWS Batch")
def group_removed(aws):
    iam, name = aws("iam"), {"GroupName": GROUP}
    for each in iam.list_attached_group_policies(**name)["AttachedPolicies"]:
        iam.detach_group_policy(**name, PolicyArn=each["PolicyArn"])
    for each in iam.get_group(**name)["Users"]:
        iam.remove_user_from_group(**name, UserName=each["UserName"])
    iam.delete_group(**name)


@damage(Group, CHANGED, "permissions for the bucket")
def group_without_a_policy(aws):
    aws("iam").detach_group_policy(GroupName=GROUP, PolicyArn=POLICY)


@damage(ServiceLinkedRole, REMOVED, "instances of nextstrain-jobs")
def service_role_removed(aws):
    aws("iam").delete_role(RoleName="AWSServiceRoleForBatch")


@damage(Role, REMOVED, "job role")
def job_role_removed(aws):
    remove_role(aws("iam"), JOB_ROLE)


@damage(Role, CHANGED, "job role")
def job_role_without_its_policy(aws):
    aws("iam").detach_role_policy(RoleName=JOB_ROLE, PolicyArn=POLICY)


@damage(Role, CHANGED, "job role")
def job_role_for_somebody_else(aws):
    aws("iam").update_assume_role_policy(
        RoleName=JOB_ROLE, PolicyDocument=policies.trust("ec2.amazonaws.com")
    )


@damage(Role, REMOVED, "instances of nextstrain-jobs")
def instance_role_removed(aws):
    aws("iam").remove_role_from_instance_profile(
        InstanceProfileName=INSTANCE_ROLE, RoleName=INSTANCE_ROLE
    )
    remove_role(aws("iam"), INSTANCE_ROLE)


@damage(Role, REMOVED, "instances of nextstrain-jobs")
def instance_profile_removed(aws):
    iam, name = aws("iam"), {"InstanceProfileName": INSTANCE_ROLE}
    iam.remove_role_from_instance_profile(**name, RoleName=INSTANCE_ROLE)
    iam.delete_instance_profile(**name)


@damage(Role, CHANGED, "instances of nextstrain-jobs")
def instance_role_without_its_policy(aws):
    attached = aws("iam").list_attached_role_policies(RoleName=INSTANCE_ROLE)["AttachedPolicies"]
    for each in attached:
        aws("iam").detach_role_policy(RoleName=INSTANCE_ROLE, PolicyArn=each["PolicyArn"])


@damage(Role, CHANGED, "instances of nextstrain-jobs")
def instance_role_for_somebody_else(aws):
    aws("iam").update_assume_role_policy(
        RoleName=INSTANCE_ROLE, PolicyDocument=policies.trust("ecs-tasks.amazonaws.com")
    )


def remove_role(iam, name):
    for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
    iam.delete_role(RoleName=name)


# --- EC2 ---------------------------------------------------------------------------------------

NETWORK, INSTANCES = "network of nextstrain-jobs", "instances of nextstrain-jobs"


def ours(aws, what):
    """Return what of a kind the set-up has made: EC2's descriptions of it."""
    tags = [{"Name": "tag:made-by", "Values": ["nextstrain setup aws-batch"]}]
    answer = getattr(aws("ec2"), f"describe_{what}")(Filters=tags)
    return next(value for name, value in answer.items() if name != "ResponseMetadata")


@damage(vpc.Vpc, REMOVED, INSTANCES)
def network_removed(aws):
    endpoint_removed.does(aws)
    security_group_removed.does(aws)
    for each in ours(aws, "subnets"):
        aws("ec2").delete_subnet(SubnetId=each["SubnetId"])
    route_table_removed.does(aws)
    gateway_removed.does(aws)
    aws("ec2").delete_vpc(VpcId=ours(aws, "vpcs")[0]["VpcId"])


@damage(vpc.Vpc, CHANGED, NETWORK)
def names_of_hosts_off(aws):
    turn_off(aws, "EnableDnsHostnames")


@damage(vpc.Vpc, CHANGED, NETWORK)
def dns_off(aws):
    turn_off(aws, "EnableDnsSupport")


def turn_off(aws, attribute):
    found = ours(aws, "vpcs")[0]["VpcId"]
    aws("ec2").modify_vpc_attribute(VpcId=found, **{attribute: {"Value": False}})


@damage(vpc.InternetGateway, REMOVED, NETWORK)
def gateway_removed(aws):
    gateway_detached.does(aws)
    found = ours(aws, "internet_gateways")[0]["InternetGatewayId"]
    aws("ec2").delete_internet_gateway(InternetGatewayId=found)


@damage(vpc.InternetGateway, CHANGED, NETWORK)
def gateway_detached(aws):
    (found,) = ours(aws, "internet_gateways")
    aws("ec2").detach_internet_gateway(
        InternetGatewayId=found["InternetGatewayId"], VpcId=found["Attachments"][0]["VpcId"]
    )


@damage(vpc.RouteTable, REMOVED, NETWORK)
def route_table_removed(aws):
    (found,) = ours(aws, "route_tables")
    for each in found["Associations"]:
        aws("ec2").disassociate_route_table(AssociationId=each["RouteTableAssociationId"])
    aws("ec2").delete_route_table(RouteTableId=found["RouteTableId"])


@damage(vpc.RouteTable, CHANGED, NETWORK)
def route_missing(aws):
    (found,) = ours(aws, "route_tables")
    aws("ec2").delete_route(RouteTableId=found["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")


@damage(vpc.Subnets, REMOVED, INSTANCES)
def one_subnet_removed(aws):
    aws("ec2").delete_subnet(SubnetId=ours(aws, "subnets")[1]["SubnetId"])


@damage(vpc.Subnets, CHANGED, NETWORK)
def no_public_addresses(aws):
    found = ours(aws, "subnets")[0]["SubnetId"]
    aws("ec2").modify_subnet_attribute(SubnetId=found, MapPublicIpOnLaunch={"Value": False})


@damage(vpc.Subnets, CHANGED, NETWORK)
def one_subnet_without_the_route_table(aws):
    aws("ec2").disassociate_route_table(AssociationId=association(aws))


def association(aws):
    """Return the association of the route table with a subnet; moto keeps those of removed ones."""
    there = {each["SubnetId"] for each in ours(aws, "subnets")}
    return next(
        each["RouteTableAssociationId"]
        for each in ours(aws, "route_tables")[0]["Associations"]
        if each["SubnetId"] in there
    )


@damage(vpc.Subnets, CHANGED, NETWORK)
def one_subnet_with_another_route_table(aws):
    (found,) = ours(aws, "route_tables")
    other = aws("ec2").create_route_table(VpcId=found["VpcId"])["RouteTable"]["RouteTableId"]
    aws("ec2").replace_route_table_association(AssociationId=association(aws), RouteTableId=other)


@damage(vpc.S3Endpoint, REMOVED, NETWORK)
def endpoint_removed(aws):
    found = [each for each in ours(aws, "vpc_endpoints") if each["State"].lower() == "available"]
    aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[found[0]["VpcEndpointId"]])


@damage(vpc.S3Endpoint, CHANGED, NETWORK)
def endpoint_not_in_the_route_table(aws):
    for each in ours(aws, "vpc_endpoints"):
        if each["State"].lower() == "available":
            aws("ec2").modify_vpc_endpoint(
                VpcEndpointId=each["VpcEndpointId"], RemoveRouteTableIds=each["RouteTableIds"]
            )


def group_id(aws):
    own = {each["VpcId"] for each in ours(aws, "vpcs")}  # the sandbox's has one elsewhere, too
    return next(each["GroupId"] for each in ours(aws, "security_groups") if each["VpcId"] in own)


@damage(SecurityGroup, REMOVED, INSTANCES)
def security_group_removed(aws):
    aws("ec2").delete_security_group(GroupId=group_id(aws))


@damage(SecurityGroup, CHANGED, "security group of nextstrain-jobs")
def security_group_open(aws):
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws("ec2").authorize_security_group_ingress(GroupId=group_id(aws), IpPermissions=[ssh])


@damage(SecurityGroup, CHANGED, "security group of nextstrain-jobs")
def security_group_shut(aws):
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws("ec2").revoke_security_group_egress(GroupId=group_id(aws), IpPermissions=[everything])


def template_name(aws):
    return ours(aws, "launch_templates")[0]["LaunchTemplateName"]


@damage(LaunchTemplate, REMOVED, INSTANCES)
def launch_template_removed(aws):
    aws("ec2").delete_launch_template(LaunchTemplateName=template_name(aws))


@damage(LaunchTemplate, CHANGED, INSTANCES)
def launch_template_with_less_disk(aws):
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 31}}
    name = {"LaunchTemplateName": template_name(aws)}
    made = aws("ec2").create_launch_template_version(
        **name, LaunchTemplateData={"BlockDeviceMappings": [disk]}
    )["LaunchTemplateVersion"]
    aws("ec2").modify_launch_template(**name, DefaultVersion=str(made["VersionNumber"]))


# --- Batch -------------------------------------------------------------------------------------


@damage(JobQueue, REMOVED, "job queue")
def queue_removed(aws):
    aws("batch").update_job_queue(jobQueue=QUEUE, state="DISABLED")
    aws("batch").delete_job_queue(jobQueue=QUEUE)


@damage(JobQueue, CHANGED, "job queue")
def queue_disabled(aws):
    aws("batch").update_job_queue(jobQueue=QUEUE, state="DISABLED")


@damage(ComputeEnvironment, REMOVED, "job queue")
def queue_and_environment_removed(aws):
    queue_removed.does(aws)
    environment_disabled.does(aws)
    aws("batch").delete_compute_environment(computeEnvironment=ENVIRONMENT)


@damage(ComputeEnvironment, CHANGED, "compute environment nextstrain-jobs")
def environment_disabled(aws):
    aws("batch").update_compute_environment(computeEnvironment=ENVIRONMENT, state="DISABLED")


@damage(ComputeEnvironment, CHANGED, "compute environment nextstrain-jobs")
def environment_that_costs_while_idle(aws):
    aws("batch").update_compute_environment(
        computeEnvironment=ENVIRONMENT, computeResources={"minvCpus": 4}
    )


@damage(ComputeEnvironment, CHANGED, "size of jobs")
def environment_too_small(aws):
    aws("batch").update_compute_environment(
        computeEnvironment=ENVIRONMENT, computeResources={"maxvCpus": 2}
    )


@damage(JobDefinition, REMOVED, "job definition")
def definition_removed(aws):
    for each in aws("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]:
        aws("batch").deregister_job_definition(jobDefinition=each["jobDefinitionArn"])


@damage(JobDefinition, CHANGED, "job definition")
def definition_without_a_role(aws):
    aws("batch").register_job_definition(
        jobDefinitionName=DEFINITION,
        type="container",
        containerProperties={"image": "nextstrain/base", "vcpus": 1, "memory": 1024},
        timeout={"attemptDurationSeconds": 60},
    )


@damage(JobDefinition, CHANGED, "job definition")
def definition_without_an_end(aws):
    role = f"arn:aws:iam::123456789012:role/{JOB_ROLE}"
    aws("batch").register_job_definition(
        jobDefinitionName=DEFINITION,
        type="container",
        containerProperties={
            "image": "nextstrain/base", "vcpus": 1, "memory": 1024, "jobRoleArn": role
        },
    )  # fmt: skip
