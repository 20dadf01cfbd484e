"""The parts of botocore's clients that are used, for the type checker and for whoever fakes them.

Each method takes the operation's parameters by name and returns the answer as a dictionary, as
the AWS API reference has them; it raises botocore's exceptions.
"""

from __future__ import annotations

from typing import Any, Protocol


class BatchClient(Protocol):
    """AWS Batch."""

    def describe_jobs(self, *, jobs: list[str]) -> dict[str, Any]:
        """DescribeJobs."""

    def submit_job(self, **parameters: object) -> dict[str, Any]:
        """SubmitJob."""

    def terminate_job(self, *, jobId: str, reason: str) -> dict[str, Any]:  # noqa: N803
        """TerminateJob."""

    def list_jobs(self, **parameters: object) -> dict[str, Any]:
        """ListJobs."""

    def describe_job_queues(self, **parameters: object) -> dict[str, Any]:
        """DescribeJobQueues."""

    def describe_job_definitions(self, **parameters: object) -> dict[str, Any]:
        """DescribeJobDefinitions."""

    def register_job_definition(self, **parameters: object) -> dict[str, Any]:
        """RegisterJobDefinition."""

    def describe_compute_environments(self, **parameters: object) -> dict[str, Any]:
        """DescribeComputeEnvironments."""

    def get_job_queue_snapshot(self, **parameters: object) -> dict[str, Any]:
        """GetJobQueueSnapshot."""


class LogsClient(Protocol):
    """CloudWatch Logs."""

    def get_log_events(self, **parameters: object) -> dict[str, Any]:
        """GetLogEvents."""
