"""What can be chosen of an account."""

import dataclasses

import pytest

from nextstrain_batch.account import userdata
from nextstrain_batch.account.options import ALLOWABLE, Names, Options, from_file, to_toml
from nextstrain_batch.account.resources import LaunchTemplate, account, everything
from nextstrain_batch.account.vpc import Subnets, Vpc, blocks, checked_cidr
from nextstrain_batch.errors import ConfigError
from nextstrain_batch.store.pins import EXPIRY

MANY = Options(
    "our-jobs",
    "eu-central-1",
    max_vcpus=512,
    memory_mib=31_000,
    instance_types=("m7i", 'r7i"'),
    spot=True,
    disk_gib=200,
    allow=("listing",),
    names=Names(queue="another-queue"),
)


NETWORK = Options("our-jobs", "us-east-1", new_vpc=True, vpc_cidr="10.9.0.0/16")


@pytest.mark.parametrize("options", [Options("our-jobs", "us-east-1"), MANY, NETWORK])
def test_choices_come_back_from_the_file_that_keeps_them(tmp_path, options):
    """What is kept of a set-up, read again, makes the same choices."""
    path = tmp_path / "setup.toml"
    path.write_text(to_toml(options))
    assert Options(**from_file(path)) == options


def test_only_what_differs_from_the_defaults_is_kept():
    """Defaults that change in a later version reach accounts that were set up with them."""
    kept = to_toml(Options("our-jobs", "us-east-1", max_vcpus=8)).splitlines()
    assert kept[1:] == ['bucket = "our-jobs"', 'region = "us-east-1"', "max-vcpus = 8"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("max-vcpu = 3", "max-vcpu"),
        ("max-vcpus = 'many'", "whole number"),
        ("max-vcpus = true", "whole number"),
        ("max-vcpus = 0", "whole number"),
        ("spot = 1", "true or false"),
        ("subnets = 'subnet-1'", "list of texts"),
        ("subnets = [1]", "list of texts"),
        ("names = 'zika'", "[names]"),
        ("[names]\nqueu = 'zika'", "queu"),
        ("max-vcpus =", "setup.toml"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path, text, word):
    """An error about a file says which file, and what is wrong in it."""
    path = tmp_path / "setup.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        from_file(path)
    assert word in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("choices", "word"),
    [
        ({"log_days": 10}, "10 days"),
        ({"timeout_seconds": 59}, "60 seconds"),
        ({"vcpus": 300}, "never fits"),
        ({"disk_gib": 8}, "30 to"),
        ({"local_nvme": True}, "NVMe"),
        ({"allow": ("everything",)}, "everything"),
        ({"new_vpc": True, "vpc": "vpc-1"}, "excludes --vpc"),
        ({"new_vpc": True, "subnets": ("subnet-1",)}, "excludes --vpc"),
        ({"new_vpc": True, "security_groups": ("sg-1",)}, "excludes --vpc"),
        ({"vpc_cidr": "10.1.0.0/16"}, "goes with --new-vpc"),
        ({"new_vpc": True, "vpc_cidr": "10.1.0.0"}, "from a /16 to a /26"),
        ({"new_vpc": True, "vpc_cidr": "10.1.0.0/8"}, "has host bits set"),
        ({"new_vpc": True, "vpc_cidr": "10.1.0.0/27"}, "from a /16 to a /26"),
        ({"new_vpc": True, "vpc_cidr": "8.8.0.0/16"}, "private"),
        ({"new_vpc": True, "vpc_cidr": "mine"}, "no addresses"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(choices, word):
    """Choices that cannot work are an error before anything is made."""
    with pytest.raises(ConfigError, match=word):
        Options("our-jobs", "us-east-1", **choices)


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "192.168.3.0/24", "172.20.0.64/26"])
def test_a_new_network_is_divided_among_its_subnets(cidr):
    """Each has a quarter of the addresses, and none of another's."""
    import ipaddress

    found = [ipaddress.ip_network(each) for each in blocks(checked_cidr(cidr))]
    assert len(found) == 4
    assert list(ipaddress.collapse_addresses(found)) == [ipaddress.ip_network(cidr)]


def test_whatever_was_chosen_a_new_network_is_looked_for():
    """So that a set-up that nobody remembers can be taken away."""
    for choices in ({}, {"vpc": "vpc-1", "subnets": ("subnet-1",)}, {"security_groups": ("sg-1",)}):
        found = everything(Options("our-jobs", "us-east-1", **choices))
        assert len(found.of(Vpc)) == len(found.of(Subnets)) == 1


def test_spot_comes_first_and_on_demand_after():
    """With spot, a queue tries spot instances first, and jobs survive their loss."""
    found = account(Options("our-jobs", "us-east-1", spot=True))
    queue, definition = found.resources[-2:]
    assert queue.environments == ("nextstrain-jobs-spot", "nextstrain-jobs")
    assert definition.attempts == 3


def test_a_launch_template_that_differs_has_another_name():
    """An environment sees by the name that its template is not the desired one."""
    names = {LaunchTemplate.named("a", *content).name for content in [(30, None), (31, None)]}
    assert len(names) == 2
    assert LaunchTemplate.named("a", 30, None) == LaunchTemplate.named("a", 30, None)


def test_a_launch_template_is_known_to_be_of_a_name():
    """Not one of another set-up whose name begins alike: --destroy goes by it."""
    made = LaunchTemplate.named("jobs", 30, None).name
    assert LaunchTemplate.is_named(made, "jobs")
    other = LaunchTemplate.named("jobs-eu", 30, None).name
    assert (LaunchTemplate.is_named(other, "jobs"), other.startswith("jobs-")) == (False, True)


def test_a_second_set_up_can_have_names_of_its_own():
    """Whatever is chosen, two accounts share nothing but what AWS has one of."""
    fields = [each.name for each in dataclasses.fields(Names) if each.name != "log_group"]
    other = Names(**{name: f"second-{name}" for name in fields})
    choices = {"allow": ALLOWABLE, "own_prefixes": True, "own_jobs": True}
    choices |= {"new_vpc": True, "spot": True, "disk_gib": 99}
    first, second = (
        {(each.noun, each.name) for each in account(options).resources}
        for options in (
            Options("our-jobs", "us-east-1", **choices),
            Options("other-jobs", "us-east-1", **choices, names=other),
        )
    )
    shared = {("service role", "AWSServiceRoleForBatch"), ("log group", "/aws/batch/job")}
    assert first & second == shared


def test_user_data_is_a_mime_document():
    """AWS Batch accepts user data only as MIME parts, and none is made where nothing has to run."""
    import email

    assert userdata.multipart(local_nvme=False, block_metadata=False) is None
    message = email.message_from_string(userdata.multipart(local_nvme=True, block_metadata=True))
    metadata, disks = message.get_payload()
    for part in (metadata, disks):
        assert part.get_content_type() == "text/cloud-boothook"
    assert "/var/lib/docker" in disks.get_payload()
    assert "169.254.169.254" in metadata.get_payload()


def test_nothing_may_expire_that_is_relied_on():
    """An expiry below what uploads rely on is refused, and the least one is named."""
    Options("our-jobs", "us-east-1", expire_days=EXPIRY.days)
    with pytest.raises(ConfigError, match=f"--expire-days={EXPIRY.days}"):
        Options("our-jobs", "us-east-1", expire_days=EXPIRY.days - 1)
