"""Batch's job calls: SubmitJob, DescribeJobs, ListJobs, TerminateJob, CancelJob, snapshots.

Everything else of Batch is moto's. Ids that nobody knows are no error, as on AWS: they are left
out of DescribeJobs, and TerminateJob and CancelJob answer as if they had done it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from . import descriptions
from .jobs import STATUSES
from .submission import ClientError, specification

if TYPE_CHECKING:
    from collections.abc import Callable

    from .driver import Driver
    from .jobs import Job
    from .queues import Catalogue, Queue
    from .quota import Quota

MAX_DESCRIBED = 100
MAX_LISTED = 1000
MAX_FILTERED = 100
MAX_SNAPSHOT = 100

PREFIX = "/v1/"


class BatchCalls:
    """Answers requests by the last part of their path."""

    def __init__(self, driver: Driver, catalogue: Catalogue, submissions: Quota) -> None:
        self._driver = driver
        self._catalogue = catalogue
        self._submissions = submissions
        self._calls: dict[str, Callable[[dict[str, Any], str, int], dict[str, Any]]] = {
            "submitjob": self._submit,
            "describejobs": self._describe,
            "listjobs": self._list,
            "terminatejob": self._terminate,
            "canceljob": self._cancel,
            "getjobqueuesnapshot": self._snapshot,
        }

    def answers(self, path: str) -> bool:
        """Tell whether a request to *path* is one of ours."""
        return path.removeprefix(PREFIX) in self._calls

    def answer(self, path: str, body: bytes, region: str) -> dict[str, Any]:
        """Return the answer to a request that ``answers`` says is ours. Raises ``ClientError``."""
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ClientError("The request is not JSON") from error
        return self._calls[path.removeprefix(PREFIX)](request, region, len(body))

    def _submit(self, request: dict[str, Any], region: str, size: int) -> dict[str, Any]:
        if not self._submissions.allows(region):
            raise ClientError("Too Many Requests", "TooManyRequestsException", 429)
        job = self._driver.submit(specification(request, region, self._catalogue, size))
        return {
            "jobArn": descriptions.arn(job),
            "jobName": job.specification.name,
            "jobId": job.id,
        }

    def _describe(self, request: dict[str, Any], region: str, _: int) -> dict[str, Any]:
        wanted = request.get("jobs") or []
        if len(wanted) > MAX_DESCRIBED:
            raise ClientError("jobs may have at most 100 items")
        ids = [each.rpartition("/")[2] for each in wanted]

        def described(jobs: dict[str, Job]) -> list[dict[str, Any]]:
            found = (jobs[each] for each in dict.fromkeys(ids) if each in jobs)
            return [descriptions.detail(job) for job in found if job.specification.region == region]

        return {"jobs": self._driver.read(described)}

    def _list(self, request: dict[str, Any], region: str, _: int) -> dict[str, Any]:
        queue = self._queue(request, region)
        filters = request.get("filters") or []
        status = request.get("jobStatus", "RUNNING")
        if status not in STATUSES:
            raise ClientError(f"Invalid job status: {status}")
        if len(filters) > 1:
            raise ClientError("Only one filter can be used at a time")

        def listed(jobs: dict[str, Job]) -> list[dict[str, Any]]:
            of_queue = (job for job in jobs.values() if job.specification.queue_arn == queue.arn)
            wanted = (
                job
                for job in of_queue
                if (_passes(job, filters[0]) if filters else job.status == status)
            )
            newest_first = sorted(wanted, key=lambda job: job.created, reverse=True)
            return [descriptions.summary(job) for job in newest_first]

        most = MAX_FILTERED if filters else MAX_LISTED
        return _page(self._driver.read(listed), request, most)

    def _terminate(self, request: dict[str, Any], _: str, __: int) -> dict[str, Any]:
        self._driver.terminate(*_id_and_reason(request))
        return {}

    def _cancel(self, request: dict[str, Any], _: str, __: int) -> dict[str, Any]:
        self._driver.cancel(*_id_and_reason(request))
        return {}

    def _snapshot(self, request: dict[str, Any], region: str, _: int) -> dict[str, Any]:
        queue = self._queue(request, region)

        def front(jobs: dict[str, Job]) -> list[dict[str, Any]]:
            waiting = [
                (job, since)
                for job in jobs.values()
                if job.status == "RUNNABLE"
                and job.specification.queue_arn == queue.arn
                and (since := job.since("RUNNABLE")) is not None
            ]
            first = sorted(waiting, key=lambda each: each[0].created)[:MAX_SNAPSHOT]
            return [
                {"jobArn": descriptions.arn(job), "earliestTimeAtPosition": int(since * 1000)}
                for job, since in first
            ]

        found = self._driver.read(front)
        updated = int(self._driver.now() * 1000)
        return {"frontOfQueue": {"jobs": found, "lastUpdatedAt": updated}}

    def _queue(self, request: dict[str, Any], region: str) -> Queue:
        reference = request.get("jobQueue")
        for other in ("arrayJobId", "multiNodeJobId"):
            if request.get(other):
                raise ClientError(f"The sandbox does not support {other}: it has no such jobs")
        if not reference:
            raise ClientError("A jobQueue, arrayJobId or multiNodeJobId is needed")
        queue = self._catalogue.queue(region, reference)
        if queue is None:
            raise ClientError(f"JobQueue {reference} not found.")
        return queue


def _id_and_reason(request: dict[str, Any]) -> tuple[str, str]:
    job_id, reason = request.get("jobId"), request.get("reason")
    if not job_id or not reason:
        raise ClientError(f"{'reason' if job_id else 'jobId'} must not be empty")
    return str(job_id).rpartition("/")[2], str(reason)


def _passes(job: Job, condition: dict[str, Any]) -> bool:
    name, values = condition.get("name"), condition.get("values") or []
    match name:
        case "JOB_NAME":
            return any(_fits(value, job.specification.name) for value in values)
        case "JOB_DEFINITION":
            known = (job.specification.definition, job.specification.definition_arn)
            return any(_fits(value, each) for value in values for each in known)
        case "BEFORE_CREATED_AT":
            return any(job.created * 1000 < int(value) for value in values)
        case "AFTER_CREATED_AT":
            return any(job.created * 1000 > int(value) for value in values)
        case _:
            raise ClientError(f"Unknown filter: {name}")


def _fits(pattern: str, value: str) -> bool:
    """Compare as ListJobs does: letter case aside, ``*`` at the end for a prefix."""
    pattern, value = pattern.lower(), value.lower()
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern


def _page(found: list[dict[str, Any]], request: dict[str, Any], most: int) -> dict[str, Any]:
    size = min(int(request.get("maxResults") or most), most)
    token = request.get("nextToken")
    try:
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError as error:
        raise ClientError("Invalid nextToken") from error
    page: dict[str, Any] = {"jobSummaryList": found[start : start + size]}
    if start + size < len(found):
        page["nextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return page
