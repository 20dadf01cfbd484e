"""What AWS gets wrong, in words."""

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from fakes_aws import client_error
from nextstrain_batch.aws_errors import BusyError, explained, explaining
from nextstrain_batch.errors import (
    AccessDeniedError,
    AwsError,
    ConfigError,
    CredentialsError,
    JobError,
    MissingObjectError,
    StoreError,
    UnreachableError,
)


def connection(kind=boto.EndpointConnectionError):
    return kind(endpoint_url="http://127.0.0.1:9/", error="refused")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (boto.NoCredentialsError(), CredentialsError, ["no AWS credentials", "aws configure"]),
        (
            boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            CredentialsError,
            ["incomplete", "AWS_SECRET_ACCESS_KEY"],
        ),
        (client_error("ExpiredToken"), CredentialsError, ["have expired", "aws sso login"]),
        (client_error("ExpiredTokenException"), CredentialsError, ["have expired"]),
        (client_error("InvalidAccessKeyId"), CredentialsError, ["does not accept", "deleted"]),
        (client_error("UnrecognizedClientException"), CredentialsError, ["does not accept"]),
        (client_error("RequestTimeTooSkewed"), CredentialsError, ["clock"]),
        (
            client_error("InvalidSignatureException", "Signature expired: 2020"),
            CredentialsError,
            ["clock"],
        ),
        (client_error("OptInRequired"), CredentialsError, ["not signed up", "us-west-2"]),
        (boto.UnauthorizedSSOTokenError(), CredentialsError, ["aws sso login"]),
        (boto.ProfileNotFound(profile="lab"), ConfigError, ["lab", "AWS_PROFILE"]),
        (
            boto.ParamValidationError(report="Invalid bucket name: a b"),
            ConfigError,
            ["no possible name", "a b"],
        ),
        (connection(), UnreachableError, ["http://127.0.0.1:9/ cannot be reached", "us-west-2"]),
        (connection(boto.ReadTimeoutError), UnreachableError, ["http://127.0.0.1:9/"]),
        (connection(boto.ConnectTimeoutError), UnreachableError, ["proxy"]),
        (boto.ConnectionClosedError(endpoint_url="x"), UnreachableError, ["network"]),
        (boto.ResponseStreamingError(error="x"), UnreachableError, ["connection to AWS was lost"]),
        (
            boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
            UnreachableError,
            ["connection to AWS was lost"],
        ),
        (client_error("SlowDown", status=503), BusyError, ["slow down"]),
        (client_error("TooManyRequestsException", status=429), BusyError, ["slow down"]),
        (client_error("Weird", status=500), BusyError, ["busy"]),
        (client_error("NoSuchKey"), MissingObjectError, ["no such object"]),
        (
            client_error("NoSuchBucket", BucketName="my-jobs"),
            StoreError,
            ["my-jobs does not exist", "--aws-batch-s3-bucket"],
        ),
        (client_error("404", operation="HeadBucket"), StoreError, ["does not exist"]),
        (client_error("Odd", "Something odd."), AwsError, ["Odd", "Something odd."]),
    ],
)
def test_each_error_has_its_class_cause_and_next_step(error, kind, words):
    """An exception of botocore becomes an error of ours that says what, why and what next."""
    explanation = explained(error, "do it", "us-west-2")
    assert type(explanation) is kind
    text = str(explanation)
    assert text.startswith("Cannot do it:")
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("error", "action", "policy"),
    [
        (
            client_error("AccessDeniedException", operation="SubmitJob"),
            "batch:SubmitJob",
            "NextstrainJobsAccessToBatch",
        ),
        (
            client_error("AccessDenied", operation="UploadPart"),
            "s3:PutObject",
            "NextstrainJobsAccessToBucket",
        ),
        (client_error("403", operation="HeadObject"), "s3:GetObject", "NextstrainJobsAccessToBu"),
        (
            client_error("AccessDeniedException", operation="GetLogEvents"),
            "logs:GetLogEvents",
            "NextstrainJobsAccessToLogs",
        ),
        (
            client_error(
                "AccessDeniedException",
                "User: arn:aws:iam::1:user/ada is not authorized to perform: iam:PassRole on"
                " resource: arn:aws:iam::1:role/NextstrainJobsRole",
                "RegisterJobDefinition",
            ),
            "iam:PassRole",
            "optional policy for using another image",
        ),
        (client_error("AccessDenied", operation="Unheard"), None, "administers"),
    ],
)
def test_a_denial_names_the_action_and_its_policy(error, action, policy):
    """A denied request says which IAM action lacks, and which policy grants it."""
    explanation = explained(error, "do it")
    assert isinstance(explanation, AccessDeniedError)
    assert explanation.action == action
    assert (action or "") in str(explanation)
    assert policy in str(explanation)


@pytest.mark.parametrize(
    "error",
    [
        client_error("PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-1"}),
        client_error(
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'us-east-1' is wrong;"
            " expecting 'eu-west-1'",
        ),
    ],
)
def test_a_bucket_elsewhere_names_both_regions(error):
    """A bucket in another region is an error that names that region and the one in use."""
    explanation = explained(error, "list the packs", "us-east-1")
    assert isinstance(explanation, StoreError)
    assert "eu-west-1" in str(explanation)
    assert "us-east-1" in str(explanation)


def test_other_exceptions_are_not_explained():
    """A bug stays a bug: neither it nor a request that we made wrongly is explained away."""
    assert explained(ValueError("x"), "do it") is None
    assert explained(boto.ParamValidationError(report="Missing jobName"), "do it") is None
    with pytest.raises(ValueError, match="x"), explaining("do it"):
        raise ValueError("x")


def test_an_error_of_ours_passes_through():
    """An error that is explained already keeps its words."""
    with pytest.raises(JobError, match=r"^as it is$"), explaining("do it"):
        raise JobError("as it is")


def test_the_cause_is_kept():
    """The exception of botocore is the cause of ours, for who debugs."""
    with pytest.raises(AwsError) as raised, explaining("do it"):
        raise client_error("Odd")
    assert isinstance(raised.value.__cause__, ClientError)
