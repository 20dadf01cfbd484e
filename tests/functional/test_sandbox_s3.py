"""S3 in the sandbox where plain moto is not like S3: checksums, expiry, and what outlives it."""

import base64
import hashlib
import http.client
import os
import zlib
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from nextstrain_batch.sandbox import manager
from nextstrain_batch.sandbox.breaking import Breaking
from nextstrain_batch.sandbox.checksums import checksum
from sandbox_account import clients_of

DAY = 86_400


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def endpoint(home):
    yield manager.ensure(home, {"PATH": os.environ["PATH"], "HOME": str(home)})
    manager.stop(home)


@pytest.fixture(scope="module")
def s3(endpoint):
    return clients_of(endpoint)("s3")


@pytest.fixture(scope="module")
def presign(endpoint):
    client = Session().create_client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        config=Config(proxies={}, s3={"addressing_style": "path"}, signature_version="s3v4"),
    )
    return client.generate_presigned_url


@pytest.fixture(scope="module")
def bucket(endpoint):
    return endpoint.bucket


def fetch(url, method="GET", body=None, headers=None):
    """Request a URL by hand; return status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    with closing(connection):
        connection.request(method, f"{parts.path}?{parts.query}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def code(error):
    return error.value.response["Error"]["Code"]


CHECK = b"123456789"


@pytest.mark.parametrize(
    ("name", "value"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_checksums_are_the_published_ones(name, value):
    """Each checksum of ``123456789`` is the check value in the catalogue of CRCs."""
    assert base64.b64decode(checksum(name, CHECK)).hex() == value


@pytest.mark.parametrize("name", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_a_right_checksum_is_taken_and_a_wrong_one_is_not(s3, bucket, name):
    """A body that is not what its checksum says is BadDigest, and is not stored."""
    parameter = f"Checksum{name.upper()}"
    s3.put_object(Bucket=bucket, Key=name, Body=CHECK, **{parameter: checksum(name, CHECK)})
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x", **{parameter: checksum(name, CHECK)})
    assert code(error) == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == CHECK


def test_a_malformed_checksum(s3, bucket):
    """A checksum of a wrong length is an invalid request."""
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="c", Body=CHECK, ChecksumCRC32="AAAA")
    assert code(error) == "InvalidRequest"


@pytest.mark.parametrize(
    ("given", "answer"),
    [(base64.b64encode(bytes(16)).decode(), "BadDigest"), ("no md5", "InvalidDigest")],
)
def test_a_wrong_md5(s3, bucket, given, answer):
    """A Content-MD5 that is not the body's, or no MD5 at all, is refused."""
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="md5", Body=CHECK, ContentMD5=given)
    assert code(error) == answer


def test_a_part_with_a_wrong_checksum(s3, bucket):
    """The parts of a multipart upload are verified, too."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    named = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    with pytest.raises(ClientError) as error:
        s3.upload_part(**named, PartNumber=1, Body=CHECK, ChecksumCRC32=checksum("crc32", b"x"))
    assert code(error) == "BadDigest"


def test_a_body_that_is_not_what_was_signed(presign, bucket):
    """The SHA-256 that a request is signed with is the body's."""
    url = presign("put_object", {"Bucket": bucket, "Key": "signed"})
    headers = {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    status, answer = fetch(url, "PUT", b"body", headers)
    assert status == 400
    assert b"XAmzContentSHA256Mismatch" in answer


@pytest.mark.parametrize(("trailing", "status"), [(CHECK, 200), (b"other", 400)])
def test_a_checksum_in_the_trailer(s3, presign, bucket, trailing, status):
    """What comes in chunks has its checksum behind it; it is verified all the same."""
    url = presign("put_object", {"Bucket": bucket, "Key": "trailer"})
    total = base64.b64encode(zlib.crc32(trailing).to_bytes(4, "big")).decode()
    body = b"5\r\n12345\r\n4\r\n6789\r\n0\r\n" + f"x-amz-checksum-crc32:{total}\r\n\r\n".encode()
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "9",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    found, answer = fetch(url, "PUT", body, headers)
    assert found == status, answer
    if status == 200:
        assert s3.get_object(Bucket=bucket, Key="trailer")["Body"].read() == CHECK
    else:
        assert b"BadDigest" in answer


def test_presigned_urls_expire(home, s3, presign, bucket):
    """A presigned URL is good for its time, by the sandbox's clock, and no longer."""
    s3.put_object(Bucket=bucket, Key="presigned", Body=CHECK)
    url = presign("get_object", {"Bucket": bucket, "Key": "presigned"}, 60)
    assert fetch(url) == (200, CHECK)
    manager.advance_clock(home, 61)
    status, answer = fetch(url)
    assert status == 403
    assert b"Request has expired" in answer


def test_a_presigned_url_for_more_than_a_week(presign, bucket):
    """No URL is good for more than a week."""
    url = presign("get_object", {"Bucket": bucket, "Key": "x"}, 604_801)
    status, answer = fetch(url)
    assert status == 400
    assert b"AuthorizationQueryParametersError" in answer


def test_what_expires_vanishes(home, s3, bucket):
    """Objects grow older with the sandbox's clock, and go 30 days after they were written."""
    s3.put_object(Bucket=bucket, Key="old/1", Body=CHECK)
    written = s3.head_object(Bucket=bucket, Key="old/1")["LastModified"]
    manager.advance_clock(home, 29 * DAY)
    older = s3.head_object(Bucket=bucket, Key="old/1")["LastModified"]
    assert (written - older).days in {28, 29}
    s3.put_object(Bucket=bucket, Key="old/2", Body=CHECK)
    manager.advance_clock(home, 2 * DAY)
    found = s3.list_objects_v2(Bucket=bucket, Prefix="old/")["Contents"]
    assert [each["Key"] for each in found] == ["old/2"]


def test_renewing_an_object_keeps_it(home, s3, bucket):
    """An object that is copied onto itself is as young as a new one."""
    s3.put_object(Bucket=bucket, Key="renewed", Body=CHECK)
    manager.advance_clock(home, 20 * DAY)
    source = {"Bucket": bucket, "Key": "renewed"}
    s3.copy_object(Bucket=bucket, Key="renewed", CopySource=source, MetadataDirective="REPLACE")
    manager.advance_clock(home, 20 * DAY)
    assert s3.get_object(Bucket=bucket, Key="renewed")["Body"].read() == CHECK


def test_listing_versions_harms_nothing(home, s3, bucket):
    """Big objects are whole after their versions were listed."""
    body = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="big", Body=body)
    administrator = clients_of(manager.administrator(home))("s3")
    for _ in range(3):
        administrator.list_object_versions(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="big")["Body"].read() == body


def test_the_bucket_wants_tls(home, s3, bucket):
    """The bucket's own policy refuses what is seen as sent in the clear."""
    with Breaking(home) as broken:
        fault = broken.add("plain-http", api="PutObject")
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="clear", Body=b"")
        assert code(error) == "AccessDenied"
        assert fault.struck == 1
    s3.put_object(Bucket=bucket, Key="clear", Body=b"")
