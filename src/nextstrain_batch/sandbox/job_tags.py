"""Batch's tag calls about jobs: ListTagsForResource, TagResource, UntagResource.

Those about anything else are moto's.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .submission import ClientError, allowed_tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .driver import Driver

_PATH = re.compile(r"/v1/tags/(arn:[^:]+:batch:[^:]+:\d+:job/.+)\Z")


class JobTags:
    """Reads and changes the tags of jobs, which are part of what was submitted."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def answers(self, path: str) -> bool:
        """Tell whether a request to *path*, decoded, is one of ours."""
        return _PATH.match(path) is not None

    def answer(self, method: str, path: str, query: str, body: bytes) -> dict[str, Any]:
        """Return the answer to a request that ``answers`` says is ours. Raises ``ClientError``."""
        found = _PATH.match(path)
        arn = found[1] if found else ""
        tags = self.of(arn)
        if tags is None:
            raise ClientError(f"{arn} does not exist")
        if method == "GET":
            return {"tags": tags}
        if method == "DELETE":
            gone = parse_qs(query, keep_blank_values=True).get("tagKeys", ())
            self._driver.tag(
                _job_id(arn), lambda had: {key: had[key] for key in had if key not in gone}
            )
        else:
            added = _given(body)
            self._driver.tag(_job_id(arn), lambda had: allowed_tags({**had, **added}))
        return {}

    def of(self, arn: str) -> dict[str, str] | None:
        """Return the tags of the job with this ARN; None where there is no such job."""
        job = self._driver.read(lambda jobs: jobs.get(_job_id(arn)))
        if job is None or job.specification.region != arn.split(":")[3]:
            return None
        return dict(job.specification.tags)


def _job_id(arn: str) -> str:
    return arn.rpartition("/")[2]


def _given(body: bytes) -> Mapping[str, str]:
    try:
        tags: Mapping[str, str] = json.loads(body or b"{}").get("tags") or {}
    except (ValueError, AttributeError) as error:
        raise ClientError("The request is not JSON") from error
    return tags
