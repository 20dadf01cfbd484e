"""The permission documents."""

import json
import subprocess
import sys

import pytest

from nextstrain_batch.account import policies, template
from nextstrain_batch.account.options import ALLOWABLE, Options
from nextstrain_batch.account.resources import account
from nextstrain_batch.permissions import who_grants

# As documented for those who set an account up by hand; statement ids are of no account.
BATCH = """{"Version": "2012-10-17", "Statement": [{"Sid": "VisualEditor0", "Effect": "Allow",
"Action": ["batch:DescribeJobQueues", "batch:TerminateJob", "batch:DescribeJobs",
"batch:CancelJob", "batch:SubmitJob", "batch:DescribeJobDefinitions"], "Resource": "*"}]}"""
BUCKET = """{"Version": "2012-10-17", "Statement": [{"Sid": "VisualEditor0", "Effect": "Allow",
"Action": ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"],
"Resource": ["arn:aws:s3:::our-jobs/*", "arn:aws:s3:::our-jobs"]}]}"""
LOGS = """{"Version": "2012-10-17", "Statement": [{"Sid": "VisualEditor0", "Effect": "Allow",
"Action": ["logs:GetLogEvents", "logs:FilterLogEvents", "logs:DeleteLogStream"],
"Resource": ["arn:aws:logs:*:*:log-group:/aws/batch/job",
"arn:aws:logs:*:*:log-group:/aws/batch/job:log-stream:*"]}]}"""

DOCUMENTED = {
    "NextstrainJobsAccessToBatch": BATCH,
    "NextstrainJobsAccessToBucket": BUCKET,
    "NextstrainJobsAccessToLogs": LOGS,
}

LINT = """
import json, sys, parliament
for name, document in json.load(sys.stdin).items():
    for finding in parliament.analyze_policy_string(json.dumps(document)).findings:
        print(json.dumps([name, finding.issue, finding.detail]))
"""


def exported(**choices):
    return json.loads(template.permissions(account(Options("our-jobs", "us-east-1", **choices))))


def test_the_documented_policies_are_made_exactly():
    """Without further choices the policies are the three documented ones, letter for letter."""
    found = {name: text for name, text in exported().items() if "trust" not in name}
    assert found == {name: json.loads(text) for name, text in DOCUMENTED.items()}


def test_the_group_has_what_is_documented_and_what_was_chosen():
    """The group carries the three policies, and an optional one only if it was asked for."""
    plain = account(Options("our-jobs", "us-east-1"))
    assert set(plain.group.policies) == set(DOCUMENTED)
    chosen = account(Options("our-jobs", "us-east-1", allow=("listing",)))
    assert set(chosen.group.policies) - set(DOCUMENTED) == {"NextstrainJobsAccessToListing"}


def test_the_job_role_has_the_bucket_alone():
    """The role that jobs have carries the bucket policy and nothing else, whatever is chosen."""
    everything = account(Options("b-1", "us-east-1", allow=ALLOWABLE, own_prefixes=True))
    role = next(each for each in everything.resources if each.name == "NextstrainJobsRole")
    assert (role.policies, role.managed_policies) == (("NextstrainJobsAccessToBucket",), ())
    assert json.loads(role.trust)["Statement"][0]["Principal"] == {
        "Service": "ecs-tasks.amazonaws.com"
    }


def test_a_linter_finds_nothing_in_them():
    """A policy linter finds nothing but that Batch's jobs have no names to list beforehand."""
    documents = {
        name: document
        for name, document in exported(allow=ALLOWABLE, own_prefixes=True).items()
        if "trust" not in name
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LINT],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = {"NextstrainJobsAccessToBatch", "NextstrainJobsAccessToListing"}
    assert {(name, issue) for name, issue, _ in found} <= {
        (name, "RESOURCE_STAR") for name in expected
    }, found


@pytest.mark.parametrize("each", policies.OPTIONAL, ids=lambda each: each.key)
def test_an_error_about_an_optional_action_says_that_it_is_optional(each):
    """Whoever is denied one of the optional actions is told that an optional policy grants it."""
    for action in each.actions:
        assert "optional policy" in who_grants(action)


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("eu-central-1", "arn:aws:"),
        ("cn-north-1", "arn:aws-cn:"),
        ("us-gov-west-1", "arn:aws-us-gov:"),
    ],
)
def test_resources_are_named_in_the_part_of_aws_where_they_are(region, arn):
    """In China and GovCloud, ARNs begin otherwise."""
    found = account(Options("our-jobs", region))
    bucket = next(each for each in found.resources if each.name == "NextstrainJobsAccessToBucket")
    assert json.loads(bucket.document)["Statement"][0]["Resource"][1] == f"{arn}s3:::our-jobs"


def test_documents_are_compared_by_what_they_say():
    """Order, ids and a single item without its list make no difference; anything else does."""
    assert policies.same(BATCH, json.loads(policies.batch()))
    one = policies.document(policies.allow(("s3:GetObject",), ["arn:aws:s3:::b-1"], "A"))
    other = json.loads(one)
    other["Statement"] = {**other["Statement"][0], "Sid": "B", "Action": "s3:GetObject"}
    assert policies.same(one, other)
    other["Statement"]["Action"] = "s3:*"
    assert not policies.same(one, other)
