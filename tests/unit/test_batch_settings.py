"""The settings of AWS Batch."""

import pytest

from nextstrain_batch.batch_settings import Given, region, resolve
from nextstrain_batch.config import BucketUrl, ConfigFile, Settings, read_config
from nextstrain_batch.errors import ConfigError

FILE = """\
[aws-batch]
job = file-job
queue = file-queue
s3-bucket = file-bucket
cpus = 2
memory = 2000
"""
ENVIRON = {
    "NEXTSTRAIN_AWS_BATCH_JOB": "env-job",
    "NEXTSTRAIN_AWS_BATCH_QUEUE": "env-queue",
    "NEXTSTRAIN_AWS_BATCH_S3_BUCKET": "s3://env-bucket/p/",
    "NEXTSTRAIN_AWS_BATCH_CPUS": "3",
    "NEXTSTRAIN_AWS_BATCH_MEMORY": "3000",
}


def settings(tmp_path, environ=None, text=""):
    path = tmp_path / "config"
    path.write_text(text)
    return Settings({"HOME": str(tmp_path), **(environ or {})}, read_config(path))


def values(batch):
    bucket = batch.bucket and str(batch.bucket.value)
    return (
        batch.job.value,
        batch.queue.value,
        bucket,
        batch.cpus.value,
        batch.memory_mib.value,
    )


def test_defaults(tmp_path):
    """Without any setting the names and sizes are the documented ones, and there is no bucket."""
    found = values(resolve(settings(tmp_path)))
    assert found == ("nextstrain-job", "nextstrain-job-queue", None, 4, 7200)


def test_every_source_in_its_order(tmp_path):
    """Each setting comes from the option, else the environment, else the file."""
    from_file = resolve(settings(tmp_path, text=FILE))
    assert values(from_file) == ("file-job", "file-queue", "s3://file-bucket", 2, 2000)
    assert from_file.queue.source.name.endswith("config, line 3")
    from_environment = resolve(settings(tmp_path, ENVIRON, FILE))
    assert values(from_environment) == ("env-job", "env-queue", "s3://env-bucket/p", 3, 3000)
    given = Given(job="j", queue="q", bucket="opt-bucket", cpus=9, memory_mib=9000)
    from_options = resolve(settings(tmp_path, ENVIRON, FILE), given)
    assert values(from_options) == ("j", "q", "s3://opt-bucket", 9, 9000)


def test_no_bucket_says_the_three_ways_to_set_it(tmp_path):
    """Without a bucket the error tells the option, the variable and the file's lines."""
    with pytest.raises(ConfigError) as caught:
        _ = resolve(settings(tmp_path)).required_bucket
    message = str(caught.value)
    for way in ("--aws-batch-s3-bucket", "NEXTSTRAIN_AWS_BATCH_S3_BUCKET", "s3-bucket ="):
        assert way in message


def test_the_sandbox_has_a_default_bucket(tmp_path):
    """In the sandbox a bucket need not be named, and one that is named counts."""
    assert resolve(settings(tmp_path), Given(sandbox=True)).required_bucket == BucketUrl(
        "nextstrain-jobs"
    )
    named = resolve(settings(tmp_path, text=FILE), Given(sandbox=True))
    assert named.required_bucket == BucketUrl("file-bucket")


@pytest.mark.parametrize(
    ("environ", "text", "given"),
    [
        ({"NEXTSTRAIN_AWS_BATCH_SANDBOX": "1"}, "", Given()),
        ({}, "[aws-batch]\nsandbox = true\n", Given()),
        ({}, "", Given(sandbox=True)),
    ],
)
def test_the_sandbox_switch(environ, text, given, tmp_path):
    """The option, the variable and the file each switch the sandbox on, and the option off."""
    assert resolve(settings(tmp_path, environ, text), given).sandbox.value is True
    assert resolve(settings(tmp_path, environ, text), Given(sandbox=False)).sandbox.value is False


def test_the_builds_size_is_the_jobs_size(tmp_path):
    """--cpus and --memory size the job, and part of a MiB counts as one."""
    batch = resolve(settings(tmp_path), Given(build_cpus=8, build_memory=1024**2 + 1))
    assert (batch.cpus.value, batch.memory_mib.value) == (8, 2)
    assert batch.cpus.source.name == "--cpus"


@pytest.mark.parametrize(
    ("environ", "text", "given"),
    [
        ({}, "", {"cpus": 3, "memory_mib": 3000}),
        ({k: v for k, v in ENVIRON.items() if k[-4:] in {"CPUS", "MORY"}}, "", {}),
        ({}, "[aws-batch]\ncpus = 3\nmemory = 3000\n", {}),
    ],
)
def test_a_batch_setting_of_any_source_wins_over_the_builds_size(environ, text, given, tmp_path):
    """--aws-batch-cpus and -memory win over --cpus and --memory, wherever they are set."""
    asked = Given(build_cpus=8, build_memory=1024**3, **given)
    batch = resolve(settings(tmp_path, environ, text), asked)
    assert (batch.cpus.value, batch.memory_mib.value) == (3, 3000)


def test_region_from_the_environment_then_the_profile_then_the_default(tmp_path):
    """The region is the environment's, else the profile's in ~/.aws/config, else us-east-1."""
    assert region(settings(tmp_path)).value == "us-east-1"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\ns3 =\n  region = no\n[profile lab]\nregion = eu-north-1\n"
        '[profile "my lab"]\nregion = eu-central-1\nsso_session = x\n'
    )
    assert region(settings(tmp_path)).value == "eu-west-1"
    assert region(settings(tmp_path, {"AWS_PROFILE": "lab"})).value == "eu-north-1"
    assert region(settings(tmp_path, {"AWS_PROFILE": "none"})).value == "us-east-1"
    assert region(settings(tmp_path, {"AWS_PROFILE": "my lab"})).value == "eu-central-1"
    both = {"AWS_PROFILE": "none", "AWS_DEFAULT_PROFILE": "lab"}
    assert region(settings(tmp_path, both)).value == "eu-north-1", "as botocore takes the keys"
    (tmp_path / ".aws" / "credentials").write_text("[lab]\nregion = us-west-1\n")
    assert region(settings(tmp_path, {"AWS_PROFILE": "lab"})).value == "us-west-1"
    environ = {"AWS_DEFAULT_REGION": "us-west-2"}
    assert region(settings(tmp_path, environ)).value == "us-west-2"
    environ["AWS_REGION"] = "us-east-2"
    assert region(settings(tmp_path, environ)).value == "us-east-2"


def test_the_aws_config_file_can_be_elsewhere(tmp_path):
    """AWS_CONFIG_FILE names the file that the region is looked up in."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("[default]\nregion = sa-east-1\n")
    found = region(Settings({"AWS_CONFIG_FILE": str(elsewhere)}, ConfigFile(tmp_path)))
    assert found.value == "sa-east-1"
    assert str(found.source) == "set by the AWS profile default"


def test_jobs_are_tagged_only_where_that_is_asked_for(tmp_path):
    """By the option, else the environment, else the file; off otherwise."""
    text, on = "[aws-batch]\ntag-jobs = true\n", {"NEXTSTRAIN_AWS_BATCH_TAG_JOBS": "1"}
    off = {"NEXTSTRAIN_AWS_BATCH_TAG_JOBS": "0"}
    assert not resolve(settings(tmp_path)).tag_jobs.value
    assert resolve(settings(tmp_path, on)).tag_jobs.value
    assert resolve(settings(tmp_path, text=text)).tag_jobs.value
    assert not resolve(settings(tmp_path, off, text)).tag_jobs.value
    assert resolve(settings(tmp_path, off), Given(tag_jobs=True)).tag_jobs.value
    assert not resolve(settings(tmp_path, on, text), Given(tag_jobs=False)).tag_jobs.value
