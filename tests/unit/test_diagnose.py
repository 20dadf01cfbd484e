"""Why a job waits."""

import pytest

from fakes_aws import Clock, FakeBatch, client_error
from fakes_aws import job_detail as detail
from nextstrain_batch.diagnose import STANDS, Diagnosis, waiting_reason
from nextstrain_batch.job import describe

QUEUE = {
    "jobQueueName": "nextstrain-job-queue",
    "state": "ENABLED",
    "status": "VALID",
    "computeEnvironmentOrder": [{"computeEnvironment": "arn:ce"}],
}
ENVIRONMENT = {
    "computeEnvironmentName": "small",
    "state": "ENABLED",
    "status": "VALID",
    "computeResources": {"maxvCpus": 16},
}
FRONT = {"jobs": [{"jobArn": "arn:job/job-0"}, {"jobArn": "arn:job/job-1"}]}


class Waiting:
    """A job that waits, and what is said about it over time."""

    def __init__(self, **answers):
        self.clock = Clock()
        self.batch = FakeBatch(
            self.clock,
            answers={
                "describe_job_queues": [{"jobQueues": [QUEUE]}],
                "describe_compute_environments": [{"computeEnvironments": [ENVIRONMENT]}],
                "get_job_queue_snapshot": [{"frontOfQueue": {"jobs": []}}],
                **{name: [answer] for name, answer in answers.items()},
            },
        )
        self.diagnosis = Diagnosis(self.batch, self.clock)
        self.said = []

    def wait(self, seconds, *arguments, **changes):
        """Look at the job every six seconds, as the watching does."""
        end = self.clock() + seconds
        while self.clock() < end:
            states = FakeBatch(self.clock, [(-1, detail(*arguments, **changes))])
            job = describe(states, "job-1")
            self.said += [notice.text for notice in self.diagnosis.update(job)]
            self.clock.wait(6)
        return self.said


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x", ["no free machines", "passes"]),
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x", ["limit of vCPUs", "--cpus"]),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x", ["no machine type", "--memory"]),
        ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - x", ["role"]),
        ("MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED", ["EC2 does not offer"]),
        ("MISCONFIGURATION:SOMETHING_NEW", ["not set up"]),
        ("ACTION_REQUIRED - x", ["mended"]),
        ("UNDETERMINED - x", ["does not know why"]),
        ("Something else", ["The job waits."]),
    ],
)
def test_each_reason_in_plain_words(reason, words):
    """Each of Batch's reasons is said in plain words, with the reason itself."""
    text = waiting_reason(reason)
    for word in [*words, reason]:
        assert word in text


def test_a_reason_counts_once_it_stood_for_minutes():
    """A reason that has just come is not spoken of; one that stands is, once."""
    waiting = Waiting()
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x"
    assert waiting.wait(STANDS, "RUNNABLE", statusReason=reason) == []
    assert len(waiting.wait(3600, "RUNNABLE", statusReason=reason)) == 1


def test_reasons_that_come_and_go_are_not_spoken_of():
    """The reasons that flicker while machines start from none say nothing."""
    waiting = Waiting()
    for _ in range(20):
        waiting.wait(100, "RUNNABLE", statusReason="MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS")
        waiting.wait(60, "RUNNABLE")
    assert waiting.said == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"describe_job_queues": {"jobQueues": [{**QUEUE, "state": "DISABLED"}]}}, "is disabled"),
        ({"describe_job_queues": {"jobQueues": []}}, "does not exist any more"),
        (
            {
                "describe_job_queues": {
                    "jobQueues": [{**QUEUE, "status": "INVALID", "statusReason": "why"}]
                }
            },
            "is invalid: why",
        ),
        (
            {
                "describe_compute_environments": {
                    "computeEnvironments": [{**ENVIRONMENT, "state": "DISABLED"}]
                }
            },
            "environment small is disabled",
        ),
        (
            {
                "describe_compute_environments": {
                    "computeEnvironments": [{**ENVIRONMENT, "computeResources": {"maxvCpus": 2}}]
                }
            },
            "asks for 4 vCPUs",
        ),
        ({"get_job_queue_snapshot": {"frontOfQueue": FRONT}}, "before this one in the queue: 1"),
    ],
)
def test_the_queue_is_looked_at_after_minutes(answers, words):
    """After some minutes, what is wrong with the queue or its environments is said, once."""
    waiting = Waiting(**answers)
    assert waiting.wait(290, "RUNNABLE") == []
    assert len(waiting.wait(3600, "RUNNABLE")) == 1
    assert words in waiting.said[0]
    assert len(waiting.batch.requests("describe_job_queues")) <= 7


def test_missing_optional_permissions_are_said_once():
    """Without the optional permissions, one line says what they would be for."""
    denied = client_error("AccessDeniedException", operation="DescribeComputeEnvironments")
    waiting = Waiting(describe_compute_environments=denied)
    said = waiting.wait(7200, "RUNNABLE")
    assert len(said) == 1
    assert "batch:DescribeComputeEnvironments" in said[0]


def test_trouble_while_looking_is_not_the_jobs():
    """When AWS is busy, the explanation is missing and nothing else."""
    waiting = Waiting(describe_job_queues=client_error("ServerException", status=500))
    assert waiting.wait(3600, "RUNNABLE") == []


def test_a_long_start_is_spoken_of():
    """A job that has been starting for very long is spoken of, once."""
    waiting = Waiting()
    assert waiting.wait(590, "STARTING") == []
    assert len(waiting.wait(3600, "STARTING")) == 1


def test_nothing_is_said_of_a_job_that_is_being_cancelled():
    """Why a job waits is of no account once someone asked for its end."""
    waiting = Waiting()
    reason = "ACTION_REQUIRED - x"
    assert waiting.wait(3600, "RUNNABLE", statusReason=reason, isCancelled=True) == []
