"""What check-setup says where AWS does not let it see, or does not answer."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from fakes_aws import client_error
from nextstrain_batch.account.checks import Subject, Verdict, check
from nextstrain_batch.account.checks.access import Attempt, Permissions, documented, tried
from nextstrain_batch.account.checks.computing import allowed, role
from nextstrain_batch.account.checks.network import reach
from nextstrain_batch.account.checks.storage import LOG_GROUP, expiring, logs
from nextstrain_batch.account.place import Place
from nextstrain_batch.config import BucketUrl
from nextstrain_batch.store.pins import EXPIRY

DENIED = client_error("AccessDenied", "denied", "GetBucketPolicy", 403)
WHO = {
    "Account": "123456789012",
    "Arn": "arn:aws:iam::123456789012:user/ada",
    "UserId": "AIDAADA",
}


class Service:
    """A client whose every operation raises, or returns what was scripted for it."""

    def __init__(self, error, **answers):
        self._error = error
        self._answers = answers

    def __getattr__(self, operation):
        def call(**_):
            answer = self._answers.get(operation, self._error)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def subject(error, bucket="s3://our-jobs", tag_jobs=False, **services):
    """Return a subject whose services fail with *error*, but for those given."""
    services = {"sts": Service(error, get_caller_identity=WHO), **services}
    place = Place(lambda name: services.get(name) or Service(error), "us-east-1")
    return Subject(
        place=place,
        own=place,
        bucket=BucketUrl.parse(bucket) if bucket else None,
        queue="queue",
        definition="definition",
        cpus=4,
        memory_mib=7200,
        region_source="the default",
        tag_jobs=tag_jobs,
    )


def verdicts(found):
    return {finding.part: finding.verdict for finding in found}


def test_without_credentials_nothing_else_is_asked():
    """The first line says that there are no credentials, and is the only one."""
    missing = Service(NoCredentialsError())
    found = list(check(subject(DENIED, sts=missing)))
    assert [finding.verdict for finding in found] == [Verdict.FAILED]
    assert "aws configure" in found[0].remedy


def test_what_is_denied_cannot_be_told():
    """A user who may do nothing fails on permissions alone; what they cannot see is not judged."""
    found = verdicts(check(subject(DENIED)))
    failed = {part for part, verdict in found.items() if verdict is Verdict.FAILED}
    assert failed == {
        *("permissions for AWS Batch", "permissions for the bucket", "permissions for logs"),
    }
    assert found["bucket is private"] is Verdict.UNKNOWN
    assert found["job queue"] is Verdict.UNKNOWN


def test_no_answer_cannot_be_told():
    """A connection that fails says nothing about the account."""
    error = EndpointConnectionError(endpoint_url="https://s3.amazonaws.com")
    found = verdicts(check(subject(error)))
    assert set(found.values()) == {Verdict.OK, Verdict.UNKNOWN}
    assert found["credentials and region"] is Verdict.OK


def test_no_bucket_is_a_failure_with_the_way_out():
    """Without a bucket, the first build would fail, and setup makes one."""
    found = {each.part: each for each in check(subject(DENIED, bucket=None))}
    assert found["bucket"].verdict is Verdict.FAILED
    assert "nextstrain setup aws-batch" in found["bucket"].remedy


LEAST = EXPIRY.days
ENDS = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
PREFIXED = "s3://our-jobs/builds"


def rule(days=LEAST, *, name="theirs", status="Enabled", uploads=False, **limits):
    expiration = {"Expiration": {"Days": days} if isinstance(days, int) else days}
    return {"ID": name, "Status": status, **expiration, **(ENDS if uploads else {}), **limits}


def limited(days, **limits):
    """Return a rule for some objects, and ours for all."""
    return [rule(days, Filter=limits), rule(uploads=True, name="all", Filter={"Prefix": ""})]


def expiry(bucket, rules):
    """Return what is found of the expiry of a bucket with these rules."""
    s3 = Service(DENIED, get_bucket_lifecycle_configuration={"Rules": rules})
    return next(each for each in expiring(subject(DENIED, bucket=bucket, s3=s3)))


@pytest.mark.parametrize(
    ("bucket", "rules"),
    [
        ("s3://our-jobs", [rule(uploads=True, Filter={})]),
        ("s3://our-jobs", [rule(LEAST + 60, uploads=True, Prefix="")]),
        (PREFIXED, [rule(uploads=True, Filter={"Prefix": "builds/"})]),
        (PREFIXED, limited(1, Prefix="photos/")),
        (PREFIXED, limited(1, Prefix="packs/")),
        ("s3://our-jobs", limited(1, Prefix="photos/")),
        ("s3://our-jobs", limited(1, Tag={"Key": "scratch", "Value": "yes"})),
        ("s3://our-jobs", limited(1, And={"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]})),
        ("s3://our-jobs", limited({"ExpiredObjectDeleteMarker": True}, Prefix="")),
        ("s3://our-jobs", [rule(1, status="Disabled"), rule(uploads=True)]),
    ],
)
def test_an_expiry_that_builds_can_rely_on(bucket, rules):
    """Rules that remove ours late enough, and others that are about other objects, are fine."""
    assert expiry(bucket, rules).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("bucket", "rules", "days", "mends"),
    [
        ("s3://our-jobs", [rule(7, uploads=True, Filter={"Prefix": ""})], 7, True),
        ("s3://our-jobs", [rule(LEAST - 1, uploads=True)], LEAST - 1, True),
        ("s3://our-jobs", limited({"Date": "2026-01-01"}, Prefix=""), 0, False),
        ("s3://our-jobs", limited(7, Prefix="packs/"), 7, False),
        ("s3://our-jobs", limited(7, Prefix="packs/ab"), 7, False),
        ("s3://our-jobs", limited(7, Prefix="r"), 7, False),
        ("s3://our-jobs", limited(7, ObjectSizeGreaterThan=1000000), 7, False),
        ("s3://our-jobs", limited(7, And={"Prefix": "packs/", "ObjectSizeLessThan": 9}), 7, False),
        (PREFIXED, limited(7, Prefix="builds/agents/"), 7, False),
        (PREFIXED, [rule(7, Prefix="b"), rule(uploads=True)], 7, False),
    ],
)
def test_an_expiry_that_is_too_early(bucket, rules, days, mends):
    """A rule that removes what a waiting job needs is a failure, with its name and a way out.

    Setup changes none that is about some objects only, or that names a date.
    """
    found = expiry(bucket, rules)
    assert found.verdict is Verdict.FAILED
    for part in ("rule theirs ", f"after {days} days", f"rely on {LEAST}"):
        assert part in found.detail
    assert (f"setup aws-batch --expire-days={LEAST}" in found.remedy) is mends


@pytest.mark.parametrize(
    "rules", [[], [rule(Filter={"Prefix": "packs/"})], [rule(Filter={"ObjectSizeLessThan": 9})]]
)
def test_an_expiry_of_some_objects_only(rules):
    """Where no rule is about all of ours, something stays for ever."""
    assert "no rule removes what builds leave" in expiry("s3://our-jobs", rules).detail


NO_SUCH_JOB = client_error("ClientException", "no such job", status=400)


@pytest.mark.parametrize(
    ("tag_jobs", "submits", "verdict", "words"),
    [
        (True, True, Verdict.UNKNOWN, "people may end their own jobs only"),
        (True, False, Verdict.FAILED, "batch:SubmitJob"),
        (False, True, Verdict.FAILED, "batch:TerminateJob"),
    ],
)
def test_whether_own_jobs_can_be_ended_cannot_be_tried(tag_jobs, submits, verdict, words):
    """Where jobs are tagged, a denial about a job that does not exist says nothing."""
    denied = client_error("AccessDeniedException", "denied", status=403)
    batch = Service(
        NO_SUCH_JOB,
        terminate_job=denied,
        cancel_job=denied,
        submit_job=NO_SUCH_JOB if submits else denied,
    )
    found = {each.part: each for each in check(subject(DENIED, tag_jobs=tag_jobs, batch=batch))}
    finding = found["permissions for AWS Batch"]
    assert (finding.verdict, words in finding.detail) == (verdict, True)


def test_who_may_submit_nothing_untagged_is_told_of_the_setting():
    """It may be the one thing that lacks."""
    found = {each.part: each for each in check(subject(DENIED))}
    assert "tag-jobs = true" in found["permissions for AWS Batch"].remedy
    found = {each.part: each for each in check(subject(DENIED, tag_jobs=True))}
    assert "tag-jobs" not in found["permissions for AWS Batch"].remedy


def test_a_simulation_is_of_a_tagged_job_where_jobs_are_tagged():
    """IAM is told the tag that the request or the job would have, and whom it belongs to."""
    asked = []

    def simulate(**parameters):
        asked.append(parameters)
        return {"EvaluationResults": [{"EvalDecision": "allowed"}]}

    iam = SimpleNamespace(simulate_principal_policy=simulate)
    for tag_jobs in (False, True):
        tested = subject(DENIED, tag_jobs=tag_jobs, iam=iam)
        assert Permissions(tested).granted(Attempt("batch:CancelJob", pytest.fail))
    assert asked[0]["ContextEntries"] == []
    assert {
        each["ContextKeyName"]: each["ContextKeyValues"] for each in asked[1]["ContextEntries"]
    } == {
        "aws:userid": ["AIDAADA"],
        "aws:RequestTag/nextstrain-owner": ["AIDAADA"],
        "aws:ResourceTag/nextstrain-owner": ["AIDAADA"],
    }


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (client_error("ClientException", "no such job", status=400), True),
        (client_error("ResourceNotFoundException", "no such stream", status=400), True),
        (client_error("AccessDeniedException", "denied", status=403), False),
        (client_error("InternalFailure", "oops", status=500), None),
        (EndpointConnectionError(endpoint_url="https://batch"), None),
    ],
    ids=str,
)
def test_a_harmless_try_tells_allowed_from_denied(error, answer):
    """A request that AWS finds fault with was let pass; one without an answer says nothing."""

    def call():
        raise error

    assert tried(Attempt("batch:CancelJob", call)) is answer


@pytest.mark.parametrize(("decision", "answer"), [("allowed", True), ("explicitDeny", False)])
def test_a_simulation_is_believed(decision, answer):
    """Where IAM says yes, or that a policy denies it, nothing is tried."""
    asked = []

    def simulate(**parameters):
        asked.append(parameters)
        return {"EvaluationResults": [{"EvalDecision": decision}]}

    role = {**WHO, "Arn": "arn:aws:sts::123456789012:assumed-role/Admin/ada@example.org"}
    iam = SimpleNamespace(simulate_principal_policy=simulate)
    by_role = subject(DENIED, iam=iam, sts=Service(DENIED, get_caller_identity=role))
    assert Permissions(by_role).granted(Attempt("batch:CancelJob", pytest.fail)) is answer
    assert asked[0]["PolicySourceArn"] == "arn:aws:iam::123456789012:role/Admin"


def simulating(decision, missing=(), caller=None, tag_jobs=False):
    """Return permissions of somebody of whom IAM decides so; all else is denied to them."""
    result = {"EvalDecision": decision, "MissingContextValues": list(missing)}
    iam = Service(DENIED, simulate_principal_policy={"EvaluationResults": [result]})
    sts = Service(DENIED, get_caller_identity={**WHO, **(caller or {})})
    return Permissions(subject(DENIED, iam=iam, sts=sts, tag_jobs=tag_jobs))


def test_a_simulation_that_no_policy_allows_it_is_tried():
    """IAM does not know the bucket's policy, which may allow it."""

    def refused():
        raise DENIED

    lost = EndpointConnectionError(endpoint_url="https://s3")
    for call, answer in ((lambda: None, True), (refused, False), (Service(lost).put_object, None)):
        assert simulating("implicitDeny").granted(Attempt("s3:PutObject", call)) is answer


class OneObject(Service):
    """S3 that notes what is written and removed, and allows all of it."""

    def __init__(self):
        super().__init__(DENIED, get_object={}, list_objects_v2={})
        self.keys = set()

    def put_object(self, *, Key, **_):  # noqa: N803
        self.keys.add(Key)

    def delete_object(self, *, Key, **_):  # noqa: N803
        self.keys.discard(Key)


def test_an_object_that_is_written_to_try_it_is_removed():
    """Also where writing had to be tried, and IAM says of removing that it is allowed."""

    def simulate(**parameters):
        writes = parameters["ActionNames"] == ["s3:PutObject"]
        return {"EvaluationResults": [{"EvalDecision": "implicitDeny" if writes else "allowed"}]}

    iam, s3 = SimpleNamespace(simulate_principal_policy=simulate), OneObject()
    found = verdicts(documented(subject(DENIED, iam=iam, s3=s3)))
    assert found["permissions for the bucket"] is Verdict.OK
    assert s3.keys == set()


def test_a_denial_for_want_of_context_is_not_believed():
    """It may be allowed with what IAM was not told; that is tried."""

    def refused():
        raise DENIED

    allowed_when_tried = Attempt("batch:SubmitJob", lambda: None)
    assert simulating("implicitDeny", ["aws:requesttag/x"]).granted(allowed_when_tried) is True
    assert simulating("implicitDeny", ["x:y"]).granted(Attempt("batch:SubmitJob", refused)) is False
    assert simulating("allowed", ["x:y"]).granted(Attempt("batch:SubmitJob", refused)) is True


def test_what_can_only_be_simulated_cannot_be_told_where_it_is_not():
    """To hand a role over is no request of its own. The root user may, whom nobody simulates."""
    passing = Attempt("iam:PassRole", None)
    assert simulating("allowed").granted(passing) is True
    assert simulating("implicitDeny").granted(passing) is False
    assert Permissions(subject(DENIED)).granted(passing) is None
    root = {**WHO, "Arn": "arn:aws:iam::123456789012:root"}
    by_root = subject(DENIED, sts=Service(DENIED, get_caller_identity=root))
    assert Permissions(by_root).granted(passing) is True


def test_a_simulation_knows_what_the_request_would_have():
    """The service that a role is for, and the prefix that is listed."""
    asked = {}

    def simulate(**parameters):
        asked[parameters["ActionNames"][0]] = parameters
        return {"EvaluationResults": [{"EvalDecision": "allowed"}]}

    iam = SimpleNamespace(simulate_principal_policy=simulate)
    tested = subject(DENIED, bucket="s3://our-jobs/users/ada", iam=iam)
    for action in ("iam:PassRole", "s3:ListBucket"):
        Permissions(tested).granted(Attempt(action, None))
    assert context(asked["iam:PassRole"]) == {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}
    assert asked["iam:PassRole"]["ResourceArns"] == [
        "arn:aws:iam::123456789012:role/NextstrainJobsRole"
    ]
    assert context(asked["s3:ListBucket"]) == {
        "aws:username": ["ada"],
        "s3:prefix": ["users/ada/"],
    }


def context(parameters):
    return {
        each["ContextKeyName"]: each["ContextKeyValues"] for each in parameters["ContextEntries"]
    }


OUT = {"DestinationCidrBlock": "0.0.0.0/0", "State": "active"}
SUBNET = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "MapPublicIpOnLaunch": True}


def network(route=None, *, subnet=SUBNET, tags=(), attached=True, endpoints=(), dns=True):
    """Return what is found of the network of an environment whose VPC is as given."""
    table = {"RouteTableId": "rtb-1", "Associations": [{"Main": True}], "Routes": [route or {}]}
    ec2 = Service(
        DENIED,
        describe_subnets={"Subnets": [subnet]},
        describe_vpcs={"Vpcs": [{"VpcId": "vpc-1", "Tags": list(tags)}]},
        describe_route_tables={"RouteTables": [table]},
        describe_internet_gateways={"InternetGateways": [{}] if attached else []},
        describe_vpc_endpoints={"VpcEndpoints": list(endpoints)},
        describe_vpc_attribute={
            "EnableDnsSupport": {"Value": dns},
            "EnableDnsHostnames": {"Value": True},
        },
    )
    order = [{"order": 1, "computeEnvironment": "arn:aws:batch:us-east-1:1:compute-environment/e"}]
    environment = {
        "computeEnvironmentName": "e",
        "computeResources": {"subnets": ["subnet-1"]},
    }
    batch = Service(
        DENIED,
        describe_job_queues={"jobQueues": [{"computeEnvironmentOrder": order}]},
        describe_compute_environments={"computeEnvironments": [environment]},
    )
    (found,) = reach(subject(DENIED, ec2=ec2, batch=batch))
    return found


TO_GATEWAY = {**OUT, "GatewayId": "igw-1"}
INTERFACE = {"VpcEndpointType": "Interface", "State": "available"}
MADE = [{"Key": "made-by", "Value": "nextstrain setup aws-batch"}]


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (network(TO_GATEWAY), Verdict.OK, "a way to the internet"),
        (network({**OUT, "NatGatewayId": "nat-1"}), Verdict.OK, "a way to the internet"),
        (
            network(
                {**OUT, "NatGatewayId": "nat-1"}, subnet=SUBNET | {"MapPublicIpOnLaunch": False}
            ),
            Verdict.OK,
            "a way to the internet",
        ),
        (network(), Verdict.FAILED, "no way to the internet"),
        (network({**TO_GATEWAY, "State": "blackhole"}), Verdict.FAILED, "no way to the internet"),
        (network(TO_GATEWAY, attached=False), Verdict.FAILED, "no way to the internet"),
        (
            network(TO_GATEWAY, subnet=SUBNET | {"MapPublicIpOnLaunch": False}),
            Verdict.FAILED,
            "no public address",
        ),
        (network(TO_GATEWAY, dns=False), Verdict.FAILED, "DNS is off"),
        (network(endpoints=[INTERFACE]), Verdict.UNKNOWN, "endpoints"),
        (network(TO_GATEWAY, tags=MADE), Verdict.FAILED, "the S3 endpoint of vpc-1 is gone"),
    ],
)
def test_whether_instances_can_reach_what_they_need(found, verdict, words):
    """A network that somebody else looks after has to work; one of ours has to be whole, too."""
    assert (found.verdict, words in found.detail) == (verdict, True), found
    ours = "S3 endpoint" in found.detail
    assert ("--new-vpc" in found.remedy) is (verdict is Verdict.FAILED and not ours)


ALLOW = {"Effect": "Allow", "Action": "s3:*Object", "Resource": ["arn:aws:s3:::our-*"]}
DENY = {**ALLOW, "Effect": "Deny"}
IF = {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}
ALL_BUT = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::their-*"}


@pytest.mark.parametrize(
    ("statements", "answer"),
    [
        (ALLOW, True),
        ([{**ALLOW, "Condition": {}}], True),
        ({**ALLOW, "Action": ["s3:PutObject"]}, False),
        ({**ALLOW, "Resource": "arn:aws:s3:::their-*"}, False),
        ([ALLOW, DENY], False),
        ([ALLOW, {**DENY, **IF}], None),
        ({**ALLOW, **IF}, None),
        ([{**ALLOW, **IF}, ALLOW], True),
        ([{**ALLOW, **IF}, DENY], False),
        (ALL_BUT, True),
        ({**ALL_BUT, "NotAction": ["s3:Get*"]}, False),
        ({**ALL_BUT, "NotResource": "arn:aws:s3:::our-*"}, False),
        ([ALLOW, {**ALL_BUT, "Effect": "Deny"}], False),
        ({**DENY, **IF}, False),
    ],
)
def test_a_policy_of_any_name_that_allows_it_will_do(statements, answer):
    """Documents are judged by what they allow; a Deny wins; what conditions decide is open."""
    found = allowed([{"Statement": statements}], "s3:GetObject", "arn:aws:s3:::our-jobs/runs/x")
    assert found is answer


def with_role(document):
    """Return a subject whose job definition has a role with *document*."""
    trust = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    iam = Service(
        DENIED,
        get_role={"Role": {"AssumeRolePolicyDocument": {"Statement": trust}}},
        list_attached_role_policies={"AttachedPolicies": []},
        list_role_policies={"PolicyNames": ["inline"]},
        get_role_policy={"PolicyDocument": document},
    )
    container = {"jobRoleArn": "arn:aws:iam::1:role/jobs"}
    definition = {"revision": 1, "containerProperties": container}
    batch = Service(DENIED, describe_job_definitions={"jobDefinitions": [definition]})
    return subject(DENIED, iam=iam, batch=batch)


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ({"Action": "s3:*"}, Verdict.OK),
        ({"NotAction": "iam:*"}, Verdict.OK),
        ({"Action": "s3:*", **IF}, Verdict.UNKNOWN),
        ({"Action": "s3:Get*"}, Verdict.FAILED),
    ],
)
def test_whether_a_role_reaches_the_bucket(statement, verdict):
    """What depends on a condition cannot be told; that a job tries it is the way to see."""
    document = {"Statement": {"Effect": "Allow", "Resource": "*", **statement}}
    (found,) = role(with_role(document))
    assert found.verdict is verdict
    assert ("--canary" in found.remedy) is (verdict is Verdict.UNKNOWN)


class Revisions:
    """Batch with two revisions of a definition, and the groups that they log to."""

    @staticmethod
    def describe_job_definitions(*, jobDefinitionName, **_):  # noqa: N803
        found = [
            {
                "revision": number,
                "containerProperties": {
                    "logConfiguration": {"options": {"awslogs-group": f"/logs/{number}"}}
                },
            }
            for number in (1, 2)
        ]
        return {"jobDefinitions": found if jobDefinitionName == "definition" else []}


@pytest.mark.parametrize(
    ("name", "group"), [("definition", "/logs/2"), ("definition:1", "/logs/1"), ("x", LOG_GROUP)]
)
def test_the_log_group_is_that_of_the_revision_in_use(name, group):
    """The newest one's, unless the setting names a revision."""
    tested = subject(
        DENIED, batch=Revisions, logs=Service(DENIED, describe_log_groups={"logGroups": []})
    )
    (found,) = logs(replace(tested, definition=name))
    assert f"there is no {group};" in found.detail
