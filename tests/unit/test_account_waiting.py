"""What passes by itself after a role was made, and is waited for; and what does not."""

import pytest
from botocore.exceptions import ClientError

from fakes_aws import client_error
from nextstrain_batch.account.kinds import KINDS, vpc
from nextstrain_batch.account.kinds.waiting import PATIENCE
from nextstrain_batch.account.place import Found, Place
from nextstrain_batch.account.resources import (
    SERVICE_ROLE,
    ComputeEnvironment,
    JobDefinition,
    Network,
)
from nextstrain_batch.account.vpc import InternetGateway
from nextstrain_batch.errors import AwsError

ENVIRONMENT = ComputeEnvironment(
    "env", 16, SERVICE_ROLE, "role", Network("vpc-1", None, ("subnet-1",), ("sg-1",))
)
DEFINITION = JobDefinition("job", "image", "role", 4, 7200)
WHO = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"}

FAILED = "CLIENT_ERROR - "
ROLE_OF_BATCH = "arn:aws:sts::123456789012:assumed-role/AWSServiceRoleForBatch/aws-batch"
REASONS = [
    f"{FAILED}Invalid IamInstanceProfile: role",
    f"{FAILED}User: batch.amazonaws.com is not authorized to perform: sts:AssumeRole on: x",
    f"{FAILED}User: {ROLE_OF_BATCH} is not authorized to perform: ecs:DescribeClusters",
]
REFUSALS = [
    "Invalid IAM Instance Profile name",
    'IAM Instance Profile "arn:aws:iam::1:instance-profile/role" has no associated IAM Roles',
    "Role is not valid",
    "Role arn:aws:iam::123456789012:role/role does not exist",
]
LASTING = (
    "User: arn:aws:iam::123456789012:user/ada is not authorized to perform: iam:PassRole on"
    " resource: arn:aws:iam::123456789012:role/role"
)


class Aws:
    """Batch that fails the first calls: refuses them, or lets an environment become invalid."""

    def __init__(self, refusals=(), reasons=()):
        self.refusals = list(refusals)
        self.reasons = list(reasons)
        self.calls = []
        self.waits = []
        self.place = Place(lambda _: self, "us-east-1", sleep=self.waits.append)

    def get_caller_identity(self):
        return WHO

    def describe_compute_environments(self, **_):
        status = {"status": "INVALID", "statusReason": self.reasons[0]} if self.reasons else {}
        return {"computeEnvironments": [{"status": "VALID", **status}]}

    def update_compute_environment(self, **parameters):
        self.calls.append(("update", parameters))
        if self.reasons:
            self.reasons.pop(0)

    def create_compute_environment(self, **_):
        self.asked("environment")

    def register_job_definition(self, **_):
        self.asked("definition")

    def attach_internet_gateway(self, **_):
        self.asked("gateway")

    def create_internet_gateway(self, **_):
        return {"InternetGateway": {"InternetGatewayId": "igw-1"}}

    def describe_vpcs(self, **_):
        self.asked("vpcs")
        return {"Vpcs": [] if self.calls.count(("vpcs", None)) < 3 else [{"VpcId": "vpc-1"}]}

    def asked(self, what):
        self.calls.append((what, None))
        if self.refusals and what != "vpcs":
            raise self.refusals.pop(0)


def refusal(text, code="ClientException"):
    return client_error(code, text, status=400)


def make(wanted, aws):
    KINDS[type(wanted)].make(wanted, aws.place)


@pytest.mark.parametrize("text", REFUSALS)
@pytest.mark.parametrize("wanted", [ENVIRONMENT, DEFINITION], ids=["environment", "definition"])
def test_a_role_that_is_not_known_yet_is_waited_for(wanted, text):
    """The call is made again, after longer and longer pauses, until it is let pass."""
    aws = Aws([refusal(text)] * 3)
    make(wanted, aws)
    assert len(aws.calls) == 4
    assert tuple(aws.waits) == PATIENCE[:3]


@pytest.mark.parametrize("reason", REASONS)
def test_an_environment_that_is_invalid_for_such_a_role_is_looked_at_again(reason):
    """AWS Batch looks at roles only afterwards; an update without changes lets it try again."""
    aws = Aws(reasons=[reason] * 3)
    make(ENVIRONMENT, aws)
    again = ("update", {"computeEnvironment": "env", "state": "ENABLED"})
    assert aws.calls == [("environment", None), again, again, again]
    assert tuple(aws.waits) == PATIENCE[:3]


def test_patience_ends():
    """What does not pass in a minute is an error with AWS's words."""
    with pytest.raises(ClientError, match="Role is not valid"):
        make(DEFINITION, aws := Aws([refusal("Role is not valid")] * 9))
    assert tuple(aws.waits) == PATIENCE
    with pytest.raises(AwsError, match="Invalid IamInstanceProfile"):
        make(ENVIRONMENT, aws := Aws(reasons=REASONS[:1] * 9))
    assert tuple(aws.waits) == PATIENCE


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AccessDeniedException", LASTING),
        ("ClientException", "Object already exists"),
        ("ClientException", "The role's instance type x is not supported"),
        ("TooManyRequestsException", "Too Many Requests"),
    ],
)
def test_what_does_not_pass_is_not_waited_for(code, text):
    """A permission that lacks, or a mistake, is an error at once."""
    aws = Aws([refusal(text, code)])
    with pytest.raises(ClientError):
        make(ENVIRONMENT, aws)
    assert (len(aws.calls), aws.waits) == (1, [])


def test_an_environment_that_is_invalid_for_another_reason_is_an_error():
    """The reason is AWS's own, and nothing is tried again."""
    aws = Aws(reasons=["CLIENT_ERROR - The subnet ID 'subnet-1' does not exist"])
    with pytest.raises(AwsError, match="'subnet-1' does not exist"):
        make(ENVIRONMENT, aws)
    assert aws.waits == []


def test_an_environment_that_was_left_invalid_is_mended():
    """It is not an error that it is invalid before, only afterwards."""
    aws = Aws(reasons=["CLIENT_ERROR - something that was mended since"])
    KINDS[ComputeEnvironment].mend(ENVIRONMENT, aws.place, Found(ours=True))
    assert aws.calls == [("update", {"computeEnvironment": "env", "state": "ENABLED"})]
    assert aws.waits == []


def test_what_ec2_has_just_made_is_waited_for():
    """Neither a list that lacks it nor "not found" ends a set-up at once."""
    unknown = client_error("InvalidInternetGatewayID.NotFound", "The ID does not exist", status=400)
    aws = Aws([unknown])
    vpc.InternetGatewayKind().make(InternetGateway("net"), aws.place)
    assert [what for what, _ in aws.calls] == ["vpcs"] * 3 + ["gateway"] * 2
    assert tuple(aws.waits) == (*PATIENCE[:2], PATIENCE[0])
