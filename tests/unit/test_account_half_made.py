"""What an interruption left half made, or half removed, by AWS Batch: it is waited for."""

import pytest

from fakes_aws import client_error
from nextstrain_batch.account.apply import execute
from nextstrain_batch.account.kinds import KINDS
from nextstrain_batch.account.options import Names
from nextstrain_batch.account.place import TAGS, Place
from nextstrain_batch.account.plan import Action, Plan, Step, destruction, plan
from nextstrain_batch.account.resources import (
    SERVICE_ROLE,
    Account,
    ComputeEnvironment,
    JobQueue,
    Network,
)
from nextstrain_batch.errors import AwsError

ENVIRONMENT = ComputeEnvironment(
    "env", 16, SERVICE_ROLE, "role", Network("vpc-1", None, ("subnet-1",), ("sg-1",))
)
QUEUE = JobQueue("queue", ("env",))
ACCOUNT = Account("us-east-1", (ENVIRONMENT, QUEUE), Names())
ORDER = [{"order": 1, "computeEnvironment": "arn:aws:batch:us-east-1:1:compute-environment/env"}]
RESOURCES = {
    "type": "EC2",
    "maxvCpus": 16,
    "instanceTypes": ["optimal"],
    "subnets": ["subnet-1"],
    "securityGroupIds": ["sg-1"],
}
PARTS = {
    "environment": {"computeResources": RESOURCES, "state": "ENABLED", "tags": TAGS},
    "queue": {"computeEnvironmentOrder": ORDER, "state": "ENABLED", "tags": TAGS},
}
ENDS = {"CREATING": "VALID", "UPDATING": "VALID", "DELETING": None}
"""What a status comes to after a while; None for nothing."""


class Batch:
    """AWS Batch, whose changes take some seconds, and which refuses others meanwhile."""

    def __init__(self, **statuses):
        self.parts = {name: {**PARTS[name], "status": each} for name, each in statuses.items()}
        self.ends = {name: 5.0 for name, each in statuses.items() if each in ENDS}
        self.changes = []
        self.place = Place(lambda _: self, "us-east-1", sleep=self.sleep)

    def sleep(self, seconds):
        self.ends = {name: left - seconds for name, left in self.ends.items()}
        for name in [name for name, left in self.ends.items() if left <= 0]:
            del self.ends[name]
            status = ENDS[self.parts[name]["status"]]
            if status:
                self.parts[name]["status"] = status
            else:
                del self.parts[name]

    def change(self, name, status, *, exists=True, **values):
        self.changes.append((name, status))
        if (name in self.parts) is not exists:
            raise client_error(
                "ClientException", f"Object {'gone' if exists else 'exists'}: {name}"
            )
        if name in self.ends:
            raise client_error("ClientException", f"{name} is being modified")
        if name == "queue" and self.parts.get("environment", {}).get("status") != "VALID":
            raise client_error("ClientException", "is not valid: environment")
        if (name, status) == ("environment", "DELETING") and "queue" in self.parts:
            raise client_error("ClientException", "it has a job queue")
        self.parts[name] = {**PARTS[name], **self.parts.get(name, {}), **values, "status": status}
        self.ends[name] = 5.0

    def create_compute_environment(self, **_):
        self.change("environment", "CREATING", exists=False)

    def update_compute_environment(self, *, state, **_):
        self.change("environment", "UPDATING", state=state)

    def delete_compute_environment(self, **_):
        self.change("environment", "DELETING")

    def create_job_queue(self, **_):
        self.change("queue", "CREATING", exists=False)

    def update_job_queue(self, *, state, **_):
        self.change("queue", "UPDATING", state=state)

    def delete_job_queue(self, **_):
        self.change("queue", "DELETING")

    def describe_compute_environments(self, **_):
        return {"computeEnvironments": self.described("environment")}

    def describe_job_queues(self, **_):
        return {"jobQueues": self.described("queue")}

    def described(self, name):
        return [self.parts[name]] if name in self.parts else []

    def list_jobs(self, **_):
        return {"jobSummaryList": []}

    def describe_security_groups(self, **_):
        return {"SecurityGroups": []}

    def describe_launch_templates(self, **_):
        return {"LaunchTemplates": []}

    def get_caller_identity(self):
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"}


@pytest.mark.parametrize(
    "found",
    [
        {"environment": "CREATING"},
        {"environment": "UPDATING"},
        {"environment": "DELETING"},
        {"environment": "CREATING", "queue": "INVALID"},
        {"environment": "VALID", "queue": "DELETING"},
        {"environment": "VALID", "queue": "CREATING"},
        {"environment": "UPDATING", "queue": "DELETING"},
        {},
    ],
    ids=str,
)
def test_setup_goes_on_with_what_is_half_made(found):
    """What is being made becomes valid first, and what is being removed goes first."""
    batch = Batch(**found)
    execute(plan(ACCOUNT, batch.place), batch.place)
    batch.sleep(10)
    assert {name: each["status"] for name, each in batch.parts.items()} == {
        "environment": "VALID",
        "queue": "VALID",
    }
    assert plan(ACCOUNT, batch.place).work == ()


@pytest.mark.parametrize(
    "found",
    [
        {"environment": "CREATING"},
        {"environment": "VALID", "queue": "CREATING"},
        {"environment": "VALID", "queue": "UPDATING"},
        {"environment": "VALID", "queue": "DELETING"},
        {"environment": "DELETING"},
    ],
    ids=str,
)
def test_a_removal_ends_when_all_is_gone(found):
    """What still goes is waited for, as other things depend on it, and not removed again."""
    batch = Batch(**found)
    execute(destruction(ACCOUNT, batch.place), batch.place)
    assert batch.parts == {}
    going = {name for name, status in found.items() if status == "DELETING"}
    assert going & {name for name, _ in batch.changes} == set()


def test_what_is_being_removed_has_a_step_that_says_so():
    """The plan does not call it absent."""
    batch = Batch(environment="DELETING", queue="DELETING")
    for step in plan(ACCOUNT, batch.place).steps:
        assert step.action is Action.CHANGE
        assert ("status", "DELETING", "VALID") in [
            (each.what, each.found, each.wanted) for each in step.found.differences
        ]


@pytest.mark.parametrize("status", ["INVALID", "DELETING"])
def test_a_queue_is_not_made_on_an_environment_that_does_not_become_valid(status):
    """Where it is not to be changed, the error names it and its status, and not after minutes."""
    batch = Batch(environment=status)
    batch.ends = {}
    with pytest.raises(AwsError, match=f"environment env does not become valid: {status}"):
        execute(Plan((Step(Action.MAKE, QUEUE),)), batch.place)
    assert batch.changes == []


def test_what_has_gone_since_the_plan_is_made_anew():
    """Between the plan and the consent, a removal may have ended."""
    batch = Batch(environment="DELETING")
    found = KINDS[ComputeEnvironment].look(ENVIRONMENT, batch.place)
    batch.sleep(10)
    KINDS[ComputeEnvironment].mend(ENVIRONMENT, batch.place, found)
    assert batch.changes == [("environment", "CREATING")]
