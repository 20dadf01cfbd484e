"""Whom a request is signed by, for which service."""

import pytest

from nextstrain_batch.sandbox.iam import signature

SCOPE = "20261101/us-east-1/batch/aws4_request"


def read(authorization="", query=""):
    return signature.read({"HTTP_AUTHORIZATION": authorization, "QUERY_STRING": query})


def test_only_what_carries_no_signature_is_unsigned():
    """Neither a header, nor any part of a presigned address."""
    assert read() is signature.UNSIGNED
    assert read(query="list-type=2&prefix=a") is signature.UNSIGNED


@pytest.mark.parametrize(
    ("authorization", "query"),
    [
        ("Bearer x", ""),
        ("AWS :x", ""),
        (f"AWS4-HMAC-SHA256 Credential=/{SCOPE}", ""),
        ("", f"X-Amz-Credential=/{SCOPE}"),
        ("", "X-Amz-Credential="),
        ("", "X-Amz-Signature=x"),
        ("", "AWSAccessKeyId="),
        ("", "Signature=x"),
    ],
)
def test_a_signature_that_names_nobody_is_not_taken_for_none(authorization, query):
    """Unsigned requests may do something; those of a key that nobody has, nothing."""
    assert read(authorization, query) == signature.UNREADABLE


def test_both_versions_are_read_in_a_header_and_in_a_query():
    """With the service and region that the fourth version names."""
    expected = signature.Signed("AKIA", "batch", "us-east-1")
    assert read(f"AWS4-HMAC-SHA256 Credential=AKIA/{SCOPE}, Signature=x") == expected
    assert read(query=f"X-Amz-Credential=AKIA/{SCOPE}".replace("/", "%2F")) == expected
    assert read("AWS AKIA:x") == read(query="AWSAccessKeyId=AKIA") == signature.Signed("AKIA")
