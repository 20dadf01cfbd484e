"""The signature of requests to S3, against botocore's."""

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.store.direct.credentials import Credentials
from nextstrain_batch.store.direct.signature import Request, quoted, signed

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
keys = text | st.text("aé/+ ~*%&=?#.:;,'()!@$-_", min_size=1, max_size=30)
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
names = st.from_regex(r"[a-z]([a-z-]{0,8}[a-z])?", fullmatch=True)
requests = st.builds(
    Request,
    st.just("Whatever"),
    st.sampled_from(["GET", "PUT", "DELETE"]),
    keys,
    st.dictionaries(names, text, max_size=4),
    st.dictionaries(
        st.sampled_from(
            ["range", "if-none-match", "x-amz-copy-source", "x-amz-metadata-directive"]
        ),
        st.text(" abc/%-=*1", min_size=1).map(str.strip).filter(bool),
    ),
    st.binary(max_size=50),
)


@given(
    requests,
    st.sampled_from(["bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:8333"]),
    st.sampled_from(["us-east-1", "eu-west-1", "cn-north-1"]),
    st.builds(Credentials, plain, plain, st.none() | plain),
)
def test_any_request_is_signed_as_botocore_signs_it(request, host, region, credentials):
    """Whatever key, parameters, headers, body, region and token: botocore signs it the same."""
    path = f"/{quoted(request.key, '/')}"
    url = f"https://{host}{path}?{request.query_string}"
    theirs = AWSRequest(request.method, url, dict(request.headers), request.body)
    token = credentials.token
    boto = BotoCredentials(credentials.access_key, credentials.secret_key, token)
    S3SigV4Auth(boto, "s3", region).add_auth(theirs)
    time = datetime.strptime(theirs.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed(request, host, path, region, credentials, time)
    assert ours.pop("host") == host
    assert ours == {name.lower(): value for name, value in theirs.headers.items()}


@pytest.mark.parametrize(("byte", "as_it_is"), [("~", True), ("*", False), ("+", False)])
def test_what_is_quoted(byte, as_it_is):
    """Only letters, digits and ``-._~`` stand for themselves."""
    assert (quoted(byte) == byte) is as_it_is
