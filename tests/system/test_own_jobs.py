"""People who are kept to their own jobs, on an account that was set up so."""

import re
from functools import partial
from pathlib import Path

import pexpect
import pytest
from botocore.exceptions import ClientError

from nextstrain_batch.account.checks import Verdict
from nextstrain_batch.aws import Aws, Credentials
from nextstrain_batch.job_tags import OWNER
from nextstrain_batch.sandbox import manager, member

BUILD = ("build", "--aws-batch")
GROUP, QUEUE, DEFINITION = "NextstrainJobsUsers", "nextstrain-job-queue", "nextstrain-job"


class Person:
    """A member of the group: the command with their keys, and clients with them."""

    def __init__(self, name, iam, url, command):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName=GROUP, UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        keys = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        self.name = name
        self.aws = Aws(endpoint=url, region=member.REGION, credentials=keys)
        self.id = self.aws.client("sts").get_caller_identity()["UserId"]
        self.command = command(
            AWS_ENDPOINT_URL=url,
            AWS_DEFAULT_REGION=member.REGION,
            AWS_ACCESS_KEY_ID=keys.access_key,
            AWS_SECRET_ACCESS_KEY=keys.secret_key,
            NEXTSTRAIN_AWS_BATCH_S3_BUCKET=manager.BUCKET,
            NEXTSTRAIN_AWS_BATCH_TAG_JOBS="yes",
        )

    def launch(self, directory, *program):
        """Start a job and return its id."""
        begun = self.command(*BUILD, "--detach", "--exec", program[0], directory, *program[1:])
        assert begun.returncode == 0, begun.stderr
        (job,) = set(re.findall(r"--attach[= ]([0-9a-f-]{36})", begun.stdout))
        return job

    def cancel(self, job):
        return self.command(*BUILD, "--attach", job, "--cancel", "--no-download")


@pytest.fixture(scope="module")
def people(tmp_path_factory, command_in):
    """Return two members of an account's group; the administrator set it up with one option."""
    home = tmp_path_factory.mktemp("administrator")
    command = command_in(home)
    done = command("setup", "aws-batch", "--sandbox", "--own-jobs", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--aws-batch-tag-jobs" in done.stdout
    administrator = manager.administrator(Path(command.environment["NEXTSTRAIN_HOME"]))
    url, iam = administrator.url, member.Clients(administrator)("iam")
    homes = {name: tmp_path_factory.mktemp(name) for name in ("ada", "grace")}
    yield [Person(name, iam, url, partial(command_in, home)) for name, home in homes.items()]
    assert command("sandbox", "stop").returncode == 0


@pytest.fixture
def small(tmp_path):
    directory = tmp_path / "small"
    directory.mkdir()
    (directory / "readme").write_text("a build")
    return directory


@pytest.fixture
def running(people, small):
    """Return the job of the first one, which runs until it is cancelled."""
    job = people[0].launch(small, "sleep", "1000")
    yield job
    people[0].aws.batch.terminate_job(jobId=job, reason="the test is over")


def status(person, job):
    (found,) = person.aws.batch.describe_jobs(jobs=[job])["jobs"]
    return found["status"]


def test_each_builds_and_jobs_say_whose_they_are(people, small):
    """And of which pathogen and run; the run's results come back as ever."""
    for person in people:
        done = person.command(*BUILD, "--exec", "touch", small, person.name)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert (small / person.name).exists()
        (run,) = re.findall(r"Its run is (\S+)\.", done.stdout)
        (job,) = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", done.stdout))
        (found,) = person.aws.batch.describe_jobs(jobs=[job])["jobs"]
        assert found["propagateTags"]
        assert found["tags"] == {
            OWNER: person.id,
            "nextstrain-user": person.name,
            "nextstrain-pathogen": "small",
            "nextstrain-run": run,
        }


def test_one_s_own_job_can_be_cancelled_and_nobody_else_s(people, running):
    """The other one is told what is denied, why that can be, and how to watch instead."""
    ada, grace = people
    done = grace.cancel(running)
    assert done.returncode == 1
    first, _, rest = done.stderr.partition("\n")
    assert re.match(rf"nextstrain: error: Cannot cancel the job {running}: .*TerminateJob", first)
    assert "end jobs of their own only" in rest
    assert f"--attach {running}" in rest
    assert status(grace, running) not in {"SUCCEEDED", "FAILED"}
    ada.cancel(running)
    assert status(grace, running) == "FAILED"


def test_interrupting_somebody_else_s_job_leaves_it_running(people, running):
    """Control-C twice ends the watching with the reason and the way back."""
    grace = people[1]
    terminal = grace.command.in_terminal(*BUILD, "--attach", running, "--no-download")
    terminal.expect("twice within")
    terminal.sendintr()
    terminal.expect("again within")
    terminal.sendintr()
    terminal.expect(r"TerminateJob\)")
    terminal.expect("end jobs of their own only")
    terminal.expect("The job itself is not affected")
    terminal.expect(f"--attach {running}")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    assert status(grace, running) not in {"SUCCEEDED", "FAILED"}


ARN = f"arn:aws:batch:{member.REGION}:123456789012"
ASKED = {"jobName": "x", "jobQueue": QUEUE, "jobDefinition": DEFINITION}
TRICKS = {
    "tag it as own": lambda b, job, me, _: b.tag_resource(
        resourceArn=f"{ARN}:job/{job}", tags={OWNER: me}
    ),
    "tag it with something else": lambda b, job, *_: b.tag_resource(
        resourceArn=f"{ARN}:job/{job}", tags={"a": "b"}
    ),
    "take its tag away": lambda b, job, *_: b.untag_resource(
        resourceArn=f"{ARN}:job/{job}", tagKeys=[OWNER]
    ),
    "cancel it": lambda b, job, *_: b.cancel_job(jobId=job, reason="x"),
    "terminate it": lambda b, job, *_: b.terminate_job(jobId=job, reason="x"),
    "terminate it by its ARN": lambda b, job, *_: b.terminate_job(
        jobId=f"{ARN}:job/{job}", reason="x"
    ),
    "submit as somebody else": lambda b, _, __, other: b.submit_job(**ASKED, tags={OWNER: other}),
    "submit as nobody": lambda b, *_: b.submit_job(**ASKED),
    "submit with other tags only": lambda b, *_: b.submit_job(**ASKED, tags={"a": "b"}),
    "tag the queue as ours": lambda b, *_: b.tag_resource(
        resourceArn=f"{ARN}:job-queue/{QUEUE}", tags={"made-by": "nextstrain setup aws-batch"}
    ),
    "do what it was not given": lambda b, *_: b.list_tags_for_resource(
        resourceArn=f"{ARN}:job-queue/{QUEUE}"
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_there_is_no_way_round_it(people, running, trick):
    """The other one's job is tagged and ended by nobody else, and no job is anybody else's."""
    ada, grace = people
    with pytest.raises(ClientError) as caught:
        TRICKS[trick](grace.aws.batch, running, grace.id, ada.id)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    (found,) = ada.aws.batch.describe_jobs(jobs=[running])["jobs"]
    assert (found["tags"][OWNER], found["status"] in {"SUCCEEDED", "FAILED"}) == (ada.id, False)


def test_without_tags_the_build_says_what_it_takes(people, small):
    """The setting is named where the submission is denied."""
    done = people[0].command(*BUILD, "--no-aws-batch-tag-jobs", "--exec", "true", small)
    assert done.returncode == 1
    assert "(batch:SubmitJob)" in done.stderr.splitlines()[0]
    assert "tag-jobs = true" in done.stderr


def test_check_setup_does_not_take_it_for_a_mistake(people):
    """That one's own jobs can be ended cannot be told without one; what can be told is right."""
    done = people[0].command("check-setup")
    (line,) = re.findall(r"^(.*)permissions for AWS Batch: (.*)$", done.stdout, re.MULTILINE)
    assert line[0].strip() == Verdict.UNKNOWN.value
    assert "people may end their own jobs only" in line[1]
    tagging = r"^ok +optional: tag jobs when they are submitted: granted$"
    assert re.search(tagging, done.stdout, re.MULTILINE), done.stdout
    untagged = people[0].command("check-setup", "--no-aws-batch-tag-jobs")
    assert untagged.returncode == 1
    assert re.search(r"^failed +permissions for AWS Batch: ", untagged.stdout, re.MULTILINE)
    assert "tag-jobs = true" in untagged.stdout
