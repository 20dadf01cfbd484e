"""Whether a job of the requested size can ever run, and what disk it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.bundles import BUNDLES
from nextstrain_batch.account.kinds.environments import template_name
from nextstrain_batch.account.kinds.network import default_data, disk_gib
from nextstrain_batch.account.resources import GIB_BY_DEFAULT
from nextstrain_batch.aws_errors import error_code

from .computing import environments_of
from .finding import Check, failed, ok, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .finding import Finding, Subject

SIZE, INSTANCES, QUOTA, DISK = "size of jobs", "instances for it", "EC2 quota", "disk"

RESERVED = 0.97
"""The part of an instance's memory that jobs can have, about: the system and ECS take the rest."""
STANDARD_QUOTAS = {"EC2": "L-1216C47A", "SPOT": "L-34B43A08"}
"""vCPUs of running standard instances (A, C, D, H, I, M, R, T, Z)."""


def size(subject: Subject) -> Iterator[Finding]:
    """Compare with the maximum: no environment starts more than its maximum."""
    found = environments_of(subject)
    if not found:
        return
    most = max(int(each["computeResources"].get("maxvCpus", 0)) for each in found)
    wanted = f"{subject.cpus} vCPUs and {subject.memory_mib} MiB"
    if subject.cpus > most:
        remedy = f"Ask for less (--cpus), or {subject.mend} --max-vcpus={subject.cpus}."
        yield failed(SIZE, f"{wanted} never fit: the maximum is {most} vCPUs", remedy)
    else:
        yield ok(SIZE, f"{wanted}: {most // subject.cpus} such jobs at once at most")


def instances(subject: Subject) -> Iterator[Finding]:
    """Compare with the largest type, as a job runs on one instance."""
    types = sorted({each for found in environments_of(subject) for each in _types(found)})
    if not types:
        return
    bundles = [BUNDLES[each].largest for each in types if each in BUNDLES]
    named = [each for each in types if each not in BUNDLES]
    sizes = list(bundles)
    if named:
        sizes += _sizes(named, subject)
    fits = [
        (vcpus, mib)
        for vcpus, mib in sizes
        if vcpus >= subject.cpus and mib * RESERVED >= subject.memory_mib
    ]
    if fits:
        yield ok(INSTANCES, f"{', '.join(types)} have room for it")
    elif bundles:
        vcpus, mib = max(bundles)
        yield unknown(
            INSTANCES,
            f"{', '.join(types)}: up to {vcpus} vCPUs and {mib} MiB are certain; AWS chooses and"
            " changes which larger instances there are",
            f"{subject.mend} --instance-type=<larger ones> makes sure.",
        )
    elif sizes:
        vcpus, mib = max(sizes)
        yield failed(
            INSTANCES,
            f"no instance is that large: {', '.join(types)} have up to {vcpus} vCPUs and {mib} MiB",
            f"Ask for less, or {subject.mend} --instance-type=<larger ones>.",
        )
    else:
        yield unknown(INSTANCES, f"AWS says nothing about {', '.join(types)}")


def quota(subject: Subject) -> Iterator[Finding]:
    """Ask for the quotas: a new account may run few vCPUs, and jobs then wait for ever."""
    from botocore.exceptions import ClientError

    kinds = {str(each["computeResources"]["type"]) for each in environments_of(subject)}
    for kind in sorted(kinds & set(STANDARD_QUOTAS)):
        quotas = subject.place.client("service-quotas")
        try:
            answer = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=STANDARD_QUOTAS[kind])
        except ClientError as error:
            if error_code(error) in {"NotImplemented", "501"}:
                continue  # a stand-in for AWS, which has no quotas
            raise
        value = int(answer["Quota"]["Value"])
        word = "spot" if kind == "SPOT" else "on-demand"
        if value < subject.cpus:
            yield failed(
                QUOTA,
                f"the account may run {value} {word} vCPUs in {subject.place.region}, a job needs"
                f" {subject.cpus}",
                "Ask AWS for more: Service Quotas, Amazon EC2, Running"
                f" {'Spot' if kind == 'SPOT' else 'On-Demand'} Standard instances.",
            )
        else:
            yield ok(QUOTA, f"{value} {word} vCPUs in {subject.place.region}")


def disk(subject: Subject) -> Iterator[Finding]:
    """Read it from the launch templates."""
    found = environments_of(subject)
    sizes = [_disk(each["computeResources"], subject) for each in found]
    if not sizes:
        return
    least = min(sizes)
    more = "" if least > GIB_BY_DEFAULT else f"; {subject.mend} --disk=<GiB> gives big builds more"
    yield ok(DISK, f"{least} GiB an instance, shared by the jobs on it{more}")


def _types(environment: dict[str, Any]) -> list[str]:
    return [str(each) for each in environment["computeResources"].get("instanceTypes", ())]


def _sizes(types: list[str], subject: Subject) -> list[tuple[int, int]]:
    """Return vCPUs and MiB of types; a family stands for all its members."""
    values = [each if "." in each else f"{each}.*" for each in types]
    pages = (
        subject.place.client("ec2")
        .get_paginator("describe_instance_types")
        .paginate(Filters=[{"Name": "instance-type", "Values": values}])
    )
    return [
        (int(each["VCpuInfo"]["DefaultVCpus"]), int(each["MemoryInfo"]["SizeInMiB"]))
        for page in pages
        for each in page["InstanceTypes"]
    ]


def _disk(resources: dict[str, Any], subject: Subject) -> int:
    template = template_name(resources, subject.place)
    if not template:
        return GIB_BY_DEFAULT
    return disk_gib(default_data(template, subject.place)) or GIB_BY_DEFAULT


CHECKS = (Check(SIZE, size), Check(INSTANCES, instances), Check(QUOTA, quota), Check(DISK, disk))
