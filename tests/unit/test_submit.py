"""A request becomes exactly one job, or an error."""

import json
from dataclasses import replace

import pytest
from botocore import exceptions as boto

from fakes_aws import FakeBatch, client_error
from nextstrain_batch.errors import AccessDeniedError, JobError, UnreachableError
from nextstrain_batch.submit import JobRequest, MayExistError, submit

NAME = "zika-20261123T041500Z-1a2b3c4d"
REQUEST = JobRequest(
    queue="nextstrain-job-queue",
    definition="nextstrain-job",
    name=NAME,
    command=("sh", "-c", "true"),
    environment={"NEXTSTRAIN_BATCH_RUN": "s3://jobs/runs/x"},
    cpus=4,
    memory_mib=7200,
)
MADE = {"jobId": "job-1"}
LOST = boto.ReadTimeoutError(endpoint_url="https://batch")
DAMAGED = boto.SSLError(endpoint_url="https://batch", error="bad record mac")
FAILED = client_error("InternalError", operation="SubmitJob", status=500)
ENABLED = {"jobQueues": [{"state": "ENABLED", "status": "VALID"}]}
DEFINITION = {"jobDefinitions": [{"jobDefinitionName": "nextstrain-job", "revision": 1}]}
REFUSED = client_error("ClientException", "No.", "SubmitJob")


class Wait:
    """Notes how long it was asked to wait."""

    def __init__(self):
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)


def summary(name=NAME, job_id="job-1"):
    return {"jobSummaryList": [{"jobName": name, "jobId": job_id}]}


def test_what_is_asked_of_batch():
    """Queue, definition, command, environment and size go to Batch in one request."""
    batch = FakeBatch(answers={"submit_job": [MADE]})
    assert submit(batch, REQUEST, Wait()) == "job-1"
    assert [name for name, _, _ in batch.calls] == ["submit_job"]
    assert batch.requests("submit_job") == [
        {
            "jobName": NAME,
            "jobQueue": "nextstrain-job-queue",
            "jobDefinition": "nextstrain-job",
            "containerOverrides": {
                "command": ["sh", "-c", "true"],
                "environment": [{"name": "NEXTSTRAIN_BATCH_RUN", "value": "s3://jobs/runs/x"}],
                "resourceRequirements": [
                    {"type": "VCPU", "value": "4"},
                    {"type": "MEMORY", "value": "7200"},
                ],
            },
        }
    ]


def test_what_is_not_asked_is_left_to_the_definition():
    """A size that was not asked for is left to the job definition."""
    batch = FakeBatch(answers={"submit_job": [MADE]})
    submit(batch, JobRequest("q", "d", "n", ("x",)), Wait())
    assert batch.requests("submit_job")[0]["containerOverrides"] == {"command": ["x"]}


def test_a_job_is_told_how_often_it_may_start():
    """By the definition: a job that knows its last attempt need not leave anything for another."""
    definition = {
        "jobDefinitionName": "d",
        "revision": 1,
        "containerProperties": {"image": "i"},
        "retryStrategy": {"attempts": 3},
    }
    described = {"jobDefinitions": [definition]}
    batch = FakeBatch(answers={"submit_job": [MADE], "describe_job_definitions": [described]})
    submit(batch, JobRequest("q", "d", "n", ("x",), image="i"), Wait())
    told = [{"name": "NEXTSTRAIN_BATCH_ATTEMPTS", "value": "3"}]
    assert batch.requests("submit_job")[0]["containerOverrides"]["environment"] == told


def test_tags_go_to_the_job_and_its_tasks():
    """Only where there are any: to submit a job with tags takes a permission of its own."""
    batch = FakeBatch(answers={"submit_job": [MADE, MADE]})
    submit(batch, replace(REQUEST, tags={"nextstrain-owner": "AIDAADA"}), Wait())
    submit(batch, REQUEST, Wait())
    tagged, plain = batch.requests("submit_job")
    assert tagged == {**plain, "tags": {"nextstrain-owner": "AIDAADA"}, "propagateTags": True}


def test_requests_satisfy_botocores_model():
    """What is sent is what AWS's own model of the operation demands."""
    import botocore.session
    from botocore.validate import validate_parameters

    batch = FakeBatch(answers={"submit_job": [MADE]})
    submit(batch, replace(REQUEST, tags={"a": "b"}), Wait())
    model = botocore.session.get_session().get_service_model("batch")
    validate_parameters(
        batch.requests("submit_job")[0], model.operation_model("SubmitJob").input_shape
    )


def test_overrides_that_batch_would_fail_later_are_refused():
    """Overrides of more than 8192 characters are an error here, not a failed job later."""
    batch = FakeBatch(answers={"submit_job": [MADE]})
    fits = JobRequest("q", "d", "n", ("",))
    room = 8192 - len(json.dumps({"command": [""]}))
    submit(batch, JobRequest("q", "d", "n", ("x" * room,)), Wait())
    with pytest.raises(JobError, match="8192"):
        submit(batch, JobRequest("q", "d", "n", ("x" * (room + 1),)), Wait())
    assert fits.command == ("",)


@pytest.mark.parametrize(
    ("queues", "definitions", "words"),
    [
        ({"jobQueues": []}, DEFINITION, ["no job queue nextstrain-job-queue", "us-east-1"]),
        ({"jobQueues": [{"state": "DISABLED"}]}, DEFINITION, ["queue", "is disabled"]),
        (ENABLED, {"jobDefinitions": []}, ["no active job definition nextstrain-job"]),
        (ENABLED, DEFINITION, ["refused the job", "AWS said: No."]),
    ],
)
def test_a_refused_job_says_why(queues, definitions, words):
    """When AWS refuses a job, the error says what is missing or disabled, and how it is set."""
    answers = {
        "submit_job": [REFUSED],
        "describe_job_queues": [queues],
        "describe_job_definitions": [definitions],
    }
    with pytest.raises(JobError) as raised:
        submit(FakeBatch(answers=answers), REQUEST, Wait())
    for word in words:
        assert word in str(raised.value)


def test_a_refused_job_whose_reason_may_not_be_looked_up_says_what_aws_said():
    """AWS's own sentence is not lost, and the action that would tell more is named."""
    denied = client_error("AccessDeniedException", "no", "DescribeJobQueues")
    batch = FakeBatch(answers={"submit_job": [REFUSED], "describe_job_queues": [denied]})
    with pytest.raises(JobError) as caught:
        submit(batch, REQUEST, Wait())
    for word in ("refused the job", "AWS said: No.", "batch:DescribeJobQueues"):
        assert word in str(caught.value)


def test_what_aws_said_is_told_even_if_nothing_else_can_be_found_out():
    """Trouble with looking for the reason does not hide the one that AWS gave."""
    busy = client_error("TooManyRequestsException", operation="DescribeJobQueues")
    batch = FakeBatch(answers={"submit_job": [REFUSED], "describe_job_queues": [busy]})
    with pytest.raises(JobError, match="AWS said: No"):
        submit(batch, REQUEST, Wait())


def test_a_denied_submission_names_the_policy():
    """Whoever may not submit jobs is told which policy lacks."""
    denial = client_error("AccessDeniedException", operation="SubmitJob")
    with pytest.raises(AccessDeniedError, match="NextstrainJobsAccessToBatch"):
        submit(FakeBatch(answers={"submit_job": [denial]}), REQUEST, Wait())


@pytest.mark.parametrize("answer", [LOST, FAILED, DAMAGED])
def test_a_lost_answer_finds_the_job_that_was_made(answer):
    """When the answer is lost or an error of AWS's own, and the job exists, it is that job."""
    other = summary(NAME.upper(), "job-9")
    batch = FakeBatch(answers={"submit_job": [answer], "list_jobs": [other, summary()]})
    wait = Wait()
    assert submit(batch, REQUEST, wait) == "job-1"
    assert len(batch.requests("submit_job")) == 1
    assert len(wait.seconds) == 2


@pytest.mark.parametrize("answer", [LOST, FAILED, DAMAGED])
def test_a_lost_request_is_made_again(answer):
    """When no job appears for some seconds, the request was lost and is made again."""
    nothing = {"jobSummaryList": []}
    batch = FakeBatch(answers={"submit_job": [answer, MADE], "list_jobs": [nothing]})
    wait = Wait()
    assert submit(batch, REQUEST, wait) == "job-1"
    assert sum(wait.seconds) >= 5


@pytest.mark.parametrize(
    "looked",
    [client_error("AccessDeniedException", operation="ListJobs"), LOST],
)
def test_where_it_cannot_be_told_the_error_says_so(looked):
    """When it cannot be told whether the job exists, nothing is submitted twice."""
    batch = FakeBatch(answers={"submit_job": [LOST], "list_jobs": [looked]})
    with pytest.raises(MayExistError, match="may exist or not") as raised:
        submit(batch, REQUEST, Wait())
    assert NAME in str(raised.value)
    assert len(batch.requests("submit_job")) == 1


@pytest.mark.parametrize("second", [LOST, FAILED, client_error("AccessDeniedException")])
def test_a_second_failure_takes_back_no_doubt(second):
    """However the second submission fails, the job of the first one may exist."""
    nothing = {"jobSummaryList": []}
    batch = FakeBatch(answers={"submit_job": [FAILED, second], "list_jobs": [nothing]})
    with pytest.raises(MayExistError, match="may exist or not"):
        submit(batch, REQUEST, Wait())
    assert len(batch.requests("submit_job")) == 2


@pytest.mark.parametrize(
    "error",
    [
        boto.EndpointConnectionError(endpoint_url="x"),
        boto.SSLError(endpoint_url="x", error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
    ],
)
def test_a_connection_never_made_is_no_doubt(error):
    """When AWS could not be reached at all, there is no job, and the error says only that."""
    batch = FakeBatch(answers={"submit_job": [error]})
    with pytest.raises(UnreachableError) as raised:
        submit(batch, REQUEST, Wait())
    assert not isinstance(raised.value, MayExistError)
