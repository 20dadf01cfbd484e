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


def allow(*actions, **condition):
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", "Condition": condition}


@case(AREA)
def tags_at_submission(aws):
    """To submit a job with tags takes batch:TagResource, too, on the definition."""
    batch = clients_of(aws, allow("batch:SubmitJob"))("batch")
    aws.submit("true", batch=batch)
    with refused("AccessDeniedException", says="batch:TagResource on resource: arn:aws:batch"):
        aws.submit("true", batch=batch, tags={"a": "b"})


@case(AREA)
def by_request_tag(aws):
    """A policy may ask for a tag's value in a request, and for no other keys than some."""
    only = {"StringEquals": {"aws:RequestTag/team": "ours"}}
    keys = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "run"]}}
    statement = allow("batch:SubmitJob", "batch:TagResource", **only, **keys)
    batch = clients_of(aws, statement)("batch")
    aws.submit("true", batch=batch, tags={"team": "ours", "run": "1"})
    for tags in ({}, {"team": "theirs"}, {"team": "ours", "else": "x"}):
        with refused("AccessDeniedException"):
            aws.submit("true", batch=batch, tags=tags)


@case(AREA)
def by_tag_of_the_job(aws):
    """A policy may tell jobs apart by their tags, as they are at that moment."""
    job = aws.submit("sleep", "1000", tags={"team": "theirs"})
    arn = aws.job(job)["jobArn"]
    statement = allow("batch:TerminateJob", StringEquals={"aws:ResourceTag/team": "ours"})
    batch = clients_of(aws, statement)("batch")
    try:
        with refused("AccessDeniedException", says=arn):
            batch.terminate_job(jobId=job, reason="x")
        aws.batch.tag_resource(resourceArn=arn, tags={"team": "ours"})
        batch.terminate_job(jobId=job, reason="x")
    finally:
        aws.end(job)


@case(AREA)
def by_user(aws):
    """${aws:userid} in a policy is what GetCallerIdentity gives as UserId."""
    statement = allow(
        "batch:SubmitJob", "batch:TagResource", StringEquals={"aws:RequestTag/who": "${aws:userid}"}
    )
    client = clients_of(aws, statement)
    who = client("sts").get_caller_identity()["UserId"]
    aws.submit("true", batch=client("batch"), tags={"who": who})
    with refused("AccessDeniedException"):
        aws.submit("true", batch=client("batch"), tags={"who": "AIDASOMEBODY"})


def simulation(aws, *statements, **request):
    """Return what IAM says that a new user with some statements may do."""
    sts = clients_of(aws, *statements)("sts")
    source = sts.get_caller_identity()["Arn"]
    answer = aws.client("iam").simulate_principal_policy(PolicySourceArn=source, **request)
    assert answer["IsTruncated"] is False
    return answer["EvaluationResults"]


@case(AREA)
def simulated(aws):
    """SimulatePrincipalPolicy tells for each action: allowed, implicitDeny or explicitDeny."""
    statements = [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
    ]
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    found = simulation(aws, *statements, ActionNames=actions, ResourceArns=["arn:aws:s3:::b/x"])
    decisions = [(each["EvalActionName"], each["EvalDecision"]) for each in found]
    wanted = ["allowed", "implicitDeny", "explicitDeny"]
    assert sorted(decisions) == sorted(zip(actions, wanted, strict=True))


@case(AREA)
def simulated_resources(aws):
    """SimulatePrincipalPolicy has one result an action, and in it one for each resource."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/mine/*"}
    arns = ["arn:aws:s3:::b/mine/x", "arn:aws:s3:::b/yours/x"]
    (found,) = simulation(aws, statement, ActionNames=["s3:GetObject"], ResourceArns=arns)
    assert found["EvalDecision"] == "implicitDeny"
    parts = {
        each["EvalResourceName"]: each["EvalResourceDecision"]
        for each in found["ResourceSpecificResults"]
    }
    assert parts == dict(zip(arns, ["allowed", "implicitDeny"], strict=True))


@case(AREA)
def simulated_context(aws):
    """Conditions are simulated with the context that is given; keys that lack are named."""
    role = "arn:aws:iam::123456789012:role/x"
    statement = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role,
        "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    }
    request = {"ActionNames": ["iam:PassRole"], "ResourceArns": [role]}
    (found,) = simulation(aws, statement, **request)
    assert found["EvalDecision"] == "implicitDeny"
    parts = [found, *found["ResourceSpecificResults"]]
    missing = {key.lower() for part in parts for key in part.get("MissingContextValues", ())}
    assert missing == {"iam:passedtoservice"}
    service = {
        "ContextKeyName": "iam:PassedToService",
        "ContextKeyType": "string",
        "ContextKeyValues": ["ecs-tasks.amazonaws.com"],
    }
    (found,) = simulation(aws, statement, ContextEntries=[service], **request)
    assert found["EvalDecision"] == "allowed"


@case(AREA)
def simulation_needs_permission(aws):
    """SimulatePrincipalPolicy takes a permission of its own, also about oneself."""
    client = clients_of(aws)
    source = client("sts").get_caller_identity()["Arn"]
    with refused("AccessDenied", says="iam:SimulatePrincipalPolicy"):
        client("iam").simulate_principal_policy(
            PolicySourceArn=source, ActionNames=["s3:GetObject"]
        )
