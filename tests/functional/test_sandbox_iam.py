"""The sandbox's permissions and journal, as clients of a real server meet them."""

import http.client
import json
import time
from contextlib import contextmanager

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from nextstrain_batch.account import policies
from nextstrain_batch.errors import SandboxError
from nextstrain_batch.sandbox import breaking, journal, manager, member
from nextstrain_batch.sandbox.layout import Layout

ACCOUNT, BUCKET, USER = "123456789012", manager.BUCKET, member.USER
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/{USER}"
DEFINITION = "nextstrain-job"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/NextstrainJobsRole"


class Sandbox:
    """A running sandbox, and clients of it for whichever keys."""

    def __init__(self, home):
        self.home = home
        self.endpoint = manager.ensure(home)
        self.administrator = manager.administrator(home)
        self.made = {}

    def client(self, service, keys=None, **config):
        keys = keys or (self.endpoint.access_key, self.endpoint.secret_key)
        place = (service, *keys, *config)
        if place not in self.made:
            self.made[place] = botocore.session.Session().create_client(
                service,
                endpoint_url=self.endpoint.url,
                region_name=self.endpoint.region,
                aws_access_key_id=keys[0],
                aws_secret_access_key=keys[1],
                aws_session_token=keys[2] if len(keys) > 2 else None,
                config=Config(
                    proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1},
                    **config,
                ),
            )  # fmt: skip
        return self.made[place]

    def admin(self, service):
        return self.client(service, (self.administrator.access_key, self.administrator.secret_key))

    @contextmanager
    def allowing(self, *statements):
        """Give the user more, as an inline policy."""
        document = policies.document(*statements)
        self.admin("iam").put_user_policy(UserName=USER, PolicyName="more", PolicyDocument=document)
        try:
            yield
        finally:
            self.admin("iam").delete_user_policy(UserName=USER, PolicyName="more")

    def journal(self, since=None):
        return list(journal.read(Layout(self.home).journal, since))

    def last(self, operation):
        """Return the last call of an operation; it is written just after its answer."""
        for _ in range(100):
            found = [each for each in self.journal() if each.operation == operation]
            if found:
                return found[-1]
            time.sleep(0.02)
        return pytest.fail(f"no {operation} in the journal")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    home = tmp_path_factory.mktemp("sandbox")
    yield Sandbox(home)
    manager.stop(home)


@contextmanager
def refused(code, *words):
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    for word in words:
        assert word in error["Message"]


def statement(*actions, resource="*", **more):
    return {**policies.allow(actions, resource), **more}


def test_a_member_may_what_the_documented_policies_allow(sandbox):
    """And each of those calls is answered."""
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="mine", Body=b"x")
    assert s3.get_object(Bucket=BUCKET, Key="mine")["Body"].read() == b"x"
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/mine")
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2
    s3.delete_object(Bucket=BUCKET, Key="mine")
    batch = sandbox.client("batch")
    assert batch.describe_job_queues()["jobQueues"]
    assert batch.describe_job_definitions()["jobDefinitions"]
    assert batch.describe_jobs(jobs=["unknown"])["jobs"] == []
    sandbox.client("logs").filter_log_events(logGroupName="/aws/batch/job")
    identity = sandbox.client("sts").get_caller_identity()
    assert identity["Arn"] == USER_ARN


def sentence(action, resource):
    return (
        f"User: {USER_ARN} is not authorized to perform: {action} on resource: {resource}"
        f" because no identity-based policy allows the {action} action"
    )


def test_denials_have_each_service_s_own_form(sandbox):
    """Code, status and AWS's sentence, as clients read them."""
    with refused("AccessDenied", sentence("s3:GetBucketPolicy", f'"arn:aws:s3:::{BUCKET}"')):
        sandbox.client("s3").get_bucket_policy(Bucket=BUCKET)
    queue = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/q"
    with refused("AccessDeniedException", sentence("batch:GetJobQueueSnapshot", queue)):
        sandbox.client("batch").get_job_queue_snapshot(jobQueue="q")
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws/batch/job:log-stream:"
    with refused("AccessDeniedException", sentence("logs:DescribeLogStreams", group)):
        sandbox.client("logs").describe_log_streams(logGroupName="/aws/batch/job")
    other = f"arn:aws:iam::{ACCOUNT}:user/other"
    with refused("AccessDenied", sentence("iam:GetUser", other)):
        sandbox.client("iam").get_user(UserName="other")
    with refused("AccessDenied", sentence("iam:GetUser", USER_ARN)):
        sandbox.client("iam").get_user()
    with refused("AccessDenied", "sts:AssumeRole"):
        sandbox.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="me")
    with refused("UnauthorizedOperation", sentence("ec2:DescribeVpcs", "*")):
        sandbox.client("ec2").describe_vpcs()


def test_a_head_is_denied_without_words(sandbox):
    """Its answer has no body, so a client knows the status alone."""
    sandbox.admin("s3").create_bucket(Bucket="other-bucket")
    with refused("403", "Forbidden"):
        sandbox.client("s3").head_bucket(Bucket="other-bucket")
    sandbox.admin("s3").delete_bucket(Bucket="other-bucket")


def test_a_bucket_that_does_not_exist_does_so_for_nobody(sandbox):
    """Names of buckets are no secret: whoever asks is told that there is none."""
    with refused("NoSuchBucket"):
        sandbox.client("s3").list_objects_v2(Bucket="no-such-bucket")
    with refused("AccessDenied", "s3:CreateBucket"):
        sandbox.client("s3").create_bucket(Bucket="no-such-bucket")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("batch", "describe_job_queues", "UnrecognizedClientException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
        ("iam", "get_user", "InvalidClientTokenId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("ec2", "describe_vpcs", "AuthFailure"),
    ],
)
def test_keys_that_nobody_has(sandbox, service, operation, code):
    """Each service has its own code for them."""
    client = sandbox.client(service, ("AKIANOBODY", "secret"))
    with refused(code):
        getattr(client, operation)()


def test_an_object_that_is_missing_is_hidden_from_those_who_may_not_list(sandbox):
    """They cannot tell it from one that they may not read."""
    s3 = sandbox.client("s3")
    with refused("NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key="absent")
    s3.put_object(Bucket=BUCKET, Key="present", Body=b"x" * 100_000)
    deny = {**statement("s3:ListBucket"), "Effect": "Deny"}
    with sandbox.allowing(deny):
        with refused("AccessDenied", "s3:ListBucket", "explicit deny in an identity-based policy"):
            s3.get_object(Bucket=BUCKET, Key="absent")
        with refused("403"):
            s3.head_object(Bucket=BUCKET, Key="absent")
        body = s3.get_object(Bucket=BUCKET, Key="present")["Body"].read()
        assert body == b"x" * 100_000
    s3.delete_object(Bucket=BUCKET, Key="present")


def test_plain_http_counts_as_secure_unless_it_is_said_not_to_be(sandbox):
    """The account's bucket denies what is not, even to the administrator."""
    s3 = sandbox.admin("s3")

    def add_header(request, **_):
        request.headers["X-Sandbox-Insecure"] = "1"

    assert s3.list_objects_v2(Bucket=BUCKET)
    s3.meta.events.register("before-sign", add_header)
    try:
        with refused("AccessDenied", "with an explicit deny in a resource-based policy"):
            s3.list_objects_v2(Bucket=BUCKET)
    finally:
        s3.meta.events.unregister("before-sign", add_header)


def test_of_several_objects_those_are_deleted_that_may_be(sandbox):
    """The answer names the others with their reason."""
    s3 = sandbox.client("s3")
    for key in ("keep/a", "drop/b&c", "drop/d"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    kept = f"arn:aws:s3:::{BUCKET}/keep/*"
    objects = {"Objects": [{"Key": key} for key in ("keep/a", "drop/b&c", "drop/d")]}
    with sandbox.allowing({**statement("s3:DeleteObject", resource=kept), "Effect": "Deny"}):
        answer = s3.delete_objects(Bucket=BUCKET, Delete=objects)
        only = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "keep/a"}]})
    assert {each["Key"] for each in answer["Deleted"]} == {"drop/b&c", "drop/d"}
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [
        ("keep/a", "AccessDenied")
    ]
    assert [each["Key"] for each in only["Errors"]] == ["keep/a"]
    left = s3.list_objects_v2(Bucket=BUCKET, Prefix="keep/")
    assert [each["Key"] for each in left["Contents"]] == ["keep/a"]
    s3.delete_object(Bucket=BUCKET, Key="keep/a")


def test_a_change_counts_at_once(sandbox):
    """Policies given and taken, versions of them, keys switched off and deleted."""
    iam = sandbox.admin("iam")
    iam.create_user(UserName="grace")
    key = iam.create_access_key(UserName="grace")["AccessKey"]
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    s3 = sandbox.client("s3", keys)

    def may():
        try:
            s3.list_buckets()
        except ClientError as error:
            return error.response["Error"]["Code"]
        return True

    assert may() == "AccessDenied"
    allow = policies.document(statement("s3:ListAllMyBuckets"))
    iam.put_user_policy(UserName="grace", PolicyName="p", PolicyDocument=allow)
    assert may() is True
    iam.delete_user_policy(UserName="grace", PolicyName="p")
    assert may() == "AccessDenied"
    nothing = policies.document(statement("s3:GetObject"))
    policy = iam.create_policy(PolicyName="Lists", PolicyDocument=nothing)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="grace", PolicyArn=policy)
    assert may() == "AccessDenied"
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=allow, SetAsDefault=True)
    assert may() is True
    iam.update_access_key(UserName="grace", AccessKeyId=keys[0], Status="Inactive")
    assert may() == "InvalidAccessKeyId"
    iam.delete_access_key(UserName="grace", AccessKeyId=keys[0])
    assert may() == "InvalidAccessKeyId"


def test_an_assumed_role_has_its_own_policies(sandbox):
    """Not those of whoever assumed it; a session's policy takes from them."""
    trust = policies.document(
        {"Effect": "Allow", "Principal": {"AWS": USER_ARN}, "Action": "sts:AssumeRole"}
    )
    iam = sandbox.admin("iam")
    role = iam.create_role(RoleName="Lister", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    document = policies.document(statement("s3:ListAllMyBuckets", "iam:ListUsers"))
    iam.put_role_policy(RoleName="Lister", PolicyName="p", PolicyDocument=document)

    def client(service, **more):
        answer = sandbox.client("sts").assume_role(RoleArn=role, RoleSessionName="me", **more)
        found = answer["Credentials"]
        keys = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return sandbox.client(service, keys)

    assert client("s3").list_buckets()["Buckets"]
    assert client("iam").list_users()["Users"]
    with refused("AccessDenied", f"arn:aws:sts::{ACCOUNT}:assumed-role/Lister/me", "s3:ListBucket"):
        client("s3").list_objects_v2(Bucket=BUCKET)
    only = policies.document(statement("iam:ListUsers"))
    assert client("iam", Policy=only).list_users()["Users"]
    with refused("AccessDenied", "because no session policy allows the s3:ListAllMyBuckets action"):
        client("s3", Policy=only).list_buckets()


def test_another_image_takes_the_optional_policy(sandbox):
    """To register a definition with a role takes the right to pass that role, too."""
    request = {
        "jobDefinitionName": "nextstrain-job-image-x",
        "type": "container",
        "containerProperties": {"image": "x", "vcpus": 1, "memory": 100, "jobRoleArn": ROLE},
    }
    batch = sandbox.client("batch")
    with (
        sandbox.allowing(statement("batch:RegisterJobDefinition")),
        refused("AccessDeniedException", "iam:PassRole", ROLE),
    ):
        batch.register_job_definition(**request)
    optional = policies.statements(policies.images("nextstrain-job", "NextstrainJobsRole"))
    with sandbox.allowing(*optional):
        batch.register_job_definition(**request)
        with refused("AccessDeniedException", "batch:RegisterJobDefinition"):
            batch.register_job_definition(**{**request, "jobDefinitionName": "anything"})


def get(sandbox, url):
    connection = http.client.HTTPConnection(sandbox.endpoint.url.removeprefix("http://"))
    try:
        connection.request("GET", url.removeprefix(sandbox.endpoint.url))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_address_is_its_maker_s(sandbox, version):
    """Whoever has it can do what its maker may."""
    s3 = sandbox.client("s3", signature_version=version)
    s3.put_object(Bucket=BUCKET, Key="shared", Body=b"hello")
    named = {"Bucket": BUCKET, "Key": "shared"}
    assert get(sandbox, s3.generate_presigned_url("get_object", named)) == (200, "hello")
    status, text = get(sandbox, s3.generate_presigned_url("get_object_tagging", named))
    assert (status, "s3:GetObjectTagging" in text) == (403, True)
    s3.delete_object(Bucket=BUCKET, Key="shared")


def test_unsigned_requests_get_what_is_public(sandbox):
    """Nothing, but for what a bucket's policy lets everybody do."""
    s3 = sandbox.admin("s3")
    s3.create_bucket(Bucket="public-bucket")
    s3.put_object(Bucket="public-bucket", Key="a", Body=b"hello")
    status, text = get(sandbox, "/public-bucket/a")
    assert (status, "<Message>Access Denied</Message>" in text) == (403, True)
    public = {
        **statement("s3:GetObject", resource="arn:aws:s3:::public-bucket/*"),
        "Principal": "*",
    }
    s3.put_bucket_policy(Bucket="public-bucket", Policy=policies.document(public))
    assert get(sandbox, "/public-bucket/a") == (200, "hello")
    s3.put_bucket_policy(Bucket="public-bucket", Policy="what is this?")
    assert get(sandbox, "/public-bucket/a")[0] == 403


def send(sandbox, method, target, body=b"", **headers):
    """Send a request as it is, unsigned; return the answer's status and text."""
    connection = http.client.HTTPConnection(sandbox.endpoint.url.removeprefix("http://"))
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


SCOPE = "20261101/us-east-1/batch/aws4_request"
JOB = {"jobName": "uninvited", "jobQueue": "nextstrain-job-queue", "jobDefinition": DEFINITION}


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/submitjob", {}),
        (f"/v1/submitjob?X-Amz-Credential=/{SCOPE}", {}),
        ("/v1/submitjob", {"Authorization": f"AWS4 Credential=/{SCOPE}"}),
        ("/v1/submitjob", {"Authorization": f"AWS :/{SCOPE}"}),
        ("/v1/submitjob", {"Authorization": f"AWS4 Credential=A/{SCOPE}"}),
        ("/v1/submitjob", {"Authorization": "Nobody"}),
    ],
)
def test_without_a_key_that_somebody_has_no_job_starts(sandbox, target, headers):
    """However a request dresses up: what it is judged as is what is answered."""
    body = json.dumps(JOB).encode()
    status, text = send(sandbox, "POST", target, body, Content_Type="text/plain", **headers)
    assert (status, "jobId" in text) == (403, False)


@pytest.mark.parametrize("service", ["iam", "sts", "ec2", "logs", "batch"])
def test_only_s3_takes_unsigned_requests(sandbox, service):
    """Not even who one is can be asked without a key."""
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    empty = f"/?X-Amz-Credential=/20261101/us-east-1/{service}/aws4_request"
    assert send(sandbox, "POST", empty, body)[0] == 403
    assert send(sandbox, "POST", "/", body)[0] == 403


def test_objects_are_deleted_by_the_keys_that_were_judged(sandbox):
    """However the request writes them; one that names none is refused."""
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="a&b", Body=b"")
    target, headers = f"/{BUCKET}?delete", {"Authorization": "AWS " + sandbox.endpoint.access_key}
    kept = {**statement("s3:DeleteObject", resource=f"arn:aws:s3:::{BUCKET}/*"), "Effect": "Deny"}
    for key in ("<Key >a&amp;b</Key >", "<Key><![CDATA[a&b]]></Key>", "<Key>a&#38;<!-- -->b</Key>"):
        body = f"<Delete><Object>{key}</Object></Delete>".encode()
        assert send(sandbox, "POST", target, body)[0] == 200  # the refusal is in the answer
        with sandbox.allowing(kept):
            assert "AccessDenied" in send(sandbox, "POST", target, body, **headers)[1]
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="a&b")["KeyCount"] == 1
    assert "MalformedXML" in send(sandbox, "POST", target, b"9\r\n<Delete/>", **headers)[1]
    assert "MalformedXML" in send(sandbox, "POST", target, b"<Delete/>")[1]
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "a&b"}]})
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="a&b")["KeyCount"] == 0


def test_the_journal_tells_who_did_what(sandbox):
    """Of calls that were answered, of those refused, and of those by keys that nobody has."""
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="noted", Body=b"12345")
    s3.get_object(Bucket=BUCKET, Key="noted")["Body"].read()
    put, found = sandbox.last("PutObject"), sandbox.last("GetObject")
    assert (put.caller, put.service, put.action) == (USER_ARN, "s3", "s3:PutObject")
    assert put.resource == f"arn:aws:s3:::{BUCKET}/noted"
    assert (put.bytes_in >= 5, put.status, put.error) == (True, 200, "")
    assert (found.bytes_in, found.bytes_out) == (0, 5)
    assert 0 < found.seconds < 5
    with refused("AccessDenied"):
        s3.delete_bucket(Bucket=BUCKET)
    denied = sandbox.last("DeleteBucket")
    assert (denied.status, denied.error, denied.action) == (403, "AccessDenied", "s3:DeleteBucket")
    with refused("InvalidAccessKeyId"):
        sandbox.client("s3", ("AKIANOBODY", "s")).get_bucket_location(Bucket=BUCKET)
    nobody = sandbox.last("GetBucketLocation")
    assert (nobody.caller, nobody.status, nobody.error) == ("", 403, "InvalidAccessKeyId")
    s3.delete_object(Bucket=BUCKET, Key="noted")


def test_the_journal_has_what_a_fault_answered(sandbox):
    """With its caller and action, though it never came to be judged."""
    faults = breaking.Breaking(sandbox.home)
    faults.add("throttle", api="logs:GetLogEvents", times=1)
    with refused("ThrottlingException"):
        sandbox.client("logs").get_log_events(logGroupName="/aws/batch/job", logStreamName="a")
    found = sandbox.last("GetLogEvents")
    assert (found.caller, found.action) == (USER_ARN, "logs:GetLogEvents")
    assert (found.status, found.error) == (400, "")


def test_the_journal_survives_a_stop(tmp_path):
    """It can be read while the server does not run, and goes on when it runs again."""
    first = Sandbox(tmp_path)
    first.client("s3").list_objects_v2(Bucket=BUCKET)
    manager.stop(tmp_path)
    before = first.journal()
    assert before[-1].operation == "ListObjectsV2"
    second = Sandbox(tmp_path)
    second.client("sts").get_caller_identity()
    manager.stop(tmp_path)
    after = second.journal()
    assert after[: len(before)] == before
    assert after[-1].operation == "GetCallerIdentity"
    assert json.loads(Layout(tmp_path).journal.read_text().splitlines()[-1])["status"] == 200


def simulated(iam, source, action, resource, **context):
    """Return IAM's decision."""
    entries = [
        {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for key, value in context.items()
    ]
    answer = iam.simulate_principal_policy(
        PolicySourceArn=source,
        ActionNames=[action],
        ResourceArns=[resource],
        ContextEntries=entries,
    )
    assert answer["IsTruncated"] is False
    (found,) = answer["EvaluationResults"]
    return found["EvalDecision"]


def test_an_administrator_may_simulate_what_others_may(sandbox):
    """Users with their groups' policies, and roles, as they stand at that moment."""
    iam, file = sandbox.admin("iam"), f"arn:aws:s3:::{BUCKET}/runs/x"
    assert simulated(iam, USER_ARN, "s3:PutObject", file) == "allowed"
    assert simulated(iam, USER_ARN, "iam:CreateUser", "*") == "implicitDeny"
    assert simulated(iam, ROLE, "s3:PutObject", file) == "allowed"
    assert simulated(iam, ROLE, "batch:SubmitJob", "*") == "implicitDeny"
    with sandbox.allowing({**policies.allow(("s3:PutObject",), "*"), "Effect": "Deny"}):
        assert simulated(iam, USER_ARN, "s3:PutObject", file) == "explicitDeny"
    passing = json.loads(policies.images("nextstrain-job", "NextstrainJobsRole"))["Statement"][1]
    with sandbox.allowing(passing):
        assert simulated(iam, USER_ARN, "iam:PassRole", ROLE) == "implicitDeny"
        service = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        assert simulated(iam, USER_ARN, "iam:PassRole", ROLE, **service) == "allowed"


def test_a_simulation_takes_a_permission_of_its_own(sandbox):
    """On the user or role that it is about."""
    iam = sandbox.client("iam")
    with refused("AccessDenied", "iam:SimulatePrincipalPolicy"):
        simulated(iam, USER_ARN, "s3:PutObject", "*")
    with sandbox.allowing(policies.allow(("iam:SimulatePrincipalPolicy",), USER_ARN)):
        assert simulated(iam, USER_ARN, "iam:CreateUser", "*") == "implicitDeny"
        with refused("AccessDenied"):
            simulated(iam, ROLE, "s3:PutObject", "*")
    with refused("NoSuchEntity"):
        simulated(sandbox.admin("iam"), f"{USER_ARN}-not", "s3:PutObject", "*")


def test_the_administrator_is_the_account_s_root_user(sandbox):
    """As permissions take it, and as it is told."""
    found = sandbox.admin("sts").get_caller_identity()
    assert (found["Arn"], found["UserId"]) == (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)


def test_the_administrator_s_keys_are_this_sandbox_s_own(tmp_path):
    """Nobody else can read them, a stop keeps them, and a reset makes others."""
    file, found = Layout(tmp_path).administrator_file, []
    for end in (manager.stop, manager.reset, manager.reset):
        keys = manager.administrator(tmp_path)
        found.append((keys.access_key, keys.secret_key))
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        end(tmp_path)
    assert found[0] == found[1]
    assert len({word for pair in found for word in pair}) == 4


@pytest.mark.parametrize("key", ["AKIASANDBOXADMIN0000", "AKIAEXAMPLE", "AKIA\u00e4"])
def test_a_key_that_nobody_has_gets_nothing(sandbox, key):
    """Whichever might be guessed."""
    for service, code in (("s3", "InvalidAccessKeyId"), ("iam", "InvalidClientTokenId")):
        scope = f"Credential={key}/20261101/us-east-1/{service}/aws4_request"
        status, text = send(sandbox, "GET", "/", Authorization=f"AWS4-HMAC-SHA256 {scope}")
        assert (status, code in text) == (403, True)


def test_keys_that_are_gone_are_missed(sandbox):
    """With what makes new ones."""
    file = Layout(sandbox.home).administrator_file
    kept = file.read_text()
    file.write_text("{")
    with pytest.raises(SandboxError, match="`nextstrain sandbox stop`"):
        manager.administrator(sandbox.home)
    file.write_text(kept)


def target_of(sandbox, target):
    """Return an address with the sandbox's own host and port in it."""
    return target.format(url=sandbox.endpoint.url, bucket=BUCKET)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("{url}", 200),
        ("https://example.org", 403),
        ("null", 403),
        ("http://localhost:8888", 403),
        ("http://127.0.0.1", 403),
    ],
)
def test_a_browser_sends_nothing_for_a_page_of_others(sandbox, origin, status):
    """Not even a request that is presigned; the error says why."""
    s3 = sandbox.client("s3")
    s3.put_object(Bucket=BUCKET, Key="mine", Body=b"hello")
    named = {"Bucket": BUCKET, "Key": "mine"}
    signed = s3.generate_presigned_url("get_object", named).removeprefix(sandbox.endpoint.url)
    found, text = send(sandbox, "GET", signed, Origin=target_of(sandbox, origin))
    assert (found, "for a page of" in text) == (status, status == 403)
    s3.delete_object(Bucket=BUCKET, Key="mine")


@pytest.mark.parametrize(
    "host",
    ["example.org", "example.org:80", f"{BUCKET}.localhost", f"{BUCKET}.s3.amazonaws.com", ""],
)
def test_another_host_s_requests_are_not_answered(sandbox, host):
    """A name that has been made to lead to this computer is none of the sandbox's."""
    for target in (f"/{BUCKET}/a", "/_sandbox/control/save"):
        status, text = send(sandbox, "POST", target, Host=host)
        assert (status, "this computer alone" in text) == (403, True)
    assert sandbox.last("CompleteMultipartUpload").error == "AccessDenied"


@pytest.mark.parametrize(
    "target", ["{url}/{bucket}/mine", "{bucket}/mine", "/{bucket}/mine#", "#/{bucket}/mine"]
)
def test_an_address_is_not_read_in_two_ways(sandbox, target):
    """One that names the host too, or has a fragment, would be."""
    status, text = send(sandbox, "GET", target_of(sandbox, target))
    assert (status, "in two ways" in text) == (403, True)
    assert get(sandbox, "//some%20name/a")[1].count("in two ways") == 0
