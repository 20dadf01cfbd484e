"""What a request asks for, by its form; botocore makes the requests."""

import functools
import io
import json

import botocore.session
import pytest
from botocore.config import Config

from nextstrain_batch.sandbox.iam.calls import body
from nextstrain_batch.sandbox.iam.identify import identify

ACCOUNT = "123456789012"
BUCKET, OBJECT = "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/some/key é"
NAMED = {"Bucket": "bucket", "Key": "some/key é"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Jobs"
GROUP = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/batch/job:log-stream:"


class SentError(Exception):
    """Stands for the answer: nothing is sent."""


def environ_of(request):
    """Return what a WSGI server makes of a request."""
    path, _, query = request.url.removeprefix("http://127.0.0.1:1").partition("?")
    sent = request.body or b""
    data = sent.encode() if isinstance(sent, str) else sent
    data = data if isinstance(data, bytes) else data.read()
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value
        if isinstance(value, str)
        else value.decode()
        for name, value in request.headers.items()
    }
    return {
        **headers,
        "REQUEST_METHOD": request.method,
        "REQUEST_URI": f"{path}?{query}",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": io.BytesIO(data),
    }


@functools.cache
def client(service):
    return botocore.session.Session().create_client(
        service,
        endpoint_url="http://127.0.0.1:1",
        region_name="eu-west-1",
        aws_access_key_id="AKIAADA",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def environ_for(service, operation, **parameters):
    """Return the request that botocore would send for an operation."""
    found = {}

    def catch(request, **_):
        found.update(environ_of(request))
        raise SentError

    made = client(service)
    made.meta.events.register_first("before-send", catch)
    with pytest.raises(SentError):
        getattr(made, operation)(**parameters)
    made.meta.events.unregister("before-send", catch)
    return found


def call(service, operation, **parameters):
    return identify(environ_for(service, operation, **parameters), ACCOUNT)


def needs(found):
    return [(need.action, need.resource) for need in found.needs]


SETTING = {"Bucket": "bucket"}
S3 = [
    ("list_buckets", {}, "ListBuckets", [("s3:ListAllMyBuckets", "arn:aws:s3:::*")]),
    ("create_bucket", SETTING, "CreateBucket", [("s3:CreateBucket", BUCKET)]),
    ("delete_bucket", SETTING, "DeleteBucket", [("s3:DeleteBucket", BUCKET)]),
    ("head_bucket", SETTING, "HeadBucket", [("s3:ListBucket", BUCKET)]),
    ("list_objects", SETTING, "ListObjects", [("s3:ListBucket", BUCKET)]),
    ("list_objects_v2", SETTING, "ListObjectsV2", [("s3:ListBucket", BUCKET)]),
    ("list_object_versions", SETTING, "ListObjectVersions", [("s3:ListBucketVersions", BUCKET)]),
    ("list_multipart_uploads", SETTING, "ListMultipartUploads",
     [("s3:ListBucketMultipartUploads", BUCKET)]),
    ("get_bucket_location", SETTING, "GetBucketLocation", [("s3:GetBucketLocation", BUCKET)]),
    ("get_bucket_policy", SETTING, "GetBucketPolicy", [("s3:GetBucketPolicy", BUCKET)]),
    ("delete_bucket_policy", SETTING, "DeleteBucketPolicy", [("s3:DeleteBucketPolicy", BUCKET)]),
    ("get_bucket_encryption", SETTING, "GetBucketEncryption",
     [("s3:GetEncryptionConfiguration", BUCKET)]),
    ("delete_bucket_lifecycle", SETTING, "DeleteBucketLifecycleConfiguration",
     [("s3:PutLifecycleConfiguration", BUCKET)]),
    ("get_public_access_block", SETTING, "GetPublicAccessBlock",
     [("s3:GetBucketPublicAccessBlock", BUCKET)]),
    ("put_bucket_tagging", {**SETTING, "Tagging": {"TagSet": []}}, "PutBucketTagging",
     [("s3:PutBucketTagging", BUCKET)]),
    ("get_object", NAMED, "GetObject", [("s3:GetObject", OBJECT)]),
    ("get_object", {**NAMED, "VersionId": "1"}, "GetObject", [("s3:GetObjectVersion", OBJECT)]),
    ("head_object", NAMED, "HeadObject", [("s3:GetObject", OBJECT)]),
    ("put_object", {**NAMED, "Body": b"x"}, "PutObject", [("s3:PutObject", OBJECT)]),
    ("put_object", {**NAMED, "Body": b"x", "ACL": "public-read", "Tagging": "a=b"}, "PutObject",
     [("s3:PutObject", OBJECT), ("s3:PutObjectAcl", OBJECT), ("s3:PutObjectTagging", OBJECT)]),
    ("copy_object", {**NAMED, "CopySource": {"Bucket": "other", "Key": "a b"}}, "CopyObject",
     [("s3:PutObject", OBJECT), ("s3:GetObject", "arn:aws:s3:::other/a b")]),
    ("delete_object", NAMED, "DeleteObject", [("s3:DeleteObject", OBJECT)]),
    ("delete_objects", {**SETTING, "Delete": {"Objects": [{"Key": "a"}, {"Key": "b&c"}]}},
     "DeleteObjects",
     [("s3:DeleteObject", f"{BUCKET}/a"), ("s3:DeleteObject", f"{BUCKET}/b&c")]),
    ("create_multipart_upload", NAMED, "CreateMultipartUpload", [("s3:PutObject", OBJECT)]),
    ("upload_part", {**NAMED, "PartNumber": 1, "UploadId": "u", "Body": b"x"}, "UploadPart",
     [("s3:PutObject", OBJECT)]),
    ("upload_part_copy", {**NAMED, "PartNumber": 1, "UploadId": "u", "CopySource": "other/a"},
     "UploadPartCopy", [("s3:PutObject", OBJECT), ("s3:GetObject", "arn:aws:s3:::other/a")]),
    ("complete_multipart_upload", {**NAMED, "UploadId": "u"}, "CompleteMultipartUpload",
     [("s3:PutObject", OBJECT)]),
    ("abort_multipart_upload", {**NAMED, "UploadId": "u"}, "AbortMultipartUpload",
     [("s3:AbortMultipartUpload", OBJECT)]),
    ("list_parts", {**NAMED, "UploadId": "u"}, "ListParts",
     [("s3:ListMultipartUploadParts", OBJECT)]),
    ("get_object_torrent", NAMED, "GetObjectTorrent", [("s3:GetObjectTorrent", OBJECT)]),
    ("delete_bucket_metadata_configuration", SETTING, "DeleteBucketMetadataTableConfiguration",
     [("s3:DeleteBucketMetadataTableConfiguration", BUCKET)]),
    ("get_object_tagging", NAMED, "GetObjectTagging", [("s3:GetObjectTagging", OBJECT)]),
    ("get_object_acl", {**NAMED, "VersionId": "1"}, "GetObjectAcl",
     [("s3:GetObjectVersionAcl", OBJECT)]),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "parameters", "name", "expected"), S3)
def test_s3(operation, parameters, name, expected):
    """Objects and buckets have ARNs of their own; a copy takes both its ends."""
    found = call("s3", operation, **parameters)
    assert (found.operation, needs(found)) == (name, expected)


def test_a_listing_tells_its_prefix():
    """Policies may be about it."""
    found = call("s3", "list_objects_v2", Bucket="bucket", Prefix="packs/", MaxKeys=7)
    assert found.needs[0].values == {"s3:prefix": ("packs/",), "s3:max-keys": ("7",)}


def arn(kind):
    return f"arn:aws:batch:eu-west-1:{ACCOUNT}:{kind}"


BATCH = [
    ("describe_jobs", {"jobs": ["1"]}, [("batch:DescribeJobs", "*")]),
    ("list_jobs", {"jobQueue": "q"}, [("batch:ListJobs", "*")]),
    ("terminate_job", {"jobId": "1", "reason": "x"}, [("batch:TerminateJob", arn("job/1"))]),
    ("submit_job", {"jobName": "n", "jobQueue": "q", "jobDefinition": "d:3"},
     [("batch:SubmitJob", arn("job-definition/d:3")), ("batch:SubmitJob", arn("job-queue/q"))]),
    ("submit_job",
     {"jobName": "n", "jobQueue": arn("job-queue/q"), "jobDefinition": "d", "tags": {"a": "b"}},
     [("batch:SubmitJob", arn("job-definition/d")), ("batch:SubmitJob", arn("job-queue/q")),
      ("batch:TagResource", arn("job-definition/d")), ("batch:TagResource", arn("job-queue/q"))]),
    ("register_job_definition",
     {"jobDefinitionName": "d", "type": "container",
      "containerProperties": {"image": "i", "jobRoleArn": ROLE}},
     [("batch:RegisterJobDefinition", arn("job-definition/d")), ("iam:PassRole", ROLE)]),
    ("get_job_queue_snapshot", {"jobQueue": "q"},
     [("batch:GetJobQueueSnapshot", arn("job-queue/q"))]),
    ("create_compute_environment",
     {"computeEnvironmentName": "c", "type": "MANAGED", "serviceRole": "Service"},
     [("batch:CreateComputeEnvironment", arn("compute-environment/c")),
      ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/Service")]),
    ("tag_resource", {"resourceArn": arn("job/1"), "tags": {"a": "b"}},
     [("batch:TagResource", arn("job/1"))]),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "parameters", "expected"), BATCH)
def test_batch(operation, parameters, expected):
    """Names become ARNs; roles that are handed over take a permission of their own."""
    assert needs(call("batch", operation, **parameters)) == expected


TAGGED = {"aws:requesttag/owner": ("me",), "aws:tagkeys": ("Owner",)}


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("submit_job", {"jobName": "n", "jobQueue": "q", "jobDefinition": "d"}, {}),
        ("submit_job",
         {"jobName": "n", "jobQueue": "q", "jobDefinition": "d", "tags": {"Owner": "me"}}, TAGGED),
        ("tag_resource", {"resourceArn": arn("job/1"), "tags": {"Owner": "me"}}, TAGGED),
        ("untag_resource", {"resourceArn": arn("job/1"), "tagKeys": ["Owner", "b"]},
         {"aws:tagkeys": ("Owner", "b")}),
        ("terminate_job", {"jobId": "1", "reason": "x"}, {}),
    ],
)  # fmt: skip
def test_tags_in_a_request_are_known_to_policies(operation, parameters, expected):
    """Those that it adds with their values, those that it removes by their keys."""
    found = call("batch", operation, **parameters)
    assert [dict(need.values) for need in found.needs] == [expected] * len(found.needs)


def test_a_role_is_passed_to_a_service():
    """Which one, a policy may say."""
    container = {"image": "i", "jobRoleArn": ROLE}
    found = call(
        "batch", "register_job_definition", jobDefinitionName="d", type="container",
        containerProperties=container,
    )  # fmt: skip
    assert found.needs[1].values == {"iam:passedtoservice": ("ecs-tasks.amazonaws.com",)}


LOGS = [
    ("get_log_events", {"logGroupName": "/aws/batch/job", "logStreamName": "a/b"}, f"{GROUP}a/b"),
    ("delete_log_stream", {"logGroupName": "/aws/batch/job", "logStreamName": "a"}, f"{GROUP}a"),
    ("filter_log_events", {"logGroupName": "/aws/batch/job"}, GROUP),
    ("filter_log_events", {"logGroupIdentifier": f"{GROUP.partition(':log-stream')[0]}:*"}, GROUP),
    ("describe_log_streams", {"logGroupName": "/aws/batch/job"}, GROUP),
    ("put_retention_policy", {"logGroupName": "/aws/batch/job", "retentionInDays": 30}, GROUP),
    ("describe_log_groups", {}, f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group::log-stream:"),
]


@pytest.mark.parametrize(("operation", "parameters", "expected"), LOGS)
def test_logs(operation, parameters, expected):
    """A group as a whole is checked as its empty stream."""
    found = call("logs", operation, **parameters)
    assert needs(found) == [(f"logs:{found.operation}", expected)]


IAM = [
    ("get_user", {"UserName": "ada"}, "iam:GetUser", "user/ada"),
    ("get_user", {}, "iam:GetUser", "user/${aws:username}"),
    ("create_access_key", {}, "iam:CreateAccessKey", "user/${aws:username}"),
    ("create_user", {"UserName": "ada", "Path": "/x/"}, "iam:CreateUser", "user/x/ada"),
    ("list_users", {}, "iam:ListUsers", "user/*"),
    ("attach_user_policy", {"UserName": "ada", "PolicyArn": "arn:aws:iam::aws:policy/Something"},
     "iam:AttachUserPolicy", "user/ada"),
    ("add_user_to_group", {"UserName": "ada", "GroupName": "g"}, "iam:AddUserToGroup", "group/g"),
    ("put_group_policy", {"GroupName": "g", "PolicyName": "p", "PolicyDocument": "{}"},
     "iam:PutGroupPolicy", "group/g"),
    ("list_groups_for_user", {"UserName": "ada"}, "iam:ListGroupsForUser", "user/ada"),
    ("create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, "iam:CreateRole",
     "role/r"),
    ("put_role_policy", {"RoleName": "r", "PolicyName": "p", "PolicyDocument": "{}"},
     "iam:PutRolePolicy", "role/r"),
    ("create_policy", {"PolicyName": "p", "PolicyDocument": "{}"}, "iam:CreatePolicy", "policy/p"),
    ("get_instance_profile", {"InstanceProfileName": "i"}, "iam:GetInstanceProfile",
     "instance-profile/i"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "parameters", "action", "resource"), IAM)
def test_iam(operation, parameters, action, resource):
    """Whom or what it changes is its resource; without a name, the caller."""
    expected = [(action, f"arn:aws:iam::{ACCOUNT}:{resource}")]
    assert needs(call("iam", operation, **parameters)) == expected


def test_sts_and_ec2():
    """Who one is may be asked by everybody."""
    assert needs(call("sts", "get_caller_identity")) == []
    role = call("sts", "assume_role", RoleArn=ROLE, RoleSessionName="task")
    assert needs(role) == [("sts:AssumeRole", ROLE)]
    assert needs(call("ec2", "describe_vpcs")) == [("ec2:DescribeVpcs", "*")]
    group = call("ec2", "create_security_group", GroupName="g", Description="d")
    assert needs(group) == [("ec2:CreateSecurityGroup", f"arn:aws:ec2:eu-west-1:{ACCOUNT}:*/*")]


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_address_names_its_key(version):
    """In its query, in the form of either version of signatures."""
    made = botocore.session.Session().create_client(
        "s3", region_name="eu-west-1", endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="AKIAADA", aws_secret_access_key="s",
        config=Config(signature_version=version, s3={"addressing_style": "path"}),
    )  # fmt: skip
    url = made.generate_presigned_url("get_object", NAMED)
    path, _, query = url.removeprefix("http://127.0.0.1:1").partition("?")
    environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": f"{path}?{query}", "QUERY_STRING": query}
    found = identify(environ, ACCOUNT)
    assert (found.signed.access_key, found.operation) == ("AKIAADA", "GetObject")
    assert needs(found) == [("s3:GetObject", OBJECT)]


def test_the_body_can_be_read_again():
    """Whoever answers needs it, too."""
    environ = environ_for("batch", "terminate_job", jobId="1", reason="x")
    identify(environ, ACCOUNT)
    assert json.loads(body(environ)) == {"jobId": "1", "reason": "x"}
