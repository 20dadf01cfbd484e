"""IAM: who may do what, and how a denial reads."""

import json
import secrets

import botocore.session
from botocore.config import Config

from ..place import refused
from . import case

AREA = "IAM"


def clients_of(aws, *statements):
    """Return clients of a new user, who is allowed what the statements say."""
    iam = aws.client("iam")
    name = f"user-{secrets.token_hex(4)}"
    iam.create_user(UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]

    def client(service):
        return botocore.session.Session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=None if aws.plain else aws.batch.meta.endpoint_url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            config=Config(
                proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}
            ),
        )

    return client


@case(AREA)
def denied_by_batch(aws):
    """Without a policy, Batch answers with AccessDeniedException, naming user and action."""
    with refused("AccessDeniedException", says="batch:DescribeJobs"):
        clients_of(aws)("batch").describe_jobs(jobs=["x"])


@case(AREA)
def denied_by_logs(aws):
    """Without a policy, Logs answers with AccessDeniedException."""
    with refused("AccessDeniedException", says="logs:GetLogEvents"):
        clients_of(aws)("logs").get_log_events(logGroupName="x", logStreamName="y")


@case(AREA)
def denied_by_s3(aws):
    """Without a policy, S3 answers with AccessDenied."""
    with refused("AccessDenied"):
        clients_of(aws)("s3").list_objects_v2(Bucket=aws.bucket)


@case(AREA)
def identity_needs_nothing(aws):
    """Everybody may ask who they are."""
    found = clients_of(aws)("sts").get_caller_identity()
    assert ":user/" in found["Arn"]


@case(AREA)
def allowed_by_resource(aws):
    """A permission is for the resources that it names, and for no others."""
    statement = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{aws.bucket}/mine/*",
    }
    for key in ("mine/x", "yours/x"):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"content")
    s3 = clients_of(aws, statement)("s3")
    assert s3.get_object(Bucket=aws.bucket, Key="mine/x")["Body"].read() == b"content"
    with refused("AccessDenied"):
        s3.get_object(Bucket=aws.bucket, Key="yours/x")


@case(AREA)
def deny_wins(aws):
    """What is denied stays denied, whatever allows it."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    but = {"Effect": "Deny", "Action": "batch:DescribeJobs", "Resource": "*"}
    batch = clients_of(aws, everything, but)("batch")
    batch.describe_job_queues()
    with refused("AccessDeniedException"):
        batch.describe_jobs(jobs=["x"])
