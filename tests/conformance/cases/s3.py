"""S3, as far as builds use it."""

import base64
import hashlib
import time

import requests

from ..place import refused
from . import case

AREA = "S3"


@case(AREA)
def if_absent(aws):
    """A PutObject with If-None-Match: * is refused where there is an object."""
    request = {"Bucket": aws.bucket, "Key": "once", "IfNoneMatch": "*"}
    aws.s3.put_object(**request, Body=b"1")
    with refused("PreconditionFailed"):
        aws.s3.put_object(**request, Body=b"2")
    assert aws.s3.get_object(Bucket=aws.bucket, Key="once")["Body"].read() == b"1"


@case(AREA)
def multipart_if_absent(aws):
    """CompleteMultipartUpload with If-None-Match: * is refused likewise."""
    place = {"Bucket": aws.bucket, "Key": "parts"}
    aws.s3.put_object(**place, Body=b"1")
    upload = aws.s3.create_multipart_upload(**place)["UploadId"]
    part = aws.s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"2")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    with refused("PreconditionFailed"):
        aws.s3.complete_multipart_upload(
            **place, UploadId=upload, MultipartUpload=parts, IfNoneMatch="*"
        )


@case(AREA)
def wrong_checksum(aws):
    """A body that does not have the checksum that the request names is refused."""
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    with refused("BadDigest", "XAmzContentChecksumMismatch", "InvalidRequest"):
        aws.s3.put_object(Bucket=aws.bucket, Key="x", Body=b"this", ChecksumSHA256=wrong)


@case(AREA)
def ranges(aws):
    """A range of an object is served; one beyond its end is refused."""
    place = {"Bucket": aws.bucket, "Key": "range"}
    aws.s3.put_object(**place, Body=b"0123456789")
    assert aws.s3.get_object(**place, Range="bytes=2-4")["Body"].read() == b"234"
    with refused("InvalidRange"):
        aws.s3.get_object(**place, Range="bytes=100-")


@case(AREA)
def absent(aws):
    """An object that does not exist is NoSuchKey, and 404 without a body for HEAD."""
    with refused("NoSuchKey"):
        aws.s3.get_object(Bucket=aws.bucket, Key="absent")
    with refused("404"):
        aws.s3.head_object(Bucket=aws.bucket, Key="absent")


@case(AREA)
def head(aws):
    """HEAD tells an object's size, time and ETag as GET does."""
    place = {"Bucket": aws.bucket, "Key": "head"}
    aws.s3.put_object(**place, Body=b"content", Metadata={"a": "b"})
    got, headed = aws.s3.get_object(**place), aws.s3.head_object(**place)
    for name in ("ContentLength", "LastModified", "ETag", "Metadata"):
        assert got[name] == headed[name], name
    assert headed["ContentLength"] == 7


@case(AREA)
def listing(aws):
    """A listing is in the order of keys' bytes, a thousand a page."""
    for number in range(1001):
        aws.s3.put_object(Bucket=aws.bucket, Key=f"list/{number:04}", Body=b"")
    pages = list(
        aws.s3.get_paginator("list_objects_v2").paginate(Bucket=aws.bucket, Prefix="list/")
    )
    assert [len(page["Contents"]) for page in pages] == [1000, 1]
    keys = [each["Key"] for page in pages for each in page["Contents"]]
    assert keys == sorted(keys)


@case(AREA)
def presigned(aws):
    """A presigned URL works, and no longer once its time is over."""
    place = {"Bucket": aws.bucket, "Key": "signed"}
    aws.s3.put_object(**place, Body=b"content")
    url = aws.s3.generate_presigned_url("get_object", Params=place, ExpiresIn=60)
    assert requests.get(url, timeout=10).content == b"content"
    aws.advance(61)
    assert requests.get(url, timeout=10).status_code == 403


@case(AREA)
def expiry(aws):
    """Objects go when the bucket's lifecycle says so."""
    aws.s3.put_object(Bucket=aws.bucket, Key="old", Body=b"x")
    rule = {"ID": "x", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    aws.s3.put_bucket_lifecycle_configuration(
        Bucket=aws.bucket, LifecycleConfiguration={"Rules": [rule]}
    )
    aws.advance(3 * 86_400)
    with refused("404"):
        aws.s3.head_object(Bucket=aws.bucket, Key="old")


@case(AREA)
def renewed(aws):
    """An object that is copied onto itself is new: its age counts from then."""
    place = {"Bucket": aws.bucket, "Key": "renewed"}
    aws.s3.put_object(**place, Body=b"x")
    before = aws.s3.head_object(**place)["LastModified"]
    time.sleep(1.1)  # times are in whole seconds
    aws.s3.copy_object(**place, CopySource=place, MetadataDirective="REPLACE")
    assert aws.s3.head_object(**place)["LastModified"] > before
