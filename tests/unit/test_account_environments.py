"""A compute environment: its launch template, which may be named by id, and may be taken away."""

from types import SimpleNamespace

import pytest

from fakes_aws import client_error
from nextstrain_batch.account.checks.limits import disk
from nextstrain_batch.account.kinds.environments import TEMPLATE, ComputeEnvironmentKind
from nextstrain_batch.account.place import Place
from nextstrain_batch.account.resources import SERVICE_ROLE, ComputeEnvironment, Network

NETWORK = Network("vpc-1", None, ("subnet-1",), ("sg-1",))


class Aws:
    """Batch with an environment that has *template*, and EC2 with one launch template."""

    def __init__(self, template):
        self.template = template
        self.updates = []
        self.place = Place(lambda _: self, "us-east-1")

    def describe_compute_environments(self, **_):
        resources = {
            "type": "EC2",
            "maxvCpus": 16,
            "instanceTypes": ["optimal"],
            "subnets": ["subnet-1"],
            "securityGroupIds": ["sg-1"],
            **({} if self.template is None else {"launchTemplate": self.template}),
        }
        found = {"status": "VALID", "state": "ENABLED", "computeResources": resources}
        return {"computeEnvironments": [found]}

    def describe_job_queues(self, **_):
        return {
            "jobQueues": [{"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "e"}]}]
        }

    def update_compute_environment(self, **parameters):
        self.updates.append(parameters)

    def describe_launch_templates(self, LaunchTemplateIds):  # noqa: N803
        if LaunchTemplateIds != ["lt-1"]:
            raise client_error("InvalidLaunchTemplateId.NotFound", "no such")
        return {"LaunchTemplates": [{"LaunchTemplateName": "env-500"}]}

    def describe_launch_template_versions(self, LaunchTemplateName, **_):  # noqa: N803
        assert LaunchTemplateName == "env-500"
        data = {"BlockDeviceMappings": [{"Ebs": {"VolumeSize": 500}}]}
        return {"LaunchTemplateVersions": [{"LaunchTemplateData": data}]}


def environment(template):
    return ComputeEnvironment("env", 16, SERVICE_ROLE, "role", NETWORK, launch_template=template)


def test_a_launch_template_is_taken_away_by_an_empty_name():
    """UpdateComputeEnvironment keeps the one that is there unless its name or id is empty."""
    aws, kind = (
        Aws({"launchTemplateName": "env-500", "version": "$Default"}),
        ComputeEnvironmentKind(),
    )
    found = kind.look(environment(None), aws.place)
    assert [each.what for each in found.differences] == [TEMPLATE]
    kind.mend(environment(None), aws.place, found)
    assert aws.updates[0]["computeResources"] == {"launchTemplate": {"launchTemplateName": ""}}


@pytest.mark.parametrize("none", [None, {}, {"launchTemplateName": ""}, {"launchTemplateId": ""}])
def test_an_empty_launch_template_is_none(none):
    """However AWS describes one that was taken away, it does not differ from none."""
    assert ComputeEnvironmentKind().look(environment(None), Aws(none).place).differences == ()


@pytest.mark.parametrize(
    ("template", "desired", "differs"),
    [
        ({"launchTemplateId": "lt-1", "version": "1"}, "env-500", False),
        ({"launchTemplateId": "lt-1", "version": "1"}, "env-100", True),
        ({"launchTemplateId": "lt-gone"}, "env-500", True),
    ],
)
def test_a_launch_template_may_be_given_by_its_id(template, desired, differs):
    """As older templates for CloudFormation do; its name is looked up."""
    found = ComputeEnvironmentKind().look(environment(desired), Aws(template).place)
    assert found.lacks(TEMPLATE) is differs


def test_the_disk_of_a_launch_template_given_by_its_id_is_read():
    """check-setup tells the template's size, not the default one."""
    aws = Aws({"launchTemplateId": "lt-1"})
    subject = SimpleNamespace(place=aws.place, own=aws.place, queue="queue", mend="setup")
    assert [each.detail.split(" an ")[0] for each in disk(subject)] == ["500 GiB"]
