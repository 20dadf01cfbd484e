"""The tags that jobs may carry."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch import job_tags
from nextstrain_batch.errors import UnreachableError
from nextstrain_batch.runs import Run

RUN = Run(
    id="zika-20261123T041500Z-1a2b3c4d",
    created=datetime(2026, 11, 23, 4, 15, tzinfo=UTC),
    pathogen="zika (test)",
    working_directory="",
    program=("snakemake",),
    queue="q",
    job_definition="d",
    input_manifest_digest="",
)


def sts(user_id, arn):
    return SimpleNamespace(get_caller_identity=lambda: {"UserId": user_id, "Arn": arn})


@pytest.mark.parametrize(
    ("user_id", "arn", "name"),
    [
        ("AIDAADA", "arn:aws:iam::123456789012:user/people/ada", "ada"),
        ("AROAX:ada@x.org", "arn:aws:sts::123456789012:assumed-role/X/ada@x.org", "ada@x.org"),
        ("AROAX:a,b", "arn:aws:sts::123456789012:assumed-role/X/a,b", "a-b"),
    ],
)
def test_whose_a_job_is_stands_exactly_as_iam_has_it(user_id, arn, name):
    """Its owner is compared with aws:userid, letter by letter; the rest is for people."""
    assert job_tags.tags_of(RUN, sts(user_id, arn)) == {
        "nextstrain-owner": user_id,
        "nextstrain-user": name,
        "nextstrain-pathogen": "zika -test-",
        "nextstrain-run": RUN.id,
    }


def test_who_asks_cannot_be_told_without_a_connection():
    """That is the error of every other request that gets no answer."""

    def fail():
        raise EndpointConnectionError(endpoint_url="https://sts")

    with pytest.raises(UnreachableError, match="ask AWS who you are"):
        job_tags.tags_of(RUN, SimpleNamespace(get_caller_identity=fail))


@given(st.text(max_size=400))
def test_a_value_is_always_one_that_a_tag_may_have(text):
    """Of allowed length and characters, and unchanged where it was allowed already."""
    found = job_tags.value(text)
    assert len(found) <= 256
    assert re.fullmatch(r"[\w +=.:/@-]*", found)
    assert job_tags.value(found) == found
