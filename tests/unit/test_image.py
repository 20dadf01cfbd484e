"""Another image than the job definition's."""

import pytest

from fakes_aws import FakeBatch, client_error
from nextstrain_batch.errors import AccessDeniedError, JobError
from nextstrain_batch.image import (
    definition_with_image,
    derived_name,
    find_definition,
    same_image,
)

CONTAINER = {"image": "nextstrain/base:latest", "command": [], "jobRoleArn": "arn:role"}
BASE = {
    "jobDefinitionName": "nextstrain-job",
    "revision": 7,
    "status": "ACTIVE",
    "type": "container",
    "timeout": {"attemptDurationSeconds": 14400},
    "tags": {"lab": "x"},
    "parameters": {},
    "containerProperties": CONTAINER,
}
OTHER = "nextstrain/base:build-1"
DERIVED = derived_name("nextstrain-job", OTHER)
LIKE_BASE = {
    **BASE,
    "jobDefinitionName": DERIVED,
    "revision": 2,
    "containerProperties": {**CONTAINER, "image": OTHER},
}


class Definitions(FakeBatch):
    """The job definitions of an account, a page of one at a time."""

    def __init__(self, *known, denied=None):
        super().__init__()
        self.known, self.denied = known, denied

    def describe_job_definitions(self, *, nextToken="0", **query):  # noqa: N803
        self.calls.append(("describe_job_definitions", query, 0))
        found = [
            one
            for one in self.known
            if one["jobDefinitionName"] == query.get("jobDefinitionName")
            or f"{one['jobDefinitionName']}:{one['revision']}" in query.get("jobDefinitions", ())
        ]
        start = int(nextToken)
        more = {"nextToken": str(start + 1)} if start + 1 < len(found) else {}
        return {"jobDefinitions": found[start : start + 1], **more}

    def register_job_definition(self, **parameters):
        self.calls.append(("register_job_definition", parameters, 0))
        if self.denied:
            raise self.denied
        return {"jobDefinitionName": parameters["jobDefinitionName"], "revision": 1}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nextstrain/base", "nextstrain/base:latest", True),
        ("docker.io/nextstrain/base", "nextstrain/base:latest", True),
        ("docker.io/library/alpine", "alpine:latest", True),
        ("localhost:5000/base", "localhost:5000/base:latest", True),
        ("nextstrain/base:build-1", "nextstrain/base", False),
        ("nextstrain/base@sha256:12", "nextstrain/base", False),
        ("ghcr.io/nextstrain/base", "nextstrain/base", False),
    ],
)
def test_names_of_one_image(one, other, same):
    """Names that mean the same image are told from those that do not."""
    assert same_image(one, other) is same


def test_how_often_a_job_may_start_comes_with_the_definition():
    """The job is told, so that it knows which attempt is the last."""
    batch = Definitions({**BASE, "retryStrategy": {"attempts": 3}})
    assert definition_with_image(batch, "nextstrain-job", "nextstrain/base").attempts == 3
    assert definition_with_image(batch, "nextstrain-job", OTHER).attempts == 3


def test_the_definitions_own_image_needs_no_other_definition():
    """An image that is the definition's already changes nothing."""
    batch = Definitions(BASE)
    assert (
        definition_with_image(batch, "nextstrain-job", "nextstrain/base").name == "nextstrain-job"
    )
    assert batch.requests("register_job_definition") == []


def test_a_derived_definition_differs_by_its_image_alone():
    """What is registered is the definition with the other image, without its tags."""
    batch = Definitions(BASE)
    assert definition_with_image(batch, "nextstrain-job", OTHER).name == f"{DERIVED}:1"
    assert batch.requests("register_job_definition") == [
        {
            "jobDefinitionName": DERIVED,
            "type": "container",
            "timeout": {"attemptDurationSeconds": 14400},
            "containerProperties": {**CONTAINER, "image": OTHER},
        }
    ]


def test_a_derived_definition_has_nothing_that_its_origin_has_lost():
    """A time limit that was taken away ends no jobs any more, whatever their image."""
    base = {key: value for key, value in BASE.items() if key != "timeout"}
    batch = Definitions(base, LIKE_BASE)
    assert definition_with_image(batch, "nextstrain-job", OTHER).name == f"{DERIVED}:1"
    (registered,) = batch.requests("register_job_definition")
    assert "timeout" not in registered


def test_a_derived_definition_is_used_again():
    """A definition derived earlier is used for as long as the one it comes from is unchanged."""
    batch = Definitions(BASE, {**LIKE_BASE, "revision": 1, "timeout": {}}, LIKE_BASE)
    assert definition_with_image(batch, "nextstrain-job", OTHER).name == f"{DERIVED}:2"
    assert batch.requests("register_job_definition") == []


def test_a_changed_definition_is_derived_anew():
    """When the usual definition has changed since, its successor is registered."""
    changed = {**BASE, "timeout": {"attemptDurationSeconds": 60}}
    batch = Definitions(changed, LIKE_BASE)
    assert definition_with_image(batch, "nextstrain-job", OTHER).name == f"{DERIVED}:1"


@pytest.mark.parametrize("action", ["batch:RegisterJobDefinition", "iam:PassRole"])
def test_a_denial_names_both_ways_out(action):
    """Without the permissions, the error names them, and the way that does without."""
    text = f"User: x is not authorized to perform: {action} on resource: y"
    denied = client_error("AccessDeniedException", text, "RegisterJobDefinition")
    with pytest.raises(AccessDeniedError) as raised:
        definition_with_image(Definitions(BASE, denied=denied), "nextstrain-job", OTHER)
    message = str(raised.value)
    assert raised.value.action == action
    for word in (OTHER, "batch:RegisterJobDefinition", "iam:PassRole", "--aws-batch-job", text):
        assert word in message


@pytest.mark.parametrize(
    "name",
    [
        "nextstrain-job",
        "nextstrain-job:7",
        "arn:aws:batch:us-east-1:1:job-definition/nextstrain-job:7",
        "arn:aws:batch:us-east-1:1:job-definition/nextstrain-job",
    ],
)
def test_a_definition_is_found_by_each_kind_of_name(name):
    """A name means the newest active revision; a revision or an ARN means itself."""
    older = {**BASE, "revision": 6}
    gone = {**BASE, "revision": 8, "status": "INACTIVE"}
    found = find_definition(Definitions(older, BASE, gone), name)
    assert found is not None
    assert found["revision"] == 7


def test_a_missing_definition_is_named():
    """A definition that does not exist is an error that says where its name is set."""
    with pytest.raises(JobError, match="--aws-batch-job"):
        definition_with_image(Definitions(), "nextstrain-job", OTHER)


def test_a_definition_of_several_containers_has_no_image():
    """A definition that is not of one container is an error, not a traceback."""
    several = {**BASE, "containerProperties": None}
    with pytest.raises(JobError, match="single container"):
        definition_with_image(Definitions(several), "nextstrain-job", OTHER)


def test_derived_names_are_valid():
    """The name of a derived definition keeps to Batch's limit of 128 characters."""
    assert len(derived_name("x" * 128, OTHER)) <= 128
    assert derived_name("a", "nextstrain/base") == derived_name("a", "nextstrain/base:latest")
