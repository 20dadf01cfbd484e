"""What is allowed: the cases that AWS's documentation describes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.account import policies as documented
from nextstrain_batch.sandbox.iam.documents import parse
from nextstrain_batch.sandbox.iam.evaluation import Policies, Principal, Request, decide

ACCOUNT = "123456789012"
ADA = Principal(f"arn:aws:iam::{ACCOUNT}:user/ada", ACCOUNT)
JOB = Principal(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/Jobs/task",
    ACCOUNT,
    (f"arn:aws:iam::{ACCOUNT}:role/Jobs",),
)
NOBODY = Principal("")
OBJECT = "arn:aws:s3:::bucket/key"


def policy(*statements):
    return parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def statement(effect="Allow", action="s3:GetObject", resource="*", **more):
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def asked(action="s3:GetObject", resource=OBJECT, principal=ADA, **values):
    context = {name.replace("__", ":").replace("_", "-"): value for name, value in values.items()}
    return Request(principal, action, resource, context)


def allowed(*statements, of_bucket=None, request=None, **more):
    policies = Policies(identity=(policy(*statements),), **more)
    return decide(request or asked(), policies, of_bucket).allowed


ALLOW, DENY = statement(), statement("Deny")
BUCKET_ALLOW = policy(statement(Principal="*"))
BUCKET_DENY = policy(statement("Deny", Principal="*"))


@pytest.mark.parametrize(
    ("identity", "of_bucket", "expected"),
    [
        ((), None, False),
        ((ALLOW,), None, True),
        ((ALLOW, DENY), None, False),
        ((DENY, ALLOW), None, False),
        ((), BUCKET_ALLOW, True),
        ((DENY,), BUCKET_ALLOW, False),
        ((ALLOW,), BUCKET_DENY, False),
        ((), policy(statement(Principal={"AWS": ADA.arn})), True),
        ((), policy(statement(Principal={"AWS": JOB.arn})), False),
        ((), policy(statement(Principal={"Service": "ecs-tasks.amazonaws.com"})), False),
        # The account as principal leaves it to the account's own policies.
        ((), policy(statement(Principal={"AWS": ACCOUNT})), False),
        ((ALLOW,), policy(statement(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})), True),
        ((ALLOW,), policy(statement("Deny", Principal={"AWS": ACCOUNT})), False),
        ((ALLOW,), policy(statement("Deny", NotPrincipal={"AWS": ADA.arn})), True),
        ((ALLOW,), policy(statement("Deny", NotPrincipal={"AWS": JOB.arn})), False),
    ],
)
def test_the_order_of_evaluation(identity, of_bucket, expected):
    """Explicit denial first, then what allows, and nothing by default."""
    assert allowed(*identity, of_bucket=of_bucket) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"action": "S3:getobject"}, True),
        ({"action": "s3:Get*"}, True),
        ({"action": "s3:GetObjec?"}, True),
        ({"action": ["s3:PutObject", "*"]}, True),
        ({"action": "s3:GetObjectAcl"}, False),
        ({"resource": "arn:aws:s3:::bucket"}, False),
        ({"resource": "arn:aws:s3:::bucket/*"}, True),
        ({"resource": "arn:aws:s3:::BUCKET/*"}, False),
        ({"resource": "arn:aws:s3:::*"}, True),
        ({"resource": "arn:aws:*:key"}, False),
        ({"resource": "arn:*key"}, True),
    ],
)
def test_actions_ignore_case_and_resources_do_not(changes, expected):
    """Wildcards reach as far as they can in both."""
    assert allowed(statement(**changes)) is expected


def test_what_is_excepted():
    """``NotAction`` and ``NotResource`` are about everything else."""
    other = {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}
    assert allowed(other)
    assert not allowed(other, request=asked("iam:CreateUser", "*"))
    elsewhere = {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::bucket/*"}
    assert allowed(ALLOW, elsewhere)
    assert not allowed(ALLOW, elsewhere, request=asked(resource="arn:aws:s3:::other/key"))


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("Bool", "false", "false", True),
        ("Bool", False, "FALSE", True),
        ("Bool", "false", "true", False),
        ("Bool", "false", None, False),
        ("BoolIfExists", "false", None, True),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "a", None, False),
        ("StringEqualsIgnoreCase", "a", "A", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringNotEquals", "a", None, True),
        ("StringLike", "a*", "ab", True),
        ("StringLike", "A*", "ab", False),
        ("StringNotLike", "a*", "ab", False),
        ("StringEqualsIfExists", "a", "b", False),
        ("ArnLike", "arn:aws:iam::*:role/x*", "arn:aws:iam::1:role/xy", True),
        ("ArnEquals", "arn:aws:iam::*:role/x*", "arn:aws:iam::1:role/xy", True),
        ("ArnNotLike", "arn:aws:iam::*:role/x*", "arn:aws:iam::1:role/xy", False),
        ("Null", "true", None, True),
        ("Null", "true", "a", False),
        ("Null", "false", "a", True),
        ("NumericLessThan", "10", "9", True),
        ("NumericLessThanEquals", 10, "10", True),
        ("NumericEquals", "10", "x", False),
        ("NumericNotEquals", "10", "11", True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-11-23T00:00:00+00:00", True),
        ("DateLessThan", "2026-01-01", "1764000000", True),
        ("IpAddress", "127.0.0.0/8", "127.0.0.1", True),
        ("NotIpAddress", "10.0.0.0/8", "127.0.0.1", True),
        ("StringMatches", "a", "a", False),
        ("ForSomeValues:StringEquals", "a", "a", False),
        ("ForAllValues:StringEquals", "a", None, True),
        ("ForAnyValue:StringEquals", "a", None, False),
    ],
)
def test_condition_operators(operator, wanted, found, expected):
    """Each as documented; one that nobody knows is not met."""
    values = {} if found is None else {"aws:Thing".lower(): (found,)}
    condition = {operator: {"AWS:thing": wanted}}
    request = Request(ADA, "s3:GetObject", OBJECT, values)
    assert allowed(statement(Condition=condition), request=request) is expected


@pytest.mark.parametrize(
    ("operator", "found", "expected"),
    [
        ("ForAllValues:StringEquals", ("a", "b"), True),
        ("ForAllValues:StringEquals", ("a", "c"), False),
        ("ForAnyValue:StringEquals", ("a", "c"), True),
        ("ForAnyValue:StringEquals", ("c", "d"), False),
        ("ForAllValues:StringNotEquals", ("c", "d"), True),
        ("StringEquals", ("a", "c"), True),
        ("StringNotEquals", ("a", "c"), False),
    ],
)
def test_keys_with_several_values(operator, found, expected):
    """All of them, or any."""
    condition = {operator: {"aws:TagKeys": ["a", "b"]}}
    request = Request(ADA, "s3:GetObject", OBJECT, {"aws:tagkeys": found})
    assert allowed(statement(Condition=condition), request=request) is expected


def test_all_conditions_have_to_hold():
    """Operators and keys are joined by and; the values of one by or."""
    condition = {"StringEquals": {"a": "1", "b": ["2", "3"]}, "Bool": {"c": "true"}}
    for c, expected in (("true", True), ("false", False)):
        request = Request(ADA, "s3:GetObject", OBJECT, {"a": ("1",), "b": ("3",), "c": (c,)})
        assert allowed(statement(Condition=condition), request=request) is expected


def test_nobody_in_particular_is_allowed_what_everybody_is():
    """An unsigned request has the bucket's policy alone."""
    assert decide(asked(principal=NOBODY), Policies(), BUCKET_ALLOW).allowed
    by_account = policy(statement(Principal={"AWS": ACCOUNT}))
    assert not decide(asked(principal=NOBODY), Policies(), by_account).allowed


def test_a_role_may_be_named_by_itself_or_by_its_session():
    """Both mean the caller."""
    for name in (JOB.arn, *JOB.roles):
        named = policy(statement(Principal={"AWS": name}))
        assert decide(asked(principal=JOB), Policies(), named).allowed


def test_session_policies_and_boundaries_only_take_away():
    """Both have to allow what the role's own policies allow, and neither allows anything."""
    other = policy(statement(action="s3:PutObject"))
    for name in ("session", "boundary"):
        assert allowed(ALLOW, **{name: policy(ALLOW)})
        assert not allowed(ALLOW, **{name: other})
        assert not allowed(statement(action="s3:PutObject"), **{name: policy(ALLOW)})
        assert not allowed(ALLOW, **{name: policy(ALLOW, DENY)})


def test_a_role_is_assumed_by_those_whom_it_trusts():
    """Without its trust policy's consent, no other policy helps."""
    role = f"arn:aws:iam::{ACCOUNT}:role/Jobs"
    request = asked("sts:AssumeRole", role)
    own = Policies(identity=(policy(statement(action="sts:AssumeRole")),))
    service = parse(documented.trust("ecs-tasks.amazonaws.com"))
    assert not decide(request, own, service, trust=True).allowed
    account = policy({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
    assert decide(request, own, account, trust=True).allowed
    assert not decide(request, Policies(), account, trust=True).allowed
    ada = policy({"Effect": "Allow", "Principal": {"AWS": ADA.arn}, "Action": "sts:AssumeRole"})
    assert decide(request, Policies(), ada, trust=True).allowed


@pytest.mark.parametrize(
    ("identity", "of_bucket", "reason"),
    [
        ((), None, "because no identity-based policy allows the s3:GetObject action"),
        ((DENY,), None, "with an explicit deny in an identity-based policy"),
        ((ALLOW,), BUCKET_DENY, "with an explicit deny in a resource-based policy"),
    ],
)
def test_the_reason_is_aws_own(identity, of_bucket, reason):
    """As "Troubleshoot access denied error messages" words it."""
    assert decide(asked(), Policies(identity=(policy(*identity),)), of_bucket).reason == reason


def test_plain_http_is_denied_by_the_bucket_of_an_account():
    """The policy of TLS alone denies whatever else allows."""
    of_bucket = policy(documented.tls_only("bucket"))
    for secure, expected in (("true", True), ("false", False)):
        request = asked(aws__securetransport=(secure,))
        assert allowed(ALLOW, request=request, of_bucket=of_bucket) is expected


def test_users_can_be_kept_to_their_own_files():
    """The optional policy with the user's name in it."""
    own = parse(documented.own_prefix("bucket"))
    names = {"aws:username": ("ada",)}

    def may(action, resource, **values):
        request = Request(ADA, action, resource, {**names, **values})
        return decide(request, Policies(identity=(own,))).allowed

    assert may("s3:GetObject", "arn:aws:s3:::bucket/users/ada/x")
    assert not may("s3:GetObject", "arn:aws:s3:::bucket/users/grace/x")
    assert may("s3:ListBucket", "arn:aws:s3:::bucket", **{"s3:prefix": ("users/ada/packs",)})
    assert not may("s3:ListBucket", "arn:aws:s3:::bucket", **{"s3:prefix": ("users/",)})
    assert not may("s3:ListBucket", "arn:aws:s3:::bucket")


OWNER = "nextstrain-owner"
BATCH = "arn:aws:batch:us-east-1:123456789012"
MINE, THEIRS = {f"aws:resourcetag/{OWNER}": ("A",)}, {f"aws:resourcetag/{OWNER}": ("B",)}
AS_ME = {f"aws:requesttag/{OWNER}": ("A",), "aws:tagkeys": (OWNER, "nextstrain-run")}
AS_OTHER = {f"aws:requesttag/{OWNER}": ("B",), "aws:tagkeys": (OWNER,)}


@pytest.mark.parametrize(
    ("action", "resource", "values", "expected"),
    [
        ("batch:DescribeJobs", "*", {}, True),
        ("batch:SubmitJob", f"{BATCH}:job-definition/d", AS_ME, True),
        ("batch:SubmitJob", f"{BATCH}:job-queue/q", AS_ME, True),
        ("batch:SubmitJob", f"{BATCH}:job-queue/q", AS_OTHER, False),
        ("batch:SubmitJob", f"{BATCH}:job-queue/q", {}, False),
        ("batch:TagResource", f"{BATCH}:job-definition/d:1", AS_ME, True),
        ("batch:TagResource", f"{BATCH}:job-queue/q", AS_ME, True),
        ("batch:TagResource", f"{BATCH}:job-queue/q", AS_OTHER, False),
        (
            "batch:TagResource",
            f"{BATCH}:job-queue/q",
            {**AS_ME, "aws:tagkeys": ("made-by",)},
            False,
        ),
        ("batch:TagResource", f"{BATCH}:job/1", {**AS_ME, **THEIRS}, False),
        ("batch:TagResource", f"{BATCH}:job/1", AS_ME, False),
        ("batch:TagResource", f"{BATCH}:job/1", {**AS_OTHER, **MINE}, False),
        ("batch:UntagResource", f"{BATCH}:job/1", {"aws:tagkeys": (OWNER,), **MINE}, False),
        ("batch:TerminateJob", f"{BATCH}:job/1", MINE, True),
        ("batch:CancelJob", f"{BATCH}:job/1", MINE, True),
        ("batch:TerminateJob", f"{BATCH}:job/1", THEIRS, False),
        ("batch:CancelJob", f"{BATCH}:job/1", THEIRS, False),
        ("batch:TerminateJob", f"{BATCH}:job/1", {}, False),
        ("batch:RegisterJobDefinition", f"{BATCH}:job-definition/d", {}, False),
    ],
)
def test_users_can_be_kept_to_their_own_jobs(action, resource, values, expected):
    """They submit as themselves alone, end what is tagged as theirs, and tag nothing later."""
    own = Policies(identity=(parse(documented.own_jobs()),))
    request = Request(ADA, action, resource, {"aws:userid": ("A",), **values})
    assert decide(request, own).allowed is expected


STATEMENTS = st.lists(
    st.builds(
        statement,
        st.sampled_from(["Allow", "Deny"]),
        st.sampled_from(["s3:GetObject", "s3:*", "s3:PutObject", "*"]),
        st.sampled_from(["*", OBJECT, "arn:aws:s3:::other/*"]),
    ),
    max_size=5,
)


@given(STATEMENTS, STATEMENTS)
def test_a_denial_never_allows_more(first, more):
    """Adding denials can only take away, adding permissions can only give, unless denied."""
    before = allowed(*first)
    denials = [each for each in more if each["Effect"] == "Deny"]
    permissions = [each for each in more if each["Effect"] == "Allow"]
    assert before or not allowed(*first, *denials)
    assert not before or allowed(*first, *permissions)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"Statement": [{"Effect": "Maybe", "Action": "*"}]}',
     '{"Statement": [{"Effect": "Allow", "Resource": "*"}]}', '{"Statement": ["x"]}'],
)  # fmt: skip
def test_what_is_no_policy_is_an_error(text):
    """Nothing is guessed from it."""
    with pytest.raises(ValueError):  # noqa: PT011 - json's own, too
        parse(text)
