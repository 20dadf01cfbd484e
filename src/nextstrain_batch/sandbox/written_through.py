"""Objects written through: what S3 has acknowledged is on disk before it is.

Saving all of S3 with each request would cost too much, so each request that writes an object adds
the object, as it then is, to a log; its content is in a file of its own already. A request that
changes anything else of S3, such as a bucket's policy, is rare and saves everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias
    from wsgiref.types import WSGIEnvironment

    from .frames import Frames

    Backend: TypeAlias = Any
    """moto's objects, which have no types of use."""

_OF_UPLOADS = {"uploads", "uploadId", "partNumber"}
_HARMLESS = _OF_UPLOADS | {"x-id", "versionId"}
"""Parts of a query with which a request still only writes one object or one upload."""
_TAGS = "HTTP_X_AMZ_TAGGING"


class WrittenThrough:
    """Writes S3's changes down as they happen, and makes them again.

    *pickled* and *unpickled* know how contents are kept.
    """

    def __init__(
        self,
        frames: Frames,
        pickled: Callable[[object], bytes],
        unpickled: Callable[[bytes], Any],
    ) -> None:
        self._frames = frames
        self._pickled = pickled
        self._unpickled = unpickled

    def write(self, backend: Backend, environ: WSGIEnvironment) -> bool:
        """Write down what a request has changed; return false if that takes saving all of S3."""
        bucket_name, _, key = _path(environ).lstrip("/").partition("/")
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        signing = {name for name in query if name.lower().startswith("x-amz-")}
        bucket = backend.buckets.get(bucket_name)
        if not key or bucket is None or query.keys() - signing - _HARMLESS or _TAGS in environ:
            return False
        with self._frames.lock:
            # As they are now: whichever of two writers comes last here tells the truth.
            versions = list(bucket.keys.getlist(key, []))
            self._frames.append(self._pickled(("object", bucket_name, key, versions)))
            if query.keys() & _OF_UPLOADS:
                uploads = [each for each in bucket.multiparts.values() if each.key_name == key]
                self._frames.append(self._pickled(("uploads", bucket_name, key, uploads)))
        return True

    def replay(self, backend: Backend) -> int:
        """Make the changes in *backend* that were written down; return how many they were."""
        count = 0
        for frame in self._frames.read():
            kind, bucket_name, key, found = self._unpickled(frame)
            bucket = backend.buckets.get(bucket_name)
            if bucket is not None:
                (_set_object if kind == "object" else _set_uploads)(bucket, key, found)
            count += 1
        return count


def _set_object(bucket: Backend, key: str, versions: list[Any]) -> None:
    if versions:
        bucket.keys.setlist(key, versions)
    elif key in bucket.keys:
        bucket.keys.pop(key)


def _set_uploads(bucket: Backend, key: str, uploads: list[Any]) -> None:
    for upload_id in [name for name, each in bucket.multiparts.items() if each.key_name == key]:
        del bucket.multiparts[upload_id]
    for upload in uploads:
        bucket.multiparts[upload.id] = upload


def _path(environ: WSGIEnvironment) -> str:
    raw = environ.get("REQUEST_URI")
    if raw:
        return unquote(str(raw).partition("?")[0])
    return str(environ.get("PATH_INFO", "/")).encode("latin-1").decode("utf-8", "replace")
