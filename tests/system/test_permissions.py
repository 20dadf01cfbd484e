"""What users read when their policies, or the job's role, lack an action of the documented ones."""

import json
import re
import time
from pathlib import Path

import pytest

from nextstrain_batch.account import policies
from nextstrain_batch.sandbox import journal, manager, member
from nextstrain_batch.sandbox.layout import Layout

SANDBOX = ("build", "--aws-batch", "--sandbox")
USER, GROUP, ROLE = member.USER, "NextstrainJobsUsers", "NextstrainJobsRole"
ACCOUNT = "123456789012"

DOCUMENTED = {
    "NextstrainJobsAccessToBatch": policies.batch(),
    "NextstrainJobsAccessToBucket": policies.bucket(manager.BUCKET),
    "NextstrainJobsAccessToLogs": policies.logs("/aws/batch/job"),
}
GRANTED_BY = {
    action: name
    for name, document in DOCUMENTED.items()
    for statement in policies.statements(document)
    for action in statement["Action"]
}
"""Each action, and the policy that grants it."""

UNUSED = {
    "batch:CancelJob",
    "batch:DescribeJobQueues",
    "batch:TerminateJob",
    "logs:DeleteLogStream",
    "logs:FilterLogEvents",
}
"""What a build that neither fails to be submitted nor is cancelled does without."""
DEGRADED = {
    "logs:GetLogEvents": "The log cannot be shown as it grows.",
    "s3:DeleteObject": "The values given with --env stay in the bucket",
}
"""What a build misses, and says in one line, but goes on without."""


class Account:
    """The sandbox's account, as its administrator changes it."""

    def __init__(self, home):
        self.layout = Layout(home)
        self.clients = member.Clients(manager.administrator(home))
        self.iam = self.clients("iam")

    def calls(self, since):
        return list(journal.read(self.layout.journal, since))

    def by_user(self, since):
        return [call for call in self.calls(since) if call.caller.endswith(f":user/{USER}")]

    def let_user(self, *, do_without=()):
        """Give the user the documented policies, but for some actions, outside its group."""
        self.iam.remove_user_from_group(GroupName=GROUP, UserName=USER)
        for name, document in DOCUMENTED.items():
            left = without(document, do_without)
            if left is not None:
                self.iam.put_user_policy(UserName=USER, PolicyName=name, PolicyDocument=left)

    def let_jobs(self, *, do_without=()):
        """The same for the jobs' role."""
        name = "NextstrainJobsAccessToBucket"
        self.iam.detach_role_policy(RoleName=ROLE, PolicyArn=arn(name))
        document = without(DOCUMENTED[name], do_without)
        self.iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=document)

    def mend(self):
        """Put everything back."""
        self.iam.add_user_to_group(GroupName=GROUP, UserName=USER)
        for name in self.iam.list_user_policies(UserName=USER)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=USER, PolicyName=name)
        for name in self.iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
            self.iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
        self.iam.attach_role_policy(RoleName=ROLE, PolicyArn=arn("NextstrainJobsAccessToBucket"))


def arn(name):
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def without(document, actions):
    """Return a document without some of its actions; None when nothing is left."""
    found = json.loads(document)
    for statement in found["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each not in actions]
    return json.dumps(found) if all(each["Action"] for each in found["Statement"]) else None


@pytest.fixture
def account(nextstrain):
    found = Account(Path(nextstrain.environment["NEXTSTRAIN_HOME"]))
    yield found
    found.mend()


@pytest.fixture
def build(nextstrain, tmp_path):
    """Return a small build that uses all that builds use: an environment, a log, a result."""
    directory = tmp_path / "small"
    directory.mkdir()
    (directory / "given").write_text(str(tmp_path))
    script = "echo from the job; mkdir results; cat given > results/made"

    def run():
        return nextstrain(
            *SANDBOX, "--env", "SECRET", "--exec", "sh", directory, "-c", script,
            env={"SECRET": "x"},
        )  # fmt: skip

    run.result = directory / "results" / "made"
    return run


def test_with_the_three_documented_policies_and_no_more_a_build_passes(account, build):
    """The user is a member of the group, and has nothing of its own; nothing is denied."""
    iam, started = account.iam, time.time()
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName=USER)["Groups"]] == [
        GROUP
    ]
    assert not iam.list_user_policies(UserName=USER)["PolicyNames"]
    assert not iam.list_attached_user_policies(UserName=USER)["AttachedPolicies"]
    assert not iam.list_group_policies(GroupName=GROUP)["PolicyNames"]
    attached = iam.list_attached_group_policies(GroupName=GROUP)["AttachedPolicies"]
    assert {each["PolicyName"] for each in attached} == DOCUMENTED.keys()
    for each in attached:
        version = iam.get_policy_version(PolicyArn=each["PolicyArn"], VersionId="v1")
        document = version["PolicyVersion"]["Document"]
        assert policies.same(document, DOCUMENTED[each["PolicyName"]])
    done = build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert build.result.exists()
    assert not [call for call in account.calls(started) if call.error]
    asked = {call.action for call in account.by_user(started)}
    assert GRANTED_BY.keys() - asked == UNUSED
    assert asked <= GRANTED_BY.keys()


def test_what_a_build_does_not_use_it_does_not_miss(account, build):
    """Without all of these actions at once it passes, and never asked for one."""
    account.let_user(do_without=UNUSED)
    started = time.time()
    done = build()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert build.result.exists()
    assert UNUSED.isdisjoint(call.action for call in account.by_user(started))


@pytest.mark.parametrize("action", sorted(GRANTED_BY.keys() - UNUSED - DEGRADED.keys()))
def test_what_a_build_cannot_do_without(account, build, action):
    """It ends with 1, and says which action is denied, which policy grants it, and what to do."""
    account.let_user(do_without={action})
    started = time.time()
    done = build()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    first, _, rest = done.stderr.partition("\n")
    assert re.match(r"nextstrain: error: Cannot .*: AWS denies it ", first)
    assert f"({action})" in first
    assert f"The policy {GRANTED_BY[action]} grants it" in rest
    assert f"not authorized to perform: {action} on resource" in rest
    refused = [call for call in account.by_user(started) if call.error]
    assert {call.action for call in refused} == {action}


@pytest.mark.parametrize("action", sorted(DEGRADED))
def test_what_a_build_can_do_without(account, build, action):
    """It says so in one line that names the action, and brings its results and log all the same."""
    account.let_user(do_without={action})
    done = build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert build.result.exists()
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("warning: ")
    assert action in warning
    assert DEGRADED[action] in warning
    assert len(re.findall(r"from the job$", done.stdout, re.MULTILINE)) == 1


@pytest.mark.parametrize(
    ("action", "exit_code"), [("s3:GetObject", 73), ("s3:ListBucket", 74), ("s3:PutObject", 74)]
)
def test_what_a_job_cannot_do_without(account, build, action, exit_code):
    """The build ends with the job side's own code, and its log names the action and the role."""
    account.let_jobs(do_without={action})
    done = build()
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert not build.result.exists()
    role = rf"assumed-role/{ROLE}/\w+ is not authorized to perform: {action} on resource"
    assert re.search(rf"\[batch\] .*{role}", done.stdout)
    assert "nothing to bring back" in done.stderr


def test_a_job_that_may_not_delete_leaves_it_to_the_user(account, build):
    """The values of --env are gone from the bucket in the end, so nobody misses anything."""
    account.let_jobs(do_without={"s3:DeleteObject"})
    done = build()
    assert (done.returncode, done.stderr) == (0, "")
    assert build.result.exists()
    (run,) = re.findall(r"Its run is (\S+)\.", done.stdout)
    listed = account.clients("s3").list_objects_v2(Bucket=manager.BUCKET, Prefix=f"runs/{run}/")
    assert "env" not in {each["Key"].rpartition("/")[2] for each in listed["Contents"]}


def test_a_job_that_may_not_be_ended_goes_on(account, nextstrain, tmp_path):
    """``--cancel`` ends with 1 and names the action."""
    (tmp_path / "small").mkdir()
    begun = nextstrain(*SANDBOX, "--detach", "--exec", "sleep", tmp_path / "small", "1000")
    (job,) = set(re.findall(r"--attach[= ]([0-9a-f-]{36})", begun.stdout))
    account.let_user(do_without={"batch:TerminateJob"})
    batch = account.clients("batch")
    try:
        done = nextstrain(*SANDBOX, "--attach", job, "--cancel", "--no-download")
        assert done.returncode == 1
        assert "(batch:TerminateJob)" in done.stderr.splitlines()[0]
        (found,) = batch.describe_jobs(jobs=[job])["jobs"]
        assert found["status"] not in {"SUCCEEDED", "FAILED"}
    finally:
        batch.terminate_job(jobId=job, reason="the test is over")


def test_why_a_job_was_refused_is_told_without_looking_it_up(account, nextstrain, tmp_path):
    """AWS's own sentence stays, with the action that would tell more."""
    (tmp_path / "small").mkdir()
    account.let_user(do_without={"batch:DescribeJobQueues"})
    done = nextstrain(
        *SANDBOX, "--aws-batch-queue", "nowhere", "--exec", "true", tmp_path / "small"
    )
    assert done.returncode == 1
    assert "AWS Batch refused the job" in done.stderr
    assert "JobQueue nowhere not found" in done.stderr
    assert "batch:DescribeJobQueues" in done.stderr


def test_tags_take_a_permission_of_their_own(account, nextstrain, tmp_path):
    """Who asks for them without it is told so, and how to do without; with it, the build passes."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "given").write_text("a build")
    tagged = (*SANDBOX, "--aws-batch-tag-jobs", "--exec", "true", tmp_path / "small")
    started = time.time()
    done = nextstrain(*tagged)
    assert done.returncode == 1
    first, _, rest = done.stderr.partition("\n")
    assert first == "nextstrain: error: Cannot submit the job: AWS denies it (batch:TagResource)."
    assert "optional policy for tagging jobs" in rest
    assert "--no-aws-batch-tag-jobs" in rest
    assert [call.action for call in account.by_user(started) if call.error] == ["batch:TagResource"]
    document = policies.tags()
    account.iam.put_user_policy(UserName=USER, PolicyName="more", PolicyDocument=document)
    done = nextstrain(*tagged)
    assert (done.returncode, done.stderr) == (0, "")
