"""What can be chosen of an account: names, sizes, network, permissions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from nextstrain_batch.errors import ConfigError
from nextstrain_batch.store.pins import EXPIRY

from . import policies
from .bundles import BUNDLES
from .vpc import DEFAULT_CIDR, checked_cidr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ALLOWABLE = ("images", "listing", "tags")

# CloudWatch Logs takes no others.
LOG_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)

SPOT_ATTEMPTS = 3
"""How often a job starts at most where a spot instance may be taken away from it."""


@dataclass(frozen=True)
class Names:
    """What the resources are called."""

    definition: str = "nextstrain-job"
    queue: str = "nextstrain-job-queue"
    environment: str = "nextstrain-jobs"
    spot_environment: str = "nextstrain-jobs-spot"
    instances: str = "nextstrain-jobs"
    """The instances' security group."""
    network: str = "nextstrain-jobs"
    """The VPC of its own, and all parts of it."""
    group: str = "NextstrainJobsUsers"
    role: str = "NextstrainJobsRole"
    instance_role: str = "NextstrainJobsInstanceRole"
    batch_policy: str = "NextstrainJobsAccessToBatch"
    bucket_policy: str = "NextstrainJobsAccessToBucket"
    logs_policy: str = "NextstrainJobsAccessToLogs"
    own_jobs_policy: str = "NextstrainJobsAccessToOwnJobs"
    own_prefix_policy: str = "NextstrainJobsAccessToOwnPrefix"
    images_policy: str = "NextstrainJobsAccessToImages"
    listing_policy: str = "NextstrainJobsAccessToListing"
    tags_policy: str = "NextstrainJobsAccessToTags"
    log_group: str = "/aws/batch/job"
    """Where AWS Batch sends logs unless a job definition says otherwise, as ours does not."""

    def optional_policy(self, key: str) -> str:
        """Return the name of the optional policy with a short name of ``ALLOWABLE``."""
        return {
            policies.IMAGES: self.images_policy,
            policies.LISTING: self.listing_policy,
            policies.TAGS: self.tags_policy,
        }[key]


@dataclass(frozen=True)
class Options:
    """What was chosen. Sizes are vCPUs, MiB, GiB, days and seconds as the names say."""

    bucket: str
    region: str
    max_vcpus: int = 256
    vcpus: int = 4
    memory_mib: int = 7200
    timeout_seconds: int = 14_400
    image: str = "nextstrain/base:latest"
    expire_days: int = EXPIRY.days
    log_days: int = 30
    instance_types: tuple[str, ...] = ("optimal",)
    spot: bool = False
    disk_gib: int | None = None
    local_nvme: bool = False
    new_vpc: bool = False
    """Make a VPC for the instances, instead of using one that is there."""
    vpc_cidr: str = DEFAULT_CIDR
    """That VPC's addresses."""
    vpc: str | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    """Of ``ALLOWABLE``: the optional policies for the group."""
    own_prefixes: bool = False
    """Keep each user to a prefix of their own in the bucket."""
    own_jobs: bool = False
    """Keep each user to jobs of their own when it comes to ending them."""
    block_metadata: bool = False
    """Keep jobs from the instances' metadata, and so from the instances' role."""
    names: Names = field(default_factory=Names)

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for what AWS would refuse, or what makes no sense."""
        for wrong in _mistakes(self):
            raise ConfigError(wrong)

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, as ARNs have it."""
        return policies.partition_of(self.region)

    @property
    def tags_jobs(self) -> bool:
        """Whether people are to tag their jobs: they must, or were given the right to."""
        return self.own_jobs or policies.TAGS in self.allow

    @property
    def own_vpc(self) -> str | None:
        """The name of the VPC that is made for the instances, if one is."""
        return self.names.network if self.new_vpc else None

    @property
    def attempts(self) -> int:
        """How often a job is started at most; again only after its spot instance was taken."""
        return SPOT_ATTEMPTS if self.spot else 1


def _mistakes(options: Options) -> list[str]:
    found = []
    if options.log_days not in LOG_DAYS:
        days = ", ".join(str(each) for each in LOG_DAYS)
        found.append(f"CloudWatch Logs cannot keep logs for {options.log_days} days, but {days}.")
    if options.expire_days < EXPIRY.days:
        found.append(
            f"Builds rely on objects of up to {EXPIRY.days} days, so none may expire sooner than"
            f" that: --expire-days={EXPIRY.days} is the least."
        )
    if options.timeout_seconds < 60:
        found.append("A job's time limit is at least 60 seconds.")
    if options.vcpus > options.max_vcpus:
        found.append(
            f"A job of {options.vcpus} vCPUs never fits into a maximum of {options.max_vcpus}."
        )
    if options.disk_gib is not None and not 30 <= options.disk_gib <= 16_384:
        found.append("The instances' disk has 30 to 16384 GiB.")
    if options.local_nvme and set(options.instance_types) <= BUNDLES.keys():
        found.append(
            f"Instances of the type `{options.instance_types[0]}` have no local NVMe disks."
            " Name types that have, such as --instance-type=m6id --instance-type=r6id."
        )
    found += _mistakes_of_network(options)
    if unknown := set(options.allow) - set(ALLOWABLE):
        found.append(f"There is no optional permission {min(unknown)}, but {', '.join(ALLOWABLE)}.")
    return found


def _mistakes_of_network(options: Options) -> Iterator[str]:
    if not options.new_vpc:
        if options.vpc_cidr != DEFAULT_CIDR:
            yield "A VPC's addresses are chosen when it is made: --vpc-cidr goes with --new-vpc."
        return
    checked_cidr(options.vpc_cidr)
    if options.vpc or options.subnets or options.security_groups:
        yield (
            "A new VPC has subnets and a security group of its own: --new-vpc excludes --vpc,"
            " --subnet and --security-group (in a file: new-vpc, vpc, subnets, security-groups)."
        )


def from_file(path: Path) -> dict[str, Any]:
    """Return what a TOML file says of ``Options``, by field.

    Keys are the options' names, ``max-vcpus = 512``; names are in a table ``[names]``. Raises
    ``ConfigError`` naming the file and what is wrong with it.
    """
    import tomllib

    try:
        found = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The file {path} cannot be read: {error}") from error
    names = found.pop("names", {})
    if not isinstance(names, dict):
        raise ConfigError(f"{path}: `names` is a table, `[names]`.")
    values = _checked(path, found, Options, ("names",))
    return values | ({"names": Names(**_checked(path, names, Names))} if names else {})


def to_toml(options: Options) -> str:
    """Return the choices that differ from the defaults, as ``from_file`` reads them."""
    default = Options(options.bucket, options.region)
    lines = ["# What `nextstrain setup aws-batch` was told; --file reads it."]
    lines += [f"bucket = {json.dumps(options.bucket)}", f"region = {json.dumps(options.region)}"]
    lines += _lines(options, default, ("bucket", "region", "names"))
    if options.names != default.names:
        lines += ["", "[names]", *_lines(options.names, default.names)]
    return "\n".join(lines) + "\n"


def _lines(
    chosen: Options | Names, default: Options | Names, without: tuple[str, ...] = ()
) -> list[str]:
    """Return a line for each value that is not the default; JSON's texts and lists are TOML's."""
    values = {each.name: getattr(chosen, each.name) for each in fields(chosen)}
    return [
        f"{name.replace('_', '-')} = {json.dumps(value)}"
        for name, value in values.items()
        if name not in without and value != getattr(default, name)
    ]


def _checked(
    path: Path, found: Mapping[str, Any], kind: type, excluded: tuple[str, ...] = ()
) -> dict[str, Any]:
    types = {each.name: str(each.type) for each in fields(kind) if each.name not in excluded}
    values = {}
    for key, value in found.items():
        name = key.replace("-", "_")
        if name not in types:
            raise ConfigError(
                f"{path}: there is no setting {key}.\n\nThere are: "
                + ", ".join(each.replace("_", "-") for each in sorted(types))
            )
        values[name] = _typed(path, key, value, types[name])
    return values


def _typed(path: Path, key: str, value: object, kind: str) -> object:
    expected: dict[str, tuple[type, str]] = {
        "str": (str, "a text"),
        "int": (int, "a whole number"),
        "bool": (bool, "true or false"),
        "tuple[str, ...]": (list, "a list of texts"),
    }
    wanted, words = expected[kind.removesuffix(" | None")]
    good = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    if good and isinstance(value, list):
        good = all(isinstance(each, str) for each in value)
    if good and isinstance(value, int) and not isinstance(value, bool):
        good = value > 0
    if not good:
        raise ConfigError(f"{path}: {key} needs {words}, not {value!r}.")
    return tuple(value) if isinstance(value, list) else value
