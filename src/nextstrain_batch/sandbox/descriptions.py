"""Jobs in the shapes of Batch's answers: ``JobDetail`` and ``JobSummary``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .services import ACCOUNT

if TYPE_CHECKING:
    from .jobs import Attempt, Job, Task


def arn(job: Job) -> str:
    """Return the job's ARN."""
    return f"arn:aws:batch:{job.specification.region}:{ACCOUNT}:job/{job.id}"


def detail(job: Job) -> dict[str, Any]:
    """Return what DescribeJobs says of a job."""
    specification = job.specification
    described: dict[str, Any] = {
        "jobArn": arn(job),
        "jobName": specification.name,
        "jobId": job.id,
        "jobQueue": specification.queue_arn,
        "status": job.status,
        "attempts": [_attempt(each, specification.region) for each in job.attempts],
        "statusReason": job.status_reason,
        "createdAt": _milliseconds(job.created),
        "retryStrategy": _retry_strategy(job),
        "startedAt": _milliseconds(job.started),
        "stoppedAt": _milliseconds(job.stopped),
        "dependsOn": [],
        "jobDefinition": specification.definition_arn,
        "parameters": dict(specification.parameters),
        "container": _container(job),
        "timeout": specification.timeout and {"attemptDurationSeconds": specification.timeout},
        "tags": dict(specification.tags),
        "propagateTags": specification.propagate_tags,
        "platformCapabilities": ["EC2"],
        "isCancelled": job.cancelled,
        "isTerminated": job.terminated,
    }
    return _without_none(described)


def summary(job: Job) -> dict[str, Any]:
    """Return what ListJobs says of a job."""
    last = job.attempts[-1] if job.attempts else None
    container = _without_none({"exitCode": last and last.exit_code, "reason": last and last.reason})
    return _without_none(
        {
            "jobArn": arn(job),
            "jobId": job.id,
            "jobName": job.specification.name,
            "createdAt": _milliseconds(job.created),
            "status": job.status,
            "statusReason": job.status_reason,
            "startedAt": _milliseconds(job.started),
            "stoppedAt": _milliseconds(job.stopped),
            "container": container or None,
            "jobDefinition": job.specification.definition_arn,
        }
    )


def history(job: Job | None) -> list[list[Any]]:
    """Return what Batch does not tell: each status of a job, with when it began, in seconds."""
    return [] if job is None else [[status, began] for status, began in job.history]


def _container(job: Job) -> dict[str, Any]:
    container = job.specification.container
    last = job.attempts[-1] if job.attempts else None
    return _without_none(
        {
            "image": container.image,
            "command": list(container.command),
            "jobRoleArn": container.job_role,
            "executionRoleArn": container.execution_role,
            "volumes": [],
            "environment": [{"name": n, "value": v} for n, v in container.environment],
            "mountPoints": [],
            "ulimits": [],
            "networkInterfaces": [],
            "resourceRequirements": [
                {"value": f"{container.vcpus:g}", "type": "VCPU"},
                {"value": str(container.memory), "type": "MEMORY"},
            ],
            "secrets": [],
        }
        | (_of_task(job.task, job) if job.task else _of_attempt(last, job) if last else {})
    )


def _of_task(task: Task, job: Job) -> dict[str, Any]:
    return {
        "containerInstanceArn": _container_instance(
            task.environment, task.instance, job.specification.region
        ),
        "taskArn": _task_arn(task.id, task.environment, job.specification.region),
        "logStreamName": None if task.started is None else task.log_stream,
    }


def _of_attempt(attempt: Attempt, job: Job) -> dict[str, Any]:
    region = job.specification.region
    return {
        "containerInstanceArn": _container_instance(attempt.environment, attempt.instance, region),
        "taskArn": _task_arn(attempt.task, attempt.environment, region),
        "logStreamName": attempt.log_stream,
        "exitCode": attempt.exit_code,
        "reason": attempt.reason,
    }


def _attempt(attempt: Attempt, region: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "containerInstanceArn": _container_instance(attempt.environment, attempt.instance, region),
        "taskArn": _task_arn(attempt.task, attempt.environment, region),
        "exitCode": attempt.exit_code,
        "reason": attempt.reason,
        "logStreamName": attempt.log_stream,
        "networkInterfaces": [],
    }
    return _without_none(
        {
            "container": _without_none(container),
            "startedAt": _milliseconds(attempt.started),
            "stoppedAt": _milliseconds(attempt.stopped),
            "statusReason": attempt.status_reason,
        }
    )


def _retry_strategy(job: Job) -> dict[str, Any]:
    rules = [
        _without_none(
            {
                "onStatusReason": rule.on_status_reason,
                "onReason": rule.on_reason,
                "onExitCode": rule.on_exit_code,
                "action": rule.action,
            }
        )
        for rule in job.specification.retry.rules
    ]
    return {"attempts": job.specification.retry.attempts, "evaluateOnExit": rules}


def _container_instance(environment: str, instance: str, region: str) -> str:
    number = instance.removeprefix("i-").rjust(32, "0")
    return f"arn:aws:ecs:{region}:{ACCOUNT}:container-instance/{environment}/{number}"


def _task_arn(task: str, environment: str, region: str) -> str:
    return f"arn:aws:ecs:{region}:{ACCOUNT}:task/{environment}/{task}"


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
