"""What is kept for builds and for the next set-up, on an account of AWS."""

import io

import pytest

from nextstrain_batch.account.options import Options
from nextstrain_batch.account.place import Place
from nextstrain_batch.commands import setup_choices, setup_settings
from nextstrain_batch.config import read_config
from nextstrain_batch.ui import Ui


def unreachable(service):
    pytest.fail(f"{service} is not needed")


@pytest.fixture
def remember(asked):
    """Return what keeps the options that words choose, as a function from them to what is told."""

    def remember(*words, **variables):
        given = asked(*words, **variables)
        options = setup_choices.options(setup_choices.find(given), given)
        told = io.StringIO()
        place = Place(unreachable, options.region)
        setup_settings.remember(options, given, place, Ui(told, told))
        return told.getvalue()

    return remember


def test_the_settings_are_kept_for_builds_and_the_choices_for_the_next_time(remember, asked, home):
    """Afterwards builds find the bucket, setup knows what it was told, and the rest stays."""
    home.mkdir()
    (home / "config").write_text("# mine\n[aws-batch]\ncpus = 8\n")
    told = remember("--bucket=our-jobs", "--max-vcpus=32", "--set-default")
    found = read_config(home / "config")
    assert found.get("aws-batch", "s3-bucket").value == "our-jobs"
    assert found.get("core", "runner").value == "aws-batch"
    assert (home / "config").read_text().startswith("# mine\n[aws-batch]\ncpus = 8\n")
    assert f"The settings for builds are in {home / 'config'}.\n" in told
    assert "nextstrain build --aws-batch <directory>" in told
    assert setup_choices.find(asked())["max_vcpus"] == 32
    assert "as before" in remember()


def test_what_differs_from_what_builds_ask_for_is_kept(remember, home):
    """Sizes and image, likewise the closer limits' tags, also when they are given up again."""

    def tags_jobs():
        found = read_config(home / "config").get("aws-batch", "tag-jobs")
        return found and found.value

    remember("--bucket=our-jobs", "--vcpus=8", "--memory=30gib", "--image=ours/augur:2")
    found = read_config(home / "config")
    values = {key: found.get("aws-batch", key).value for key in ("s3-bucket", "cpus", "memory")}
    assert values == {"s3-bucket": "our-jobs", "cpus": "8", "memory": "30720"}
    assert found.get("docker", "image").value == "ours/augur:2"
    assert tags_jobs() is None
    remember("--own-jobs")
    assert tags_jobs() == "true"
    remember("--no-own-jobs")
    assert tags_jobs() == "false"


def test_sizes_that_were_chosen_and_given_up_do_not_stay(remember, home):
    """They were the last set-up's; what the user has set since is the user's."""
    remember("--bucket=our-jobs", "--vcpus=8", "--memory=30gib", "--image=ours/augur:2")
    text = (home / "config").read_text().replace("memory = 30720", "memory = 12345")
    (home / "config").write_text(text)
    remember("--vcpus=4", "--memory=7200mib", "--image=nextstrain/base:latest")
    found = read_config(home / "config")
    values = [found.get("aws-batch", key).value for key in ("cpus", "memory")]
    assert values == ["4", "12345"]
    assert found.get("docker", "image").value == "nextstrain/base"


def test_whoever_builds_in_another_region_is_warned(remember):
    """The choice of a region is kept, but builds take the AWS settings'."""
    told = remember("--bucket=our-jobs", "--region=eu-west-1", AWS_REGION="us-west-2")
    assert "builds look in the region us-west-2 (set by AWS_REGION)" in told
    assert "Set AWS_REGION=eu-west-1" in told
    assert "builds look in" not in remember("--bucket=our-jobs", AWS_REGION="eu-west-1")


def test_a_command_line_can_say_what_the_configuration_file_does_not():
    """As words that `nextstrain build` takes, where they differ from what it asks for itself."""
    plain = Options("our-jobs", "us-east-1")
    assert setup_settings.as_options(plain) == "--aws-batch-s3-bucket=our-jobs"
    other = Options("our-jobs", "us-east-1", vcpus=8, memory_mib=9000, image="a/b", own_jobs=True)
    assert setup_settings.as_options(other).split() == [
        "--aws-batch-s3-bucket=our-jobs",
        "--aws-batch-cpus=8",
        "--aws-batch-memory=9000",
        "--image=a/b",
        "--aws-batch-tag-jobs",
    ]
