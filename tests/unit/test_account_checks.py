"""What check-setup says where AWS does not let it see, or does not answer."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from fakes_aws import client_error
from nextstrain_batch.account.checks import Subject, Verdict, check
from nextstrain_batch.account.checks.access import Attempt, Permissions, tried
from nextstrain_batch.account.checks.computing import allowed
from nextstrain_batch.account.place import Place
from nextstrain_batch.config import BucketUrl

DENIED = client_error("AccessDenied", "denied", "GetBucketPolicy", 403)
WHO = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"}


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


def subject(error, bucket="s3://our-jobs", **services):
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


@pytest.mark.parametrize(("decision", "answer"), [("allowed", True), ("implicitDeny", False)])
def test_a_simulation_is_believed(decision, answer):
    """Where IAM simulates, nothing is tried."""
    asked = []

    def simulate(**parameters):
        asked.append(parameters)
        return {"EvaluationResults": [{"EvalDecision": decision}]}

    role = {**WHO, "Arn": "arn:aws:sts::123456789012:assumed-role/Admin/ada@example.org"}
    iam = SimpleNamespace(simulate_principal_policy=simulate)
    by_role = subject(DENIED, iam=iam, sts=Service(DENIED, get_caller_identity=role))
    assert Permissions(by_role).granted(Attempt("batch:CancelJob", pytest.fail)) is answer
    assert asked[0]["PolicySourceArn"] == "arn:aws:iam::123456789012:role/Admin"


def test_a_policy_of_any_name_that_allows_it_will_do():
    """Documents are judged by what they allow; a Deny wins, a condition is not counted on."""
    allow = {"Effect": "Allow", "Action": "s3:*Object", "Resource": ["arn:aws:s3:::our-*"]}
    assert allowed([{"Statement": allow}], "s3:GetObject", "arn:aws:s3:::our-jobs/runs/x")
    assert not allowed([{"Statement": allow}], "s3:ListBucket", "arn:aws:s3:::our-jobs")
    assert not allowed(
        [{"Statement": [{**allow, "Condition": {}}]}], "s3:GetObject", "arn:aws:s3:::our-x"
    )
    deny = {**allow, "Effect": "Deny"}
    assert not allowed([{"Statement": [allow, deny]}], "s3:GetObject", "arn:aws:s3:::our-jobs/x")
