"""SimulatePrincipalPolicy, without a server: after IAM's API reference."""

import json
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser

from nextstrain_batch.account import policies as documented
from nextstrain_batch.sandbox.iam import simulation
from nextstrain_batch.sandbox.iam.documents import parse
from nextstrain_batch.sandbox.iam.evaluation import Policies

ADA = "arn:aws:iam::123456789012:user/people/ada"
JOB_ROLE = "arn:aws:iam::123456789012:role/NextstrainJobsRole"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/mine/*"}
DENY = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/mine/secret"}
OWN = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/${aws:username}/*"}
MODEL = botocore.session.Session().get_service_model("iam").operation_model(simulation.OPERATION)


def policy(*statements):
    return parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def ask(*statements, boundary=None, source=ADA, **request):
    """Simulate as a client does; return what botocore makes of the answer."""
    known = {ADA: Policies((policy(*statements),), boundary=boundary)}
    started = []
    body = simulation.answer(
        urlencode({"PolicySourceArn": source, **flat(request)}).encode(),
        known.get,
        lambda status, headers: started.append((status, headers)),
    )
    status = int(started[0][0].split()[0])
    response = {"headers": {}, "status_code": status, "body": b"".join(body)}
    return create_parser("query").parse(response, MODEL.output_shape)


def flat(request):
    """Return parameters as the query protocol has them."""
    found = {}
    for name, values in request.items():
        for number, value in enumerate(values, 1):
            if isinstance(value, str):
                found[f"{name}.member.{number}"] = value
                continue
            key, *contents = value
            found[f"{name}.member.{number}.ContextKeyName"] = key
            for index, content in enumerate(contents, 1):
                found[f"{name}.member.{number}.ContextKeyValues.member.{index}"] = content
    return found


def decisions(answer):
    return {each["EvalActionName"]: each["EvalDecision"] for each in answer["EvaluationResults"]}


def test_each_action_has_a_decision():
    """Allowed, denied by something that says so, or denied because nothing allows it."""
    arn = ["arn:aws:s3:::b/mine/x"]
    found = ask(ALLOW, ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=arn)
    assert decisions(found) == {"s3:GetObject": "allowed", "s3:PutObject": "implicitDeny"}
    assert found["IsTruncated"] is False
    found = ask(
        ALLOW, DENY, ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::b/mine/secret"]
    )
    assert decisions(found) == {"s3:GetObject": "explicitDeny"}


def test_of_several_resources_the_most_restrictive_decision_counts():
    """One result an action, and in it one for each resource."""
    arns = [f"arn:aws:s3:::b/{key}" for key in ("mine/x", "yours/x", "mine/secret")]
    (found,) = ask(ALLOW, DENY, ActionNames=["s3:GetObject"], ResourceArns=arns)[
        "EvaluationResults"
    ]
    assert found["EvalDecision"] == "explicitDeny"
    assert [
        (each["EvalResourceName"], each["EvalResourceDecision"])
        for each in found["ResourceSpecificResults"]
    ] == list(zip(arns, ["allowed", "implicitDeny", "explicitDeny"], strict=True))


def test_without_resources_it_is_about_all_of_them():
    """Which a permission for some does not allow."""
    (found,) = ask(ALLOW, ActionNames=["s3:GetObject"])["EvaluationResults"]
    assert (found["EvalResourceName"], found["EvalDecision"]) == ("*", "implicitDeny")
    assert found["ResourceSpecificResults"] == []


def test_conditions_are_judged_by_the_context_that_is_given():
    """What is not given is missing, and is told to be."""
    images = parse(documented.images("nextstrain-job", "NextstrainJobsRole"))
    known = {ADA: Policies((images,))}

    def outcome(**values):
        asked = simulation.Asked(ADA, ("iam:PassRole",), (JOB_ROLE,), values, ())
        (found,) = simulation.simulate(asked, known.get)["iam:PassRole"]
        return found.decision, found.missing

    key = "iam:passedtoservice"
    assert outcome() == ("implicitDeny", (key,))
    assert outcome(**{key: ("ecs-tasks.amazonaws.com",)}) == ("allowed", ())
    assert outcome(**{key: ("ec2.amazonaws.com",)}) == ("implicitDeny", ())


def test_variables_take_their_values_from_the_context():
    """Nothing is known of the one who asks but what the request says."""
    request = {"ActionNames": ["s3:PutObject"], "ResourceArns": ["arn:aws:s3:::b/ada/x"]}
    (found,) = ask(OWN, **request)["EvaluationResults"]
    assert (found["EvalDecision"], found["MissingContextValues"]) == (
        "implicitDeny",
        ["aws:username"],
    )
    (part,) = found["ResourceSpecificResults"]
    assert part["MissingContextValues"] == ["aws:username"]
    found = ask(OWN, ContextEntries=[("aws:username", "ada")], **request)
    assert decisions(found) == {"s3:PutObject": "allowed"}


def test_policies_of_the_request_count_as_well():
    """So does the boundary of the user or role."""
    request = {"ActionNames": ["s3:GetObject"], "ResourceArns": ["arn:aws:s3:::b/mine/secret"]}
    extra = json.dumps({"Version": "2012-10-17", "Statement": [DENY]})
    assert decisions(ask(ALLOW, **request)) == {"s3:GetObject": "allowed"}
    found = ask(ALLOW, PolicyInputList=[extra], **request)
    assert decisions(found) == {"s3:GetObject": "explicitDeny"}
    found = ask(ALLOW, boundary=policy(OWN), **request)
    assert decisions(found) == {"s3:GetObject": "implicitDeny"}


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("arn:aws:iam::123456789012:user/nobody", "NoSuchEntity"),
        ("arn:aws:iam::123456789012:root", "InvalidInput"),
        ("arn:aws:sts::123456789012:assumed-role/Admin/ada", "InvalidInput"),
    ],
)
def test_who_is_no_user_or_role_is_refused(source, code):
    """IAM knows neither sessions nor the root user here."""
    assert ask(source=source, ActionNames=["s3:GetObject"])["Error"]["Code"] == code


def test_what_is_not_there_is_refused_and_not_ignored():
    """An answer that leaves out a part of the question would be wrong."""
    found = ask(ALLOW, ActionNames=["s3:GetObject"], PermissionsBoundaryPolicyInputList=["{}"])
    assert found["Error"]["Code"] == "InvalidInput"
    assert "PermissionsBoundaryPolicyInputList" in found["Error"]["Message"]
    found = ask(ALLOW, ActionNames=["s3:GetObject"], PolicyInputList=["no policy"])
    assert found["Error"]["Code"] == "InvalidInput"
