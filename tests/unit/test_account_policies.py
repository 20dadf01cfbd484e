"""The permission documents."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.session import Session

from nextstrain_batch.account import policies, template
from nextstrain_batch.account.options import ALLOWABLE, Options
from nextstrain_batch.account.place import Place
from nextstrain_batch.account.resources import Policy, account
from nextstrain_batch.permissions import who_grants
from nextstrain_batch.sandbox.iam.documents import parse
from nextstrain_batch.sandbox.iam.evaluation import Policies, Principal, Request, decide

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


@pytest.mark.parametrize("own_jobs", [False, True])
@pytest.mark.parametrize("own_prefixes", [False, True])
def test_a_closer_limit_stands_in_for_a_documented_policy(own_jobs, own_prefixes):
    """The group has one or the other, and names the other as one that it must not have."""
    group = account(
        Options("our-jobs", "us-east-1", own_jobs=own_jobs, own_prefixes=own_prefixes)
    ).group
    jobs = ("NextstrainJobsAccessToBatch", "NextstrainJobsAccessToOwnJobs")
    files = ("NextstrainJobsAccessToBucket", "NextstrainJobsAccessToOwnPrefix")
    has = {jobs[own_jobs], files[own_prefixes], "NextstrainJobsAccessToLogs"}
    assert set(group.policies) == has
    assert set(group.not_policies) == {*jobs, *files} - has


def test_the_job_role_has_the_bucket_alone():
    """The role that jobs have carries the bucket policy and nothing else, whatever is chosen."""
    everything = account(
        Options("b-1", "us-east-1", allow=ALLOWABLE, own_prefixes=True, own_jobs=True)
    )
    role = next(each for each in everything.resources if each.name == "NextstrainJobsRole")
    assert (role.policies, role.managed_policies) == (("NextstrainJobsAccessToBucket",), ())
    assert json.loads(role.trust)["Statement"][0]["Principal"] == {
        "Service": "ecs-tasks.amazonaws.com"
    }


def every_action():
    """Return every action of every AWS service, as the linter's data lists them."""
    (place,) = importlib.util.find_spec("parliament").submodule_search_locations
    services = json.loads((Path(place) / "iam_definition.json").read_text())
    return {
        f"{service['prefix']}:{each['privilege']}"
        for service in services
        for each in service["privileges"]
    }


def test_the_job_role_allows_four_actions_of_all_that_there_are():
    """On the bucket and its objects, and none on anything else, whichever service's it is."""
    whole = account(Options("our-jobs", "us-east-1"))
    (document,) = [
        parse(each.document) for each in whole.of(Policy) if each.name == whole.names.bucket_policy
    ]
    everything = every_action()
    assert len(everything) > 10_000
    who = Principal("arn:aws:sts::123456789012:assumed-role/NextstrainJobsRole/x", "123456789012")
    found = {
        (action, resource)
        for action in everything
        for resource in (
            *("arn:aws:s3:::our-jobs", "arn:aws:s3:::our-jobs/x", "arn:aws:s3:::our-jobs-2"),
            *("arn:aws:s3:::other/our-jobs", "arn:aws:batch:us-east-1:123456789012:job/1", "*"),
        )
        if decide(Request(who, action, resource), Policies(identity=(document,))).allowed
    }
    assert found == {
        (action, f"arn:aws:s3:::our-jobs{key}")
        for action in policies.BUCKET_ACTIONS
        for key in ("", "/x")
    }


def test_a_linter_finds_nothing_in_them():
    """A policy linter finds nothing but that Batch's jobs have no names to list beforehand."""
    documents = {
        name: document
        for name, document in exported(allow=ALLOWABLE, own_prefixes=True, own_jobs=True).items()
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
        ("eusc-de-east-1", "arn:aws-eusc:"),
    ],
)
def test_resources_are_named_in_the_part_of_aws_where_they_are(region, arn):
    """In China, GovCloud and Europe's sovereign cloud, ARNs begin otherwise."""
    found = account(Options("our-jobs", region))
    bucket = next(each for each in found.resources if each.name == "NextstrainJobsAccessToBucket")
    assert json.loads(bucket.document)["Statement"][0]["Resource"][1] == f"{arn}s3:::our-jobs"


def test_every_region_is_in_the_part_of_aws_that_botocore_says():
    """For each region that botocore knows, whichever of the two asks, and for no fewer parts."""
    session = Session()
    parts = {
        each["id"]: [region for region in each["regions"] if "global" not in region]
        for each in session.get_component("data_loader").load_data("partitions")["partitions"]
    }
    assert len(parts) >= 8
    for part, regions in parts.items():
        assert regions
        for region in regions:
            assert session.get_partition_for_region(region) == part
            assert policies.partition_of(region) == part
            assert Place(lambda _: None, region).partition == part


def test_a_document_tells_which_buckets_it_is_about():
    """As one resource or several, in any part of AWS; a pattern is no bucket."""
    assert policies.buckets(policies.bucket("our-jobs", "aws-cn")) == {"our-jobs"}
    assert policies.buckets(policies.own_prefix("our-jobs")) == {"our-jobs"}
    many = ["arn:aws:s3:::a-1/*", "arn:aws:s3:::b-1", "arn:aws:s3:::*", "arn:aws:s3:::c-*/x", "*"]
    document = policies.document(policies.allow(("s3:GetObject",), many))
    assert policies.buckets(document) == {"a-1", "b-1"}
    assert policies.buckets(policies.batch()) == frozenset()
    assert policies.buckets(policies.document(policies.allow(("s3:*",), "*"))) == frozenset()


def test_documents_are_compared_by_what_they_say():
    """Order, ids and a single item without its list make no difference; anything else does."""
    assert policies.same(BATCH, json.loads(policies.batch()))
    one = policies.document(policies.allow(("s3:GetObject",), ["arn:aws:s3:::b-1"], "A"))
    other = json.loads(one)
    other["Statement"] = {**other["Statement"][0], "Sid": "B", "Action": "s3:GetObject"}
    assert policies.same(one, other)
    other["Statement"]["Action"] = "s3:*"
    assert not policies.same(one, other)
