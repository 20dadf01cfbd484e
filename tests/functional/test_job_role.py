"""What the role of jobs can do: what the agent does, and nothing else that there is.

With the credentials that a job gets from the container credentials endpoint, every operation that
botocore knows of a service is called.
"""

import json
import time
from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from nextstrain_batch.sandbox import manager
from nextstrain_batch.store.s3 import S3Transport
from sandbox_account import clients_of

OWN, OTHER = manager.BUCKET, "somebody-elses"
ROLE = "arn:aws:iam::123456789012:role/NextstrainJobsRole"
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"}

FETCH = """
import os, urllib.request
url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
token = {"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
print(urllib.request.urlopen(urllib.request.Request(url, headers=token)).read().decode())
"""

ON_OWN_BUCKET = {
    *("GetObject", "PutObject", "DeleteObject", "ListObjectsV2", "CopyObject"),
    *("DeleteObjects", "HeadObject", "HeadBucket", "ListObjects", "CreateMultipartUpload"),
    *("UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "SelectObjectContent"),
}
"""The operations that take no other actions than the four of the policy: the pieces of an upload
PutObject, say, and the head of a bucket ListBucket."""
OF_OTHER_SERVICES = {"ListDirectoryBuckets", "WriteGetObjectResponse"}
"""In S3's model, but signed for services that the sandbox has not."""
FOR_EVERYBODY = {"sts": {"GetCallerIdentity", "GetSessionToken"}}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield home
    manager.stop(home)


@pytest.fixture(scope="module")
def endpoint(home):
    """Return the sandbox as a member of the group reaches it."""
    return manager.ensure(home)


@pytest.fixture(scope="module")
def credentials(endpoint):
    """Return what a job of the account's own definition prints of its credentials."""
    clients = clients_of(endpoint)
    batch, logs = clients("batch"), clients("logs")
    job = batch.submit_job(
        jobName="fetch",
        jobQueue="nextstrain-job-queue",
        jobDefinition="nextstrain-job",
        containerOverrides={"command": ["python3", "-c", FETCH]},
    )["jobId"]
    found, limit = {"status": ""}, time.monotonic() + 30
    while found["status"] not in {"SUCCEEDED", "FAILED"}:
        assert time.monotonic() < limit
        time.sleep(0.1)
        (found,) = batch.describe_jobs(jobs=[job])["jobs"]
    stream = found["container"]["logStreamName"]
    events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)["events"]
    assert found["status"] == "SUCCEEDED", events
    return json.loads(events[0]["message"])


@pytest.fixture(scope="module")
def client(endpoint, credentials):
    """Return clients with a job's credentials, which send whatever they are told to."""
    made = {}

    def of(service):
        if service not in made:
            made[service] = botocore.session.Session().create_client(
                service,
                endpoint_url=endpoint.url,
                region_name=endpoint.region,
                aws_access_key_id=credentials["AccessKeyId"],
                aws_secret_access_key=credentials["SecretAccessKey"],
                aws_session_token=credentials["Token"],
                config=Config(
                    proxies={},
                    s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 1},
                    parameter_validation=False,
                    inject_host_prefix=False,
                ),
            )
        return made[service]

    return of


def test_they_are_the_job_role_s(client, credentials):
    """And of a session that is the job's own."""
    assert credentials["RoleArn"] == ROLE
    assert ":assumed-role/NextstrainJobsRole/" in client("sts").get_caller_identity()["Arn"]


def test_they_do_for_the_agent(client):
    """Whatever the agent asks of the bucket, by way of the one transport that it has."""
    store = S3Transport(client("s3"), OWN, "runs/of-a-test")
    assert store.put("a", b"12345", if_absent=True)
    assert not store.put("a", b"other", if_absent=True)
    assert store.get("a", 1, 3) == b"234"
    assert [each.key for each in store.list("")] == ["a"]
    store.renew("a")
    store.delete("a")
    assert list(store.list("")) == []


def operations(service):
    """Return the operations of a service that are signed, by name."""
    model = botocore.session.Session().get_service_model(service)
    found = {name: model.operation_model(name) for name in model.operation_names}
    return {
        name: each
        for name, each in found.items()
        if each.auth_type != "none" and name not in OF_OTHER_SERVICES
    }


def sample(shape, name="", known=None):
    """Return a value of a shape with what is required of it, or what is *known* for its name."""
    if known and name in known:
        return known[name]
    match shape.type_name:
        case "structure":
            wanted = shape.required_members or list(shape.members)[: bool(shape.is_tagged_union)]
            return {each: sample(shape.members[each], each, known) for each in wanted}
        case "list":
            return [sample(shape.member, "", known)]
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
        case "integer" | "long":
            return max(1, shape.metadata.get("min", 1))
        case "timestamp":
            return datetime(2026, 11, 23, tzinfo=UTC)
    return {"map": {}, "boolean": True, "blob": b"x", "float": 1.0, "double": 1.0}[shape.type_name]


def let_pass(client, service, known=None):
    """Call every operation; return those that were not denied."""
    found = set()
    for name, operation in operations(service).items():
        parameters = sample(operation.input_shape, "", known) if operation.input_shape else {}
        method = botocore.xform_name(name)
        try:
            answer = getattr(client(service), method)(**parameters)
        except ClientError as error:
            answer = {"Errors": [error.response["Error"]]}
        # DeleteObjects answers for each object by itself.
        if not any(each.get("Code") in DENIED for each in answer.get("Errors", ())):
            found.add(name)
    return found


@pytest.mark.parametrize("service", ["batch", "iam", "logs", "ec2", "sts"])
def test_they_do_for_nothing_of_other_services(client, service):
    """No operation of theirs is allowed, but to ask who one is."""
    assert len(operations(service)) > 5
    assert let_pass(client, service) == FOR_EVERYBODY.get(service, set())


def test_they_do_for_the_objects_of_one_bucket_and_not_for_its_settings(client):
    """Of all that S3 can do, the operations whose actions the policy names."""
    found = let_pass(client, "s3", {"Bucket": OWN, "Key": "x", "CopySource": f"{OWN}/x"})
    assert found == ON_OWN_BUCKET


def test_they_do_for_no_other_bucket(home, client):
    """Nor for copies into it or out of it."""
    s3 = clients_of(manager.administrator(home))("s3")
    s3.create_bucket(Bucket=OTHER)
    s3.put_object(Bucket=OTHER, Key="x", Body=b"secret")
    assert let_pass(client, "s3", {"Bucket": OTHER, "Key": "x", "CopySource": f"{OWN}/x"}) == set()
    for target, source in ((OWN, OTHER), (OTHER, OWN)):
        with pytest.raises(ClientError, match="AccessDenied"):
            client("s3").copy_object(Bucket=target, Key="y", CopySource=f"{source}/x")


@pytest.mark.parametrize("role", ["NextstrainJobsRole", "NextstrainJobsInstanceRole"])
def test_they_take_on_no_role(client, role):
    """Not even their own again."""
    arn = f"arn:aws:iam::123456789012:role/{role}"
    with pytest.raises(ClientError, match="AccessDenied"):
        client("sts").assume_role(RoleArn=arn, RoleSessionName="x")
