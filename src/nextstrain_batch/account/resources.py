"""The account that builds need, stated once, as frozen data.

``account`` returns it for what ``options`` holds. ``plan`` compares it with what there is; applying
a plan, showing it, and exporting the account as a template are done elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from . import policies, userdata
from .options import ALLOWABLE
from .vpc import Part, parts

if TYPE_CHECKING:
    from .options import Names, Options

T = TypeVar("T")

ROOT_DEVICE = "/dev/xvda"
GIB_BY_DEFAULT = 30
"""The disk of an instance without a launch template; its jobs share it."""


@dataclass(frozen=True)
class Bucket:
    """Private, encrypted, by TLS only; objects and incomplete uploads expire."""

    noun: ClassVar[str] = "bucket"
    name: str
    region: str
    expire_days: int = 30
    abort_uploads_days: int = 7


@dataclass(frozen=True)
class Policy:
    """A customer-managed policy."""

    noun: ClassVar[str] = "policy"
    name: str
    document: str
    """JSON."""
    purpose: str


@dataclass(frozen=True)
class ServiceLinkedRole:
    """The role with which AWS Batch itself works; AWS defines it, and an account has one."""

    noun: ClassVar[str] = "service role"
    name: str
    service: str

    @property
    def path(self) -> str:
        """The path and name, as they stand in its ARN."""
        return f"aws-service-role/{self.service}/{self.name}"


@dataclass(frozen=True)
class Role:
    """A role that an AWS service takes on."""

    noun: ClassVar[str] = "role"
    name: str
    service: str
    """The principal, such as ``ecs-tasks.amazonaws.com``."""
    purpose: str
    policies: tuple[str, ...] = ()
    """Names of the account's own policies."""
    managed_policies: tuple[str, ...] = ()
    """Paths of AWS's policies."""
    instance_profile: bool = False
    """Whether an instance profile of the same name holds it."""

    @property
    def trust(self) -> str:
        """The document, as JSON, of who may take it on."""
        return policies.trust(self.service)


@dataclass(frozen=True)
class Group:
    """The people who launch jobs."""

    noun: ClassVar[str] = "group"
    name: str
    policies: tuple[str, ...]
    """Names of the account's own policies."""
    not_policies: tuple[str, ...] = ()
    """Likewise, those that others of it stand in for: with them, it would be allowed more."""


@dataclass(frozen=True)
class LogGroup:
    """Where jobs' output goes."""

    noun: ClassVar[str] = "log group"
    name: str
    retention_days: int


@dataclass(frozen=True)
class SecurityGroup:
    """What may connect to the instances: nothing. They may connect to anything."""

    noun: ClassVar[str] = "security group"
    name: str
    vpc: str | None
    """Its id; None for the account's default one."""
    own_vpc: str | None = None
    """The name of the account's own, instead."""


@dataclass(frozen=True)
class LaunchTemplate:
    """How instances begin: their disk, and what runs on them first."""

    noun: ClassVar[str] = "launch template"
    name: str
    disk_gib: int | None = None
    user_data: str | None = None

    @classmethod
    def named(cls, prefix: str, disk_gib: int | None, user_data: str | None) -> LaunchTemplate:
        """Return one whose name differs for different content.

        Batch reads a template when an environment is made or changed, and not again. So one that
        changes gets another name, and the environment is seen to need it.
        """
        content = f"{disk_gib}\0{user_data}"
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return cls(f"{prefix}-{digest}", disk_gib, user_data)

    @staticmethod
    def is_named(name: str, prefix: str) -> bool:
        """Tell whether ``named`` may have made *name* of *prefix*, and not of a longer one."""
        return re.fullmatch(f"{re.escape(prefix)}-[0-9a-f]{{8}}", name) is not None


@dataclass(frozen=True)
class Network:
    """Where instances are."""

    vpc: str | None = None
    """None for the account's default one."""
    own_vpc: str | None = None
    """The name of the account's own, instead."""
    subnets: tuple[str, ...] = ()
    """None given: all of the VPC's."""
    security_groups: tuple[str, ...] = ()
    """None given: the one that is named next."""
    own_security_group: str | None = None


@dataclass(frozen=True)
class ComputeEnvironment:
    """Where jobs run: nothing, and no cost, while there are none."""

    noun: ClassVar[str] = "compute environment"
    name: str
    max_vcpus: int
    service_role: ServiceLinkedRole
    instance_role: str
    """The name of a role with an instance profile."""
    network: Network
    min_vcpus: int = 0
    kind: Literal["EC2", "SPOT"] = "EC2"
    instance_types: tuple[str, ...] = ("optimal",)
    launch_template: str | None = None

    @property
    def allocation(self) -> str:
        """How Batch chooses among the instance types."""
        on_spot = self.kind == "SPOT"
        return "SPOT_PRICE_CAPACITY_OPTIMIZED" if on_spot else "BEST_FIT_PROGRESSIVE"


@dataclass(frozen=True)
class JobQueue:
    """Where jobs wait."""

    noun: ClassVar[str] = "job queue"
    name: str
    environments: tuple[str, ...]
    """Names, in the order in which they are tried."""
    priority: int = 1


@dataclass(frozen=True)
class JobDefinition:
    """What a job is unless a build says otherwise."""

    noun: ClassVar[str] = "job definition"
    name: str
    image: str
    role: str
    """The job role's name."""
    vcpus: int
    memory_mib: int
    attempts: int = 1
    """More than one only for jobs whose spot instance is reclaimed, not for those that fail."""
    timeout_seconds: int = 14_400
    """So that a broken job cannot run up costs."""


Resource = (
    Bucket
    | Policy
    | ServiceLinkedRole
    | Role
    | Group
    | LogGroup
    | Part
    | SecurityGroup
    | LaunchTemplate
    | ComputeEnvironment
    | JobQueue
    | JobDefinition
)


@dataclass(frozen=True)
class Account:
    """Everything that is desired, in the order in which it has to be made."""

    region: str
    resources: tuple[Resource, ...]
    names: Names

    @property
    def group(self) -> Group:
        """The people who launch jobs."""
        return next(each for each in self.resources if isinstance(each, Group))

    def of(self, kind: type[T]) -> tuple[T, ...]:
        """Return the resources of one kind."""
        return tuple(each for each in self.resources if isinstance(each, kind))


def account(options: Options) -> Account:
    """Return the account for *options*."""
    names = options.names
    template = _launch_template(options)
    own_group = None
    if not options.security_groups:
        own_group = SecurityGroup(names.instances, options.vpc, options.own_vpc)
    environments = _environments(options, template, own_group)
    return Account(
        options.region,
        (
            Bucket(options.bucket, options.region, options.expire_days),
            *_policies(options),
            *_roles(names),
            _group(options),
            LogGroup(names.log_group, options.log_days),
            *_network(options),
            *([own_group] if own_group else []),
            *([template] if template else []),
            *environments,
            JobQueue(names.queue, tuple(each.name for each in environments)),
            JobDefinition(
                names.definition,
                options.image,
                names.role,
                options.vcpus,
                options.memory_mib,
                attempts=options.attempts,
                timeout_seconds=options.timeout_seconds,
            ),
        ),
        names,
    )


def everything(options: Options) -> Account:
    """Return what any choice could have made under the names of *options*."""
    return account(
        replace(
            options,
            spot=True,
            allow=ALLOWABLE,
            own_prefixes=True,
            own_jobs=True,
            new_vpc=True,
            vpc=None,
            subnets=(),
            security_groups=(),
        )
    )


def _policies(options: Options) -> list[Policy]:
    names, partition = options.names, options.partition
    documented = [
        Policy(names.batch_policy, policies.batch(), "submit, watch and end jobs"),
        Policy(
            names.bucket_policy,
            policies.bucket(options.bucket, partition),
            "read and write the bucket",
        ),
        Policy(names.logs_policy, policies.logs(names.log_group, partition), "read jobs' logs"),
    ]
    if options.own_prefixes:
        document = policies.own_prefix(options.bucket, partition)
        purpose = "read and write users/<own name>/ in the bucket"
        documented.append(Policy(names.own_prefix_policy, document, purpose))
    if options.own_jobs:
        document = policies.own_jobs(partition)
        purpose = "submit and watch jobs, and end those of one's own"
        documented.append(Policy(names.own_jobs_policy, document, purpose))
    documents = {
        policies.IMAGES: policies.images(names.definition, names.role, partition),
        policies.LISTING: policies.listing(),
        policies.TAGS: policies.tags(partition),
    }
    optional = [
        Policy(names.optional_policy(each.key), documents[each.key], each.allows)
        for each in policies.OPTIONAL
        if each.key in options.allow
    ]
    return documented + optional


def _roles(names: Names) -> tuple[Resource, ...]:
    return (
        SERVICE_ROLE,
        Role(
            names.role,
            "ecs-tasks.amazonaws.com",
            "what runs in a job has it",
            policies=(names.bucket_policy,),
        ),
        Role(
            names.instance_role,
            "ec2.amazonaws.com",
            "the instances have it: it lets them take jobs from AWS Batch and send logs",
            managed_policies=("service-role/AmazonEC2ContainerServiceforEC2Role",),
            instance_profile=True,
        ),
    )


SERVICE_ROLE = ServiceLinkedRole("AWSServiceRoleForBatch", "batch.amazonaws.com")


def _group(options: Options) -> Group:
    names = options.names
    optional = [
        names.optional_policy(each.key) for each in policies.OPTIONAL if each.key in options.allow
    ]
    jobs, not_jobs = names.batch_policy, names.own_jobs_policy
    if options.own_jobs:
        jobs, not_jobs = not_jobs, jobs
    files, not_files = names.bucket_policy, names.own_prefix_policy
    if options.own_prefixes:
        files, not_files = not_files, files
    chosen = (jobs, files, names.logs_policy, *optional)
    return Group(names.group, chosen, (not_jobs, not_files))


def _network(options: Options) -> tuple[Part, ...]:
    if not options.new_vpc:
        return ()
    return parts(options.names.network, options.vpc_cidr, options.region)


def _launch_template(options: Options) -> LaunchTemplate | None:
    script = userdata.multipart(
        local_nvme=options.local_nvme, block_metadata=options.block_metadata
    )
    if options.disk_gib is None and script is None:
        return None
    return LaunchTemplate.named(options.names.environment, options.disk_gib, script)


def _environments(
    options: Options, template: LaunchTemplate | None, own_group: SecurityGroup | None
) -> tuple[ComputeEnvironment, ...]:
    names = options.names
    network = Network(
        options.vpc,
        options.own_vpc,
        options.subnets,
        options.security_groups,
        own_group.name if own_group else None,
    )
    kinds: tuple[tuple[str, Literal["EC2", "SPOT"]], ...] = ((names.environment, "EC2"),)
    if options.spot:
        # The queue tries them in this order: on-demand instances take what spot cannot.
        kinds = ((names.spot_environment, "SPOT"), *kinds)
    return tuple(
        ComputeEnvironment(
            name,
            options.max_vcpus,
            SERVICE_ROLE,
            names.instance_role,
            network,
            kind=kind,
            instance_types=options.instance_types,
            launch_template=template.name if template else None,
        )
        for name, kind in kinds
    )
