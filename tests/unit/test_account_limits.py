"""Whether there is an instance with room for a job, by the types that the environments name."""

from types import SimpleNamespace

import pytest

from nextstrain_batch.account.checks import Verdict
from nextstrain_batch.account.checks.limits import instances
from nextstrain_batch.account.place import Place

C7I = {"VCpuInfo": {"DefaultVCpus": 192}, "MemoryInfo": {"SizeInMiB": 384 * 1024}}


class Aws:
    """Batch with one environment of some types, and EC2 that knows the family c7i."""

    def __init__(self, *types):
        self.types = list(types)

    def describe_job_queues(self, **_):
        return {
            "jobQueues": [{"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "e"}]}]
        }

    def describe_compute_environments(self, **_):
        return {"computeEnvironments": [{"computeResources": {"instanceTypes": self.types}}]}

    def get_paginator(self, _):
        return self

    def paginate(self, *, Filters):  # noqa: N803
        return [{"InstanceTypes": [C7I] if Filters[0]["Values"] == ["c7i.*"] else []}]


def found(cpus, gib, *types):
    place = Place(lambda _: Aws(*types), "us-east-1")
    asked = SimpleNamespace(
        place=place, own=place, queue="queue", cpus=cpus, memory_mib=gib * 1024, mend="setup"
    )
    (finding,) = instances(asked)
    return finding


@pytest.mark.parametrize(
    ("types", "cpus", "gib", "verdict"),
    [
        (["optimal"], 64, 470, Verdict.OK),
        (["default_x86_64"], 64, 470, Verdict.OK),
        (["default_arm64"], 64, 490, Verdict.OK),
        (["optimal"], 96, 180, Verdict.UNKNOWN),
        (["default_x86_64"], 96, 180, Verdict.UNKNOWN),
        (["default_arm64"], 64, 600, Verdict.UNKNOWN),
        (["optimal", "c7i"], 96, 180, Verdict.OK),
        (["optimal", "c7i"], 96, 500, Verdict.UNKNOWN),
        (["c7i"], 96, 180, Verdict.OK),
        (["c7i"], 96, 500, Verdict.FAILED),
        (["nonsense"], 4, 7, Verdict.UNKNOWN),
    ],
)
def test_whether_there_is_room(types, cpus, gib, verdict):
    """What AWS chooses by itself is certain up to a size; above, nothing can be told."""
    assert found(cpus, gib, *types).verdict is verdict


def test_who_needs_more_than_is_certain_can_make_sure():
    """The finding says how much is certain, and what makes a larger instance certain."""
    finding = found(96, 180, "optimal")
    assert "up to 64 vCPUs" in finding.detail
    assert "--instance-type" in finding.remedy
