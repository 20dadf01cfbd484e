"""`nextstrain setup aws-batch` on an account where others have made things already."""

import io

import pytest

from nextstrain_batch import cli
from nextstrain_batch.config import read_config
from nextstrain_batch.sandbox import manager
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
    """Return the command as a function, with an administrator's keys in the environment."""
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


def test_the_settings_are_kept_for_builds_and_the_choices_for_the_next_time(setup, home):
    """Afterwards builds find the bucket, and setup remembers what it was told."""
    (home / "config").write_text("# mine\n[aws-batch]\ncpus = 8\n")
    setup("--bucket=our-jobs", "--yes", "--max-vcpus=32", "--set-default")
    found = read_config(home / "config")
    assert found.get("aws-batch", "s3-bucket").value == "our-jobs"
    assert found.get("core", "runner").value == "aws-batch"
    assert (home / "config").read_text().startswith("# mine\n[aws-batch]\ncpus = 8\n")
    code, out = setup("--yes")
    assert (code, "There is nothing to do." in out) == (0, True)


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ("--spot", "--disk=200", "--allow=listing")),
        (("--spot", "--disk=200"), ("--no-spot", "--disk=500", "--max-vcpus=8")),
        ((), ("--instance-type=c7i", "--instance-type=r7i", "--vcpus=8", "--memory=30gib")),
        ((), ("--block-metadata", "--own-prefixes", "--log-days=7", "--expire-days=60")),
        ((), ("--local-nvme", "--instance-type=m6id", "--time-limit=86400")),
    ],
)
def test_other_choices_change_what_is_there(setup, before, after):
    """Choices can be changed later: one run makes the changes, and the next has nothing to do."""
    setup("--bucket=our-jobs", "--yes", *before)
    code, out = setup("--yes", *after)
    assert (code, "There is nothing to do." in out) == (0, False)
    code, out = setup("--yes")
    assert (code, "There is nothing to do." in out) == (0, True), out
