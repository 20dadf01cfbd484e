"""S3: which action a request takes, from its method, path, query and headers.

After S3's "Required permissions for API operations". Buckets are named in the path.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from .calls import Need, body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import WSGIEnvironment

    from .calls import Incoming
    from .patterns import Values

_BUCKET_SETTINGS = {
    # Query → the name in operations, and in actions where that differs.
    "abac": ("BucketAbac", "BucketABAC"),
    "accelerate": ("BucketAccelerateConfiguration", "AccelerateConfiguration"),
    "acl": ("BucketAcl", ""),
    "analytics": ("BucketAnalyticsConfiguration", "AnalyticsConfiguration"),
    "cors": ("BucketCors", "BucketCORS"),
    "encryption": ("BucketEncryption", "EncryptionConfiguration"),
    "intelligent-tiering": (
        "BucketIntelligentTieringConfiguration",
        "IntelligentTieringConfiguration",
    ),
    "inventory": ("BucketInventoryConfiguration", "InventoryConfiguration"),
    "lifecycle": ("BucketLifecycleConfiguration", "LifecycleConfiguration"),
    "location": ("BucketLocation", ""),
    "logging": ("BucketLogging", ""),
    "metrics": ("BucketMetricsConfiguration", "MetricsConfiguration"),
    "notification": ("BucketNotificationConfiguration", "BucketNotification"),
    "object-lock": ("ObjectLockConfiguration", "BucketObjectLockConfiguration"),
    "ownershipControls": ("BucketOwnershipControls", ""),
    "policy": ("BucketPolicy", ""),
    "policyStatus": ("BucketPolicyStatus", ""),
    "publicAccessBlock": ("PublicAccessBlock", "BucketPublicAccessBlock"),
    "replication": ("BucketReplication", "ReplicationConfiguration"),
    "requestPayment": ("BucketRequestPayment", ""),
    "tagging": ("BucketTagging", ""),
    "versioning": ("BucketVersioning", ""),
    "website": ("BucketWebsite", ""),
}
_HAS_DELETE = frozenset({"policy", "website"})
"""Settings whose removal is an action of its own; to remove others takes the right to put them."""

_OBJECT_SETTINGS = {
    "acl": "ObjectAcl",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
}
_RARE = {
    # Query → what it is about, for what builds have no use for. Who may read and write objects may
    # do none of it.
    "annotation": "ObjectAnnotation",
    "metadataAnnotationTable": "BucketMetadataAnnotationTableConfiguration",
    "metadataConfiguration": "BucketMetadataTableConfiguration",
    "metadataInventoryTable": "BucketMetadataInventoryTableConfiguration",
    "metadataJournalTable": "BucketMetadataJournalTableConfiguration",
    "metadataTable": "BucketMetadataTableConfiguration",
    "renameObject": "ObjectName",
    "session": "Session",
    "torrent": "ObjectTorrent",
}
_RARE_VERBS = {"GET": "Get", "POST": "Create", "PUT": "Update", "DELETE": "Delete"}


def read(incoming: Incoming) -> tuple[str, tuple[Need, ...]]:
    """Return the operation and what it takes."""
    bucket, _, key = incoming.path.lstrip("/").partition("/")
    if not bucket:
        return "ListBuckets", (Need("s3:ListAllMyBuckets", "arn:aws:s3:::*"),)
    rare = next((_RARE[name] for name in incoming.query if name in _RARE), None)
    if rare is None and key and "encryption" in incoming.query:
        rare = "ObjectEncryption"
    if rare is not None:
        operation = f"{_RARE_VERBS.get(incoming.method, 'Get')}{rare}"
        return operation, (Need(f"s3:{operation}", f"arn:aws:s3:::{bucket}/{key}".rstrip("/")),)
    if not key:
        return _of_bucket(incoming, f"arn:aws:s3:::{bucket}")
    return _of_object(incoming, f"arn:aws:s3:::{bucket}/{key}")


def keys_to_delete(request: bytes) -> tuple[str, ...]:
    """Return the keys that a DeleteObjects request names; none where it cannot be read.

    Read by a parser, as by whoever deletes them: a key written in an unusual way is one, too.
    """
    try:
        return tuple(map(_text, _keys(_parsed(request))))
    except ET.ParseError:
        return ()


def keep_keys(environ: WSGIEnvironment, is_kept: Callable[[str], bool]) -> None:
    """Leave only some of the objects in a DeleteObjects request, and none of its checksums."""
    request = _parsed(body(environ))
    for each in [each for each in request if not all(map(is_kept, map(_text, _keys(each))))]:
        request.remove(each)
    left = ET.tostring(request)
    environ["wsgi.input"] = io.BytesIO(left)
    environ["CONTENT_LENGTH"] = str(len(left))
    for name in [name for name in environ if name.startswith("HTTP_X_AMZ_CHECKSUM_")]:
        del environ[name]
    environ.pop("HTTP_CONTENT_MD5", None)
    environ["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"


def _parsed(request: bytes) -> ET.Element:
    """Return the request, its elements' names without their namespace."""
    # UTF-8, whatever it says of itself, as moto has it. What entities come to, expat bounds.
    root = ET.fromstring(request, ET.XMLParser(encoding="utf-8"))  # noqa: S314
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    return root


def _keys(element: ET.Element) -> Iterable[ET.Element]:
    return element.iter("Key")


def _text(key: ET.Element) -> str:
    return "".join(key.itertext())


def _of_bucket(incoming: Incoming, arn: str) -> tuple[str, tuple[Need, ...]]:
    method, query = incoming.method, incoming.query
    setting = next((name for name in query if name in _BUCKET_SETTINGS), None)
    if method in {"GET", "PUT", "DELETE"} and setting is not None:
        return _of_setting(method, setting, arn)
    match method:
        case "PUT":
            return "CreateBucket", (Need("s3:CreateBucket", arn),)
        case "DELETE":
            return "DeleteBucket", (Need("s3:DeleteBucket", arn),)
        case "HEAD":
            return "HeadBucket", (Need("s3:ListBucket", arn),)
        case "POST" if "delete" in query:
            keys = keys_to_delete(incoming.body)
            needs = (Need("s3:DeleteObject", f"{arn}/{key}") for key in keys)
            return "DeleteObjects", tuple(needs)
        case "POST":  # a form, whose key is in it
            return "PostObject", (Need("s3:PutObject", f"{arn}/*"),)
    return _listing(query, arn)


def _of_setting(method: str, setting: str, arn: str) -> tuple[str, tuple[Need, ...]]:
    name, permission = _BUCKET_SETTINGS[setting]
    verb = method.title()
    right = verb if method != "DELETE" or setting in _HAS_DELETE else "Put"
    return f"{verb}{name}", (Need(f"s3:{right}{permission or name}", arn),)


def _listing(query: Mapping[str, str], arn: str) -> tuple[str, tuple[Need, ...]]:
    values: Values = {
        f"s3:{name}": (query[name],)
        for name in ("prefix", "delimiter", "max-keys")
        if name in query
    }
    if "uploads" in query:
        return "ListMultipartUploads", (Need("s3:ListBucketMultipartUploads", arn, values),)
    if "versions" in query:
        return "ListObjectVersions", (Need("s3:ListBucketVersions", arn, values),)
    operation = "ListObjectsV2" if "list-type" in query else "ListObjects"
    return operation, (Need("s3:ListBucket", arn, values),)


def _of_object(incoming: Incoming, arn: str) -> tuple[str, tuple[Need, ...]]:
    method, query = incoming.method, incoming.query
    setting = next((name for name in query if name in _OBJECT_SETTINGS), None)
    version = "Version" if "versionId" in query else ""
    if setting is not None and method in {"GET", "PUT", "DELETE"}:
        operation = f"{method.title()}{_OBJECT_SETTINGS[setting]}"
        return operation, (Need(f"s3:{operation.replace('Object', f'Object{version}')}", arn),)
    match method:
        case "GET" if "uploadId" in query:
            return "ListParts", (Need("s3:ListMultipartUploadParts", arn),)
        case "GET" | "HEAD":
            return _reading(incoming, arn, version)
        case "DELETE" if "uploadId" in query:
            return "AbortMultipartUpload", (Need("s3:AbortMultipartUpload", arn),)
        case "DELETE":
            return "DeleteObject", (Need(f"s3:DeleteObject{version}", arn),)
        case "POST" if "restore" in query:
            return "RestoreObject", (Need("s3:RestoreObject", arn),)
        case "POST" if "select" in query:
            return "SelectObjectContent", (Need("s3:GetObject", arn),)
    return _writing(incoming, arn)


def _reading(incoming: Incoming, arn: str, version: str) -> tuple[str, tuple[Need, ...]]:
    reading = Need(f"s3:GetObject{version}", arn)
    if incoming.method == "HEAD":
        return "HeadObject", (reading,)
    if "attributes" in incoming.query:
        return "GetObjectAttributes", (reading, Need(f"s3:GetObject{version}Attributes", arn))
    return "GetObject", (reading,)


def _writing(incoming: Incoming, arn: str) -> tuple[str, tuple[Need, ...]]:
    headers = incoming.headers
    operation = _name_of_writing(incoming)
    acl = headers.get("HTTP_X_AMZ_ACL")
    encryption = headers.get("HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION")
    values: dict[str, tuple[str, ...]] = {}
    if acl:
        values["s3:x-amz-acl"] = (acl,)
    if encryption:
        values["s3:x-amz-server-side-encryption"] = (encryption,)
    needs = [Need("s3:PutObject", arn, values)]
    if acl:
        needs.append(Need("s3:PutObjectAcl", arn, values))
    if headers.get("HTTP_X_AMZ_TAGGING"):
        needs.append(Need("s3:PutObjectTagging", arn, values))
    source = headers.get("HTTP_X_AMZ_COPY_SOURCE")
    if source:
        name, _, version = unquote(source).lstrip("/").partition("?versionId=")
        action = "s3:GetObjectVersion" if version else "s3:GetObject"
        needs.append(Need(action, f"arn:aws:s3:::{name}"))
    return operation, tuple(needs)


def _name_of_writing(incoming: Incoming) -> str:
    copies = "HTTP_X_AMZ_COPY_SOURCE" in incoming.headers
    if incoming.method == "POST":
        return "CreateMultipartUpload" if "uploads" in incoming.query else "CompleteMultipartUpload"
    if "partNumber" in incoming.query:
        return "UploadPartCopy" if copies else "UploadPart"
    return "CopyObject" if copies else "PutObject"
