"""`nextstrain setup aws-batch` on an account where others have made things already."""

import io
import re
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nextstrain_batch import cli
from nextstrain_batch.account import policies
from nextstrain_batch.account.options import Names
from nextstrain_batch.errors import AwsError, ConfigError
from nextstrain_batch.sandbox import manager
from nextstrain_batch.sandbox.layout import Layout
from sandbox_account import clients_of


@pytest.fixture
def endpoint(tmp_path_factory):
    # A new one for each test: moto gives a bucket the tags of an earlier one of the same name.
    home = tmp_path_factory.mktemp("sandbox")
    yield manager.administrator(home)
    manager.stop(home)


@pytest.fixture
def clients(endpoint):
    return clients_of(endpoint)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEXTSTRAIN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def setup(endpoint, home, monkeypatch, capsys):  # noqa: ARG001
    """Return the command as a function, with what `sandbox env --administrator` sets."""
    monkeypatch.setenv("NEXTSTRAIN_AWS_BATCH_S3_BUCKET", "our-jobs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret_key)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def command(*words):
        capsys.readouterr()
        code = cli.run(("setup", "aws-batch", *words))
        return code, capsys.readouterr().out

    return command


def test_a_dry_run_changes_nothing(setup, clients, home):
    """The plan is shown with what costs money marked, and nothing is made or written."""
    code, out = setup("--bucket=our-jobs", "--dry-run")
    assert code == 0
    assert "+ bucket our-jobs" in out
    assert "$ EC2 instances" in out
    assert clients("s3").list_buckets()["Buckets"] == []
    assert not (home / "config").exists()


def test_without_a_terminal_nothing_is_done_unasked(setup, clients):
    """Where nobody can answer, --yes is needed; without it the exit code is not 0."""
    code, _ = setup("--bucket=our-jobs")
    assert code == 1
    assert clients("s3").list_buckets()["Buckets"] == []


def test_a_trial_keeps_nothing_in_the_configuration_file(setup, home):
    """Where AWS is asked on this computer, one line tells what would have been written there."""
    (home / "config").write_text("[aws-batch]\ns3-bucket = real-jobs\njob = real\n")
    code, out = setup("--bucket=their-jobs", "--yes", "--max-vcpus=32", "--set-default")
    assert code == 0
    assert (home / "config").read_text() == "[aws-batch]\ns3-bucket = real-jobs\njob = real\n"
    (line,) = [each for each in out.splitlines() if "stays as it is" in each]
    assert "[aws-batch] s3-bucket = their-jobs, job = real; [core] runner = aws-batch." in line
    assert "build --aws-batch --aws-batch-s3-bucket=their-jobs --aws-batch-job=real <" in out


def test_the_choices_of_a_trial_are_kept_for_its_next_time_alone(setup, home):
    """The next trial knows them; a set-up on AWS with a bucket of that name does not."""
    setup("--bucket=our-jobs", "--yes", "--max-vcpus=32")
    code, out = setup("--yes")
    assert (code, "There is nothing to do." in out) == (0, True)
    assert not (home / "aws-batch" / "setup").exists()


def test_the_others_are_told_what_builds_need(setup):
    """What differs from what builds ask for by themselves is shown for them."""
    sizes = ("--vcpus=8", "--memory=30gib", "--image=ours/augur:2")
    code, out = setup("--bucket=our-jobs", "--yes", "--aws-batch-job=ours", *sizes)
    assert code == 0
    needed = (
        "    [aws-batch]\n    s3-bucket = our-jobs\n    job = ours\n    cpus = 8\n"
        "    memory = 30720\n    [docker]\n    image = ours/augur:2\n"
    )
    assert needed in out
    assert "us-east-1 as their AWS region" in out


@pytest.fixture
def theirs(clients):
    """Make a bucket, a log group and a policy as somebody else did."""
    s3, logs, iam = clients("s3"), clients("logs"), clients("iam")
    s3.create_bucket(Bucket="our-jobs")
    rule = {
        "ID": "mine",
        "Status": "Enabled",
        "Filter": {"Prefix": "keep/"},
        "Expiration": {"Days": 5},
    }
    s3.put_bucket_lifecycle_configuration(
        Bucket="our-jobs", LifecycleConfiguration={"Rules": [rule]}
    )
    logs.create_log_group(logGroupName="/aws/batch/job")
    iam.create_group(GroupName="NextstrainJobsUsers")
    return rule


def test_what_is_there_is_used_and_changed_only_with_consent(setup, clients, theirs):
    """--keep-existing leaves what others made; --yes completes it and leaves their additions."""
    setup("--bucket=our-jobs", "--yes", "--keep-existing")
    assert "retentionInDays" not in clients("logs").describe_log_groups()["logGroups"][0]
    _, out = setup("--bucket=our-jobs", "--yes")
    assert "~ log group /aws/batch/job  (not made by this command)" in out
    assert "events expire: never → after 30 days; what is older is deleted" in out
    assert clients("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 30
    rules = clients("s3").get_bucket_lifecycle_configuration(Bucket="our-jobs")["Rules"]
    assert [rule["ID"] for rule in rules] == [theirs["ID"], "expire-after-30-days"]
    _, out = setup("--bucket=our-jobs", "--yes")
    assert "There is nothing to do." in out


@pytest.mark.usefixtures("theirs")
def test_destroy_removes_only_what_setup_made(setup, clients):
    """What others made stays, whatever setup has changed of it; the rest goes."""
    setup("--bucket=our-jobs", "--yes")
    _, out = setup("--bucket=our-jobs", "--destroy", "--delete-data", "--yes")
    assert "bucket our-jobs: stays (it was not made by this command)" in out
    assert [each["Name"] for each in clients("s3").list_buckets()["Buckets"]] == ["our-jobs"]
    groups = clients("iam").list_groups()["Groups"]
    assert [each["GroupName"] for each in groups] == ["NextstrainJobsUsers"]
    assert clients("batch").describe_job_queues()["jobQueues"] == []
    assert clients("iam").list_policies(Scope="Local")["Policies"] == []


def test_a_bucket_with_files_stays_unless_told_otherwise(setup, clients):
    """Files are removed by --delete-data alone."""
    setup("--bucket=our-jobs", "--yes")
    clients("s3").put_object(Bucket="our-jobs", Key="results", Body=b"years of work")
    _, out = setup("--bucket=our-jobs", "--destroy", "--yes")
    assert "bucket our-jobs: stays (it holds 1 objects; --delete-data removes it" in out
    assert clients("s3").get_object(Bucket="our-jobs", Key="results")["ETag"]
    setup("--bucket=our-jobs", "--destroy", "--delete-data", "--yes")
    assert clients("s3").list_buckets()["Buckets"] == []


def test_a_log_group_with_logs_stays_unless_told_otherwise(setup, clients):
    """Every Batch job of the account logs there, so logs are removed by --delete-data alone."""
    setup("--bucket=our-jobs", "--yes")
    stream = {"logGroupName": "/aws/batch/job", "logStreamName": "theirs/default/1"}
    clients("logs").create_log_stream(**stream)
    event = {"timestamp": int(time.time() * 1000), "message": "ours"}
    clients("logs").put_log_events(**stream, logEvents=[event])
    _, out = setup("--bucket=our-jobs", "--destroy", "--yes")
    assert "log group /aws/batch/job: stays (it holds " in out
    assert "--delete-data removes it" in out
    assert clients("logs").get_log_events(**stream)["events"]
    setup("--bucket=our-jobs", "--destroy", "--delete-data", "--yes")
    assert clients("logs").describe_log_groups()["logGroups"] == []


def group_policies(clients):
    found = clients("iam").list_attached_group_policies(GroupName="NextstrainJobsUsers")
    return {
        each["PolicyName"].removeprefix("NextstrainJobsAccessTo")
        for each in found["AttachedPolicies"]
    }


def test_closer_limits_take_away_what_they_replace(setup, clients):
    """The group then has the one policy and not the other, and builds are told to tag jobs."""
    setup("--bucket=our-jobs", "--yes")
    assert group_policies(clients) == {"Batch", "Bucket", "Logs"}
    code, out = setup("--yes", "--own-jobs", "--own-prefixes")
    assert code == 0
    assert "with NextstrainJobsAccessToBatch" in out
    assert "    tag-jobs = true\n" in out
    assert group_policies(clients) == {"OwnJobs", "OwnPrefix", "Logs"}
    _, out = setup("--yes")
    assert "There is nothing to do." in out
    setup("--yes", "--no-own-jobs", "--no-own-prefixes")
    assert group_policies(clients) == {"Batch", "Bucket", "Logs"}
    setup("--destroy", "--delete-data", "--yes")
    assert clients("iam").list_policies(Scope="Local")["Policies"] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ("--spot", "--disk=200", "--allow=listing")),
        (("--spot", "--disk=200"), ("--no-spot", "--disk=500", "--max-vcpus=8")),
        ((), ("--instance-type=c7i", "--instance-type=r7i", "--vcpus=8", "--memory=30gib")),
        ((), ("--block-metadata", "--own-jobs", "--log-days=7", "--expire-days=60")),
        ((), ("--local-nvme", "--instance-type=m6id", "--time-limit=86400")),
        ((), ("--new-vpc", "--vpc-cidr=10.9.0.0/20")),
        (("--new-vpc",), ("--no-new-vpc",)),
    ],
)
def test_other_choices_change_what_is_there(setup, before, after):
    """Choices can be changed later: one run makes the changes, and the next has nothing to do."""
    setup("--bucket=our-jobs", "--yes", *before)
    code, out = setup("--yes", *after)
    assert (code, "There is nothing to do." in out) == (0, False)
    code, out = setup("--yes")
    assert (code, "There is nothing to do." in out) == (0, True), out


NETWORK = ("vpcs", "subnets", "route_tables", "internet_gateways", "security_groups")


def inventory(clients):
    """Return what there is in an account, in AWS's words, but for AWS's own role."""
    ec2, iam, batch = clients("ec2"), clients("iam"), clients("batch")
    found = {each: getattr(ec2, f"describe_{each}")() for each in (*NETWORK, "launch_templates")}
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    found["endpoints"] = [each for each in endpoints if each["State"].lower() != "deleted"]
    found["buckets"] = clients("s3").list_buckets()["Buckets"]
    found["logs"] = clients("logs").describe_log_groups()["logGroups"]
    found["groups"] = iam.list_groups()["Groups"]
    found["policies"] = iam.list_policies(Scope="Local")["Policies"]
    found["profiles"] = iam.list_instance_profiles()["InstanceProfiles"]
    roles = iam.list_roles()["Roles"]
    found["roles"] = [each for each in roles if each["RoleName"] != "AWSServiceRoleForBatch"]
    found["queues"] = batch.describe_job_queues()["jobQueues"]
    found["environments"] = batch.describe_compute_environments()["computeEnvironments"]
    found["definitions"] = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    for each in found.values():
        if isinstance(each, dict):
            del each["ResponseMetadata"]
    return found


@pytest.fixture
def their_network(clients):
    """Make a VPC that is called like ours, with all that belongs to one, as somebody else did."""
    ec2 = clients("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "nextstrain-jobs"}]}]
    made = ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    ec2.create_subnet(VpcId=made, CidrBlock="10.1.1.0/24")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=made, InternetGatewayId=gateway)
    ec2.create_security_group(VpcId=made, GroupName="nextstrain-jobs", Description="theirs")
    return made


@pytest.mark.usefixtures("their_network")
def test_destroy_leaves_nothing_but_what_it_did_not_make(setup, clients, home):
    """With everything that can be chosen, and though nobody tells it later what was chosen."""
    clients("iam").create_user(UserName="ada")
    clients("s3").create_bucket(Bucket="their-bucket")
    before = inventory(clients)
    choices = ["--spot", "--disk=99", "--own-prefixes", "--own-jobs", "--new-vpc", "--allow=images"]
    setup("--bucket=our-jobs", "--yes", *choices)
    assert before != inventory(clients)
    for each in Layout(home).root.rglob("our-jobs.toml"):
        each.unlink()
    code, out = setup("--bucket=our-jobs", "--destroy", "--yes")
    assert code == 0, out
    assert inventory(clients) == before


def test_what_somebody_put_into_the_new_vpc_keeps_it(setup, clients):
    """Nothing of theirs is removed; the error says what to do, and then it goes on."""
    setup("--bucket=our-jobs", "--yes", "--new-vpc")
    ec2 = clients("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["nextstrain-jobs"]}])[
        "Vpcs"
    ]
    subnet = ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.83.192.0/24")["Subnet"]
    with pytest.raises(AwsError, match="holds something that this command did not make"):
        setup("--destroy", "--yes")
    assert ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"]
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    code, out = setup("--destroy", "--yes")
    assert (code, "- VPC nextstrain-jobs" in out) == (0, True)


def test_addresses_of_a_vpc_that_is_there_are_not_changed(setup):
    """The plan shows the difference, and the error what can be done about it."""
    setup("--bucket=our-jobs", "--yes", "--new-vpc")
    _, out = setup("--vpc-cidr=10.9.0.0/16", "--dry-run")
    assert "addresses: 10.83.0.0/16 → 10.9.0.0/16" in out
    with pytest.raises(AwsError, match=r"--vpc-cidr=10\.83\.0\.0/16"):
        setup("--vpc-cidr=10.9.0.0/16", "--yes")


@pytest.mark.parametrize("other", ["--vpc=vpc-1", "--subnet=subnet-1", "--security-group=sg-1"])
def test_a_new_network_excludes_another_one(setup, other):
    """Two networks at once are an error that names the options."""
    with pytest.raises(ConfigError, match="--new-vpc excludes --vpc"):
        setup("--bucket=our-jobs", "--new-vpc", other, "--dry-run")


def test_the_network_that_was_named_last_counts(setup, home):
    """Naming one takes back the choice of another that was made earlier."""
    setup("--bucket=our-jobs", "--yes", "--new-vpc", "--vpc-cidr=10.9.0.0/16")
    kept = Layout(home).root / "setup" / "our-jobs.toml"
    assert 'vpc-cidr = "10.9.0.0/16"' in kept.read_text()
    _, out = setup("--dry-run", "--vpc=vpc-1")
    assert "in vpc-1; nothing may connect" in out
    kept.write_text('bucket = "our-jobs"\nvpc = "vpc-1"\nsubnets = ["subnet-1"]\n')
    _, out = setup("--dry-run", "--new-vpc", "--vpc-cidr=10.9.0.0/16")
    assert "There is nothing to do." in out


def where_queues_are(endpoint):
    """Return the regions that have a job queue."""
    regions = ("us-east-1", "eu-west-1")
    clients = [clients_of(replace(endpoint, region=region))("batch") for region in regions]
    queues = [client.describe_job_queues()["jobQueues"] for client in clients]
    return [region for region, found in zip(regions, queues, strict=True) if found]


def test_a_region_that_another_administrator_chose_is_where_everything_is(
    setup, endpoint, tmp_path
):
    """The file's region is made in, known later, and emptied, whatever the AWS settings say."""
    file = tmp_path / "their.toml"
    file.write_text('bucket = "our-jobs"\nregion = "eu-west-1"\n')
    _, out = setup(f"--file={file}", "--yes")
    assert "region eu-west-1" in out
    assert where_queues_are(endpoint) == ["eu-west-1"]
    file.unlink()
    _, out = setup("--bucket=our-jobs", "--yes")
    assert "There is nothing to do." in out
    code, out = setup("--bucket=our-jobs", "--destroy", "--yes")
    assert (code, where_queues_are(endpoint)) == (0, []), out


SECOND = ("--bucket=other-jobs", "--region=eu-west-1")


def our_iam(clients):
    found = inventory(clients)
    return {part: len(found[part]) for part in ("roles", "policies", "groups", "profiles")}


def bucket_of_jobs(clients):
    """Return the bucket that the job role's policy gives access to."""
    iam, arn = clients("iam"), f"arn:aws:iam::123456789012:policy/{Names.bucket_policy}"
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
    return ", ".join(policies.buckets(found["Document"]))


def test_a_second_set_up_is_told_what_it_would_break(setup, clients):
    """The plan marks the policy that the first one's jobs and users have, and can leave it."""
    setup("--yes")
    _, out = setup(*SECOND, "--dry-run")
    assert "! jobs and users of a set-up for the bucket our-jobs can no longer use it" in out
    setup(*SECOND, "--yes", "--keep-existing")
    assert bucket_of_jobs(clients) == "our-jobs"
    _, out = setup(*SECOND, "--yes")
    assert "~ policy NextstrainJobsAccessToBucket\n" in out
    assert bucket_of_jobs(clients) == "other-jobs"


def test_destroy_leaves_what_another_set_up_has_jobs_and_people_with(setup, clients, endpoint):
    """IAM's parts stay while their policy names another bucket; the region's own parts go."""
    setup("--yes")
    setup(*SECOND, "--yes", "--keep-existing")
    assert where_queues_are(endpoint) == ["us-east-1", "eu-west-1"]
    before = our_iam(clients)
    code, out = setup(*SECOND, "--destroy", "--yes")
    assert code == 0
    assert "role NextstrainJobsRole: stays (a set-up for the bucket our-jobs has it)" in out
    assert "- bucket other-jobs" in out
    assert (our_iam(clients), where_queues_are(endpoint)) == (before, ["us-east-1"])
    setup("--destroy", "--yes")
    assert set(our_iam(clients).values()) == {0}


def test_two_set_ups_with_names_of_their_own_leave_each_other_alone(setup, clients, tmp_path):
    """In one region, with the names that the documentation lists, and the log group in common."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "set-up-aws.md"
    (block,) = re.findall(r"^    bucket = .*?(?=^\S)", page.read_text(), re.DOTALL | re.MULTILINE)
    file = tmp_path / "second.toml"
    file.write_text(textwrap.dedent(block).replace("eu-west-1", "us-east-1"))
    choices = ("--disk=99", "--new-vpc", "--allow=images", "--own-jobs", "--own-prefixes", "--spot")
    setup("--yes", *choices)
    first = inventory(clients)
    _, out = setup(f"--file={file}", "--yes", *choices)
    assert "  ~ " not in out
    _, out = setup("--yes")
    assert "There is nothing to do." in out
    first["logs"] = []
    setup(f"--file={file}", "--destroy", "--yes")
    assert inventory(clients) == first
