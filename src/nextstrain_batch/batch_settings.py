"""The settings of AWS Batch: their names, defaults and sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch.config import BucketUrl, Name, Setting, Source
from nextstrain_batch.errors import ConfigError
from nextstrain_batch.quantities import mebibytes

if TYPE_CHECKING:
    from nextstrain_batch.config import Settings

SECTION = "aws-batch"
JOB = Name(SECTION, "job", "--aws-batch-job", "NEXTSTRAIN_AWS_BATCH_JOB")
QUEUE = Name(SECTION, "queue", "--aws-batch-queue", "NEXTSTRAIN_AWS_BATCH_QUEUE")
BUCKET = Name(SECTION, "s3-bucket", "--aws-batch-s3-bucket", "NEXTSTRAIN_AWS_BATCH_S3_BUCKET")
CPUS = Name(SECTION, "cpus", "--aws-batch-cpus", "NEXTSTRAIN_AWS_BATCH_CPUS")
MEMORY = Name(SECTION, "memory", "--aws-batch-memory", "NEXTSTRAIN_AWS_BATCH_MEMORY")
TAG_JOBS = Name(SECTION, "tag-jobs", "--aws-batch-tag-jobs", "NEXTSTRAIN_AWS_BATCH_TAG_JOBS")
SANDBOX = Name(SECTION, "sandbox", "--sandbox", "NEXTSTRAIN_AWS_BATCH_SANDBOX")

DEFAULT_JOB = "nextstrain-job"
DEFAULT_QUEUE = "nextstrain-job-queue"
DEFAULT_CPUS = 4
DEFAULT_MEMORY_MIB = 7200
SANDBOX_BUCKET = BucketUrl("nextstrain-jobs")


@dataclass(frozen=True)
class Given:
    """What the command line says about AWS Batch; None where it says nothing."""

    job: str | None = None
    queue: str | None = None
    bucket: str | None = None
    cpus: int | None = None
    memory_mib: int | None = None
    sandbox: bool | None = None
    tag_jobs: bool | None = None
    build_cpus: int | None = None
    """``--cpus``, which sizes the job unless an AWS Batch setting does."""
    build_memory: int | None = None
    """``--memory`` in bytes, likewise."""


@dataclass(frozen=True)
class BatchSettings:
    """How to reach AWS Batch, and the size of the job."""

    job: Setting[str]
    queue: Setting[str]
    bucket: Setting[BucketUrl] | None
    """None where nothing names it; see ``required_bucket``."""
    cpus: Setting[int]
    memory_mib: Setting[int]
    region: Setting[str]
    sandbox: Setting[bool]
    tag_jobs: Setting[bool]
    """Whether jobs say whose they are, which takes a permission of its own."""
    config_file: Path
    """The file that could set them."""

    @property
    def required_bucket(self) -> BucketUrl:
        """The bucket, or ``ConfigError`` with the ways to set it."""
        if self.bucket is None:
            raise ConfigError(_NO_BUCKET.format(file=self.config_file))
        return self.bucket.value


_NO_BUCKET = f"""\
There is no S3 bucket that builds are sent through: none is set, and there is no default.

Name it in one of these three ways, as `name`, `s3://name` or `s3://name/prefix/`:

  1. for one command, the option {BUCKET.option}=<bucket>
  2. for this shell              export {BUCKET.variable}=<bucket>
  3. for good, in the file       {{file}}
                                 [{BUCKET.section}]
                                 {BUCKET.key} = <bucket>

To try it without an AWS account, add --sandbox instead."""


def resolve(settings: Settings, given: Given = Given()) -> BatchSettings:
    """Look every setting up. Raises ``ConfigError`` for a malformed one, naming its source."""
    sandbox = settings.flag(SANDBOX, option=given.sandbox)
    bucket = settings.bucket(BUCKET, given.bucket)
    if bucket is None and sandbox.value:
        bucket = Setting(SANDBOX_BUCKET)
    return BatchSettings(
        job=settings.text(JOB, given.job) or Setting(DEFAULT_JOB),
        queue=settings.text(QUEUE, given.queue) or Setting(DEFAULT_QUEUE),
        bucket=bucket,
        cpus=_cpus(settings, given),
        memory_mib=_memory(settings, given),
        region=region(settings),
        sandbox=sandbox,
        tag_jobs=settings.flag(TAG_JOBS, option=given.tag_jobs),
        config_file=settings.file.path,
    )


def _cpus(settings: Settings, given: Given) -> Setting[int]:
    """Return the job's vCPUs: an AWS Batch setting of whatever source wins over ``--cpus``."""
    if own := settings.number(CPUS, given.cpus):
        return own
    if given.build_cpus:
        return Setting(given.build_cpus, Source("option", "--cpus"))
    return Setting(DEFAULT_CPUS)


def _memory(settings: Settings, given: Given) -> Setting[int]:
    """Return the job's memory in MiB, likewise; part of a MiB counts as one."""
    if own := settings.number(MEMORY, given.memory_mib):
        return own
    if given.build_memory:
        return Setting(mebibytes(given.build_memory), Source("option", "--memory"))
    return Setting(DEFAULT_MEMORY_MIB)


def region(settings: Settings) -> Setting[str]:
    """Return the AWS region: from the environment, AWS's profile, else us-east-1.

    botocore alone would miss ``AWS_REGION``, which AWS's other tools read first.
    """
    environ = settings.environ
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if value := environ.get(variable):
            return Setting(value, Source("environment", variable))
    from nextstrain_batch.direct_settings import DEFAULT_REGION, profile_name, profile_region

    if "HOME" not in environ:
        environ = {"HOME": str(Path.home()), **environ}
    if value := profile_region(environ):
        profile = profile_name(environ) or "default"
        return Setting(value, Source("file", f"the AWS profile {profile}"))
    return Setting(DEFAULT_REGION)
