"""The command line of ``nextstrain setup``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextstrain_batch.arguments import checked, count
from nextstrain_batch.quantities import mebibytes, parse_bytes

if TYPE_CHECKING:
    from argparse import Namespace

    from nextstrain_batch.arguments import Group, Parser

DESCRIPTION = """\
Makes an AWS account ready for builds: bucket, permissions, compute environment, queue, job
definition, log group. It first shows what it will do, with a `$` before what costs money, and asks.
It may be run again at any time, goes on where it was interrupted, and takes over what is there.

It needs an administrator's credentials. Whoever launches builds does not: add those people to the
group that it makes.
"""


def add_arguments(parser: Parser) -> None:
    """Add every option."""
    parser.add_argument(
        "runtime", metavar="<runtime>", choices=["aws-batch"], help="What to set up: aws-batch."
    )
    _add_action(parser.add_argument_group("what to do"))
    _add_sizes(parser.add_argument_group("sizes and times"))
    _add_instances(parser.add_argument_group("instances"))
    _add_permissions(parser.add_argument_group("permissions"))
    _add_names(parser.add_argument_group("names and places"))


def _add_action(group: Group) -> None:
    add = group.add_argument
    add("--dry-run", action="store_true", help="Show what would be done, and stop.")
    add("--yes", action="store_true", help="Do not ask.")
    add(
        "--keep-existing",
        action="store_true",
        help="Make what is missing, and leave what is there and differs as it is.",
    )
    add(
        "--destroy",
        action="store_true",
        help="Remove what this command has made. A bucket that holds files stays.",
    )
    add(
        "--delete-data",
        action="store_true",
        help="With --destroy: remove the bucket with its files, and the logs.",
    )
    add(
        "--export",
        choices=["cloudformation", "policies"],
        help="Print the account as a CloudFormation template, or its permissions as JSON, instead;"
        " speaks to nobody.",
    )
    add(
        "--sandbox",
        action="store_true",
        default=None,
        help="Set up the account of the embedded AWS on this computer.",
    )
    add(
        "--set-default",
        action="store_true",
        help="Also make aws-batch the runtime of builds that name none.",
    )
    add(
        "--file",
        metavar="<path>",
        type=Path,
        help="Take choices from a TOML file, such as `max-vcpus = 512`; options win.",
    )


def _add_sizes(group: Group) -> None:
    def add(name: str, unit: str, text: str) -> None:
        group.add_argument(name, metavar=f"<{unit}>", type=checked(count), help=text)

    add("--max-vcpus", "count", "vCPUs that all jobs have together at most; default: 256.")
    add(
        "--vcpus",
        "count",
        "vCPUs of a job where its builder's settings say no other number; default: 4.",
    )
    group.add_argument(
        "--memory",
        metavar="<amount>",
        type=checked(parse_bytes),
        help="Memory of a job likewise, such as 16gib; default: 7200 MiB.",
    )
    add("--time-limit", "seconds", "After which a job is ended; default: 14400, four hours.")
    add("--expire-days", "days", "After which objects in the bucket expire; default and least: 30.")
    add("--log-days", "days", "After which jobs' logs expire; default: 30.")


def _add_instances(group: Group) -> None:
    add = group.add_argument
    add(
        "--instance-type",
        dest="instance_types",
        metavar="<type>",
        action="append",
        help="A type or family such as c7i or r7i.4xlarge; default: optimal. Repeatable.",
    )
    add(
        "--spot",
        action="store_true",
        default=None,
        help="Spot instances first, which cost about a third and may be taken away (the job then"
        " starts again, up to three times); on-demand ones when there are none.",
    )
    add("--no-spot", dest="spot", action="store_false", default=None, help="On-demand ones only.")
    add(
        "--disk",
        dest="disk_gib",
        metavar="<GiB>",
        type=checked(count),
        help="Disk of an instance, which its jobs share; default: 30, too small for big builds.",
    )
    add(
        "--local-nvme",
        action="store_true",
        default=None,
        help="Keep jobs' files on the instances' own disks; takes types that have them.",
    )
    add(
        "--new-vpc",
        action="store_true",
        default=None,
        help="Make a network (VPC) for the instances alone: public subnets in up to three zones, an"
        " internet gateway, an S3 endpoint. Nothing may connect to the instances.",
    )
    add(
        "--no-new-vpc",
        dest="new_vpc",
        action="store_false",
        default=None,
        help="Use one that is there again; the new one stays until --destroy.",
    )
    add("--vpc-cidr", metavar="<addresses>", help="With --new-vpc; default: 10.83.0.0/16.")
    add("--vpc", metavar="<id>", help="The network; default: the account's default VPC.")
    add(
        "--subnet",
        dest="subnets",
        metavar="<id>",
        action="append",
        help="Only in this part of the network. Repeatable; default: all of them.",
    )
    add(
        "--security-group",
        dest="security_groups",
        metavar="<id>",
        action="append",
        help="For the instances, instead of one of their own that lets nothing in. Repeatable.",
    )


def _add_permissions(group: Group) -> None:
    add = group.add_argument
    add(
        "--allow",
        metavar="<what>",
        action="append",
        choices=["images", "listing", "tags"],
        help="Let the group do more than builds need: `images` (--image), `listing` (list jobs,"
        " see why they wait), `tags` (tag jobs). Repeatable.",
    )
    add(
        "--own-prefixes",
        action="store_true",
        default=None,
        help="Keep each user to s3://<bucket>/users/<their name>/.",
    )
    add(
        "--no-own-prefixes",
        dest="own_prefixes",
        action="store_false",
        default=None,
        help="Let everybody in the group reach all of the bucket; the default.",
    )
    add(
        "--own-jobs",
        action="store_true",
        default=None,
        help="Let each user end their own jobs only. Jobs then have to be tagged (the setting"
        " `tag-jobs`).",
    )
    add(
        "--no-own-jobs",
        dest="own_jobs",
        action="store_false",
        default=None,
        help="Let everybody in the group end anybody's jobs; the default.",
    )
    add(
        "--block-metadata",
        action="store_true",
        default=None,
        help="Keep jobs from the instances' metadata, and so from the instances' role.",
    )


def _add_names(group: Group) -> None:
    add = group.add_argument
    add("--bucket", metavar="<name>", help="The bucket's name, which nobody else on AWS may have.")
    add("--region", metavar="<region>", help="Default: the one of your AWS settings.")
    add(
        "--image",
        metavar="<image>",
        help="The image of jobs, likewise; default: nextstrain/base:latest.",
    )
    add("--aws-batch-job", metavar="<name>", help="The job definition; default: nextstrain-job.")
    add("--aws-batch-queue", metavar="<name>", help="The queue; default: nextstrain-job-queue.")


DIRECT = (
    *("max_vcpus", "vcpus", "expire_days", "log_days", "instance_types", "spot", "disk_gib"),
    *(
        "local_nvme",
        "new_vpc",
        "vpc_cidr",
        "vpc",
        "subnets",
        "security_groups",
        "allow",
        "own_prefixes",
    ),
    *("own_jobs", "block_metadata", "image", "region"),
)
"""The options whose values are a choice as they are."""


def given(arguments: Namespace) -> dict[str, Any]:
    """Return the choices that the command line makes, by field of ``Options``."""
    found = {name: getattr(arguments, name) for name in DIRECT}
    found["timeout_seconds"] = arguments.time_limit
    if arguments.memory is not None:
        found["memory_mib"] = mebibytes(arguments.memory)
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in found.items()
        if value is not None
    }
