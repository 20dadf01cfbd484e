"""AWS Batch's queues, compute environments and job definitions."""

from ..place import refused
from . import case

AREA = "AWS Batch: queues, environments, definitions"


@case(AREA)
def queue(aws):
    """A queue is ENABLED and VALID, and healthy in AWS's words."""
    (found,) = aws.batch.describe_job_queues(jobQueues=[aws.queue])["jobQueues"]
    assert (found["state"], found["status"]) == ("ENABLED", "VALID")
    assert found["statusReason"] == "JobQueue Healthy"
    (order,) = found["computeEnvironmentOrder"]
    assert order["computeEnvironment"].startswith("arn:aws:batch:")


@case(AREA)
def unknown_queue(aws):
    """Names that nobody knows are left out of descriptions."""
    assert aws.batch.describe_job_queues(jobQueues=["nobody"])["jobQueues"] == []
    found = aws.batch.describe_compute_environments(computeEnvironments=["nobody"])
    assert found["computeEnvironments"] == []


@case(AREA)
def environment(aws):
    """A compute environment has its sizes, its orchestration and AWS's words for health."""
    name = aws.environment
    answer = aws.batch.describe_compute_environments(computeEnvironments=[name])
    (found,) = answer["computeEnvironments"]
    assert found["statusReason"] == "ComputeEnvironment Healthy"
    assert found["containerOrchestrationType"] == "ECS"
    assert found["computeResources"]["maxvCpus"] == 16


@case(AREA)
def environment_changed(aws):
    """UpdateComputeEnvironment changes the maximum of vCPUs."""
    name = aws.environment

    def change(maximum):
        aws.batch.update_compute_environment(
            computeEnvironment=name, computeResources={"maxvCpus": maximum}
        )
        answer = aws.batch.describe_compute_environments(computeEnvironments=[name])
        return answer["computeEnvironments"][0]["computeResources"]["maxvCpus"]

    assert change(32) == 32
    assert change(16) == 16


@case(AREA)
def pages(aws):
    """Descriptions come in pages of the size that is asked for."""
    for _ in range(2):
        aws.register(f"{aws.definition}-paged")
    found = aws.batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName=f"{aws.definition}-paged", PaginationConfig={"PageSize": 1}
    )
    assert [len(page["jobDefinitions"]) for page in found] == [1, 1]


@case(AREA)
def time_limits(aws):
    """A queue keeps its jobStateTimeLimitActions."""
    limit = {
        "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "state": "RUNNABLE",
        "maxTimeSeconds": 600,
        "action": "CANCEL",
    }
    aws.batch.update_job_queue(jobQueue=aws.queue, jobStateTimeLimitActions=[limit])
    (found,) = aws.batch.describe_job_queues(jobQueues=[aws.queue])["jobQueues"]
    aws.batch.update_job_queue(jobQueue=aws.queue, jobStateTimeLimitActions=[])
    assert found["jobStateTimeLimitActions"] == [limit]


@case(AREA)
def time_limit_cancels(aws):
    """A job that waits longer than its queue allows for the reason is cancelled, and says so."""
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
    limit = {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    aws.batch.update_job_queue(jobQueue=aws.queue, jobStateTimeLimitActions=[limit])
    sizes = [{"type": "MEMORY", "value": "4000000"}]
    job_id = aws.submit("true", overrides={"resourceRequirements": sizes})
    aws.until(lambda: "statusReason" in aws.job(job_id))
    aws.advance(601)
    job = aws.status(job_id, "FAILED")
    aws.batch.update_job_queue(jobQueue=aws.queue, jobStateTimeLimitActions=[])
    assert job["statusReason"] == f"Canceled by JobStateTimeLimit action due to reason: {reason}"


@case(AREA)
def time_limit_range(aws):
    """A time limit of less than 600 seconds is refused."""
    limit = {"reason": "x", "state": "RUNNABLE", "maxTimeSeconds": 599, "action": "CANCEL"}
    with refused("ClientException"):
        aws.batch.update_job_queue(jobQueue=aws.queue, jobStateTimeLimitActions=[limit])


@case(AREA)
def disabled_queue(aws):
    """A disabled queue takes no jobs."""
    aws.batch.update_job_queue(jobQueue=aws.queue, state="DISABLED")
    try:
        with refused("ClientException", says="disabled"):
            aws.submit("true")
    finally:
        aws.batch.update_job_queue(jobQueue=aws.queue, state="ENABLED")


@case(AREA)
def queue_in_use(aws):
    """An enabled queue is not deleted, nor is a compute environment that a queue uses."""
    with refused("ClientException"):
        aws.batch.delete_job_queue(jobQueue=aws.queue)
    with refused("ClientException", says="relationship"):
        aws.batch.delete_compute_environment(computeEnvironment=aws.environment)


@case(AREA)
def revisions(aws):
    """Revisions count up, and the name alone means the latest that is active."""
    name = f"{aws.definition}-revised"
    answers = [aws.register(name, command=["sh", "-c", f"exit {n}"]) for n in (1, 2, 3)]
    assert [each["revision"] for each in answers] == [1, 2, 3]
    aws.batch.deregister_job_definition(jobDefinition=f"{name}:3")
    answer = aws.batch.submit_job(jobName="x", jobQueue=aws.queue, jobDefinition=name)
    job = aws.status(answer["jobId"], "FAILED")
    assert job["jobDefinition"].endswith(f"{name}:2")
    assert job["container"]["exitCode"] == 2


@case(AREA)
def inactive_definition(aws):
    """A definition that was deregistered takes no jobs."""
    name = f"{aws.definition}-inactive"
    aws.register(name)
    aws.batch.deregister_job_definition(jobDefinition=f"{name}:1")
    with refused("ClientException"):
        aws.submit("true", jobDefinition=name)


@case(AREA)
def unknown_definition(aws):
    """A definition that nobody knows is a ClientException."""
    with refused("ClientException"):
        aws.submit("true", jobDefinition="nobody")


@case(AREA)
def definition_tags(aws):
    """Tags of a definition are kept, added to and removed by its ARN."""
    answer = aws.batch.register_job_definition(
        jobDefinitionName=f"{aws.definition}-tags",
        type="container",
        tags={"a": "1"},
        containerProperties={
            "image": "x",
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "100"},
            ],
        },
    )
    arn = answer["jobDefinitionArn"]
    aws.batch.tag_resource(resourceArn=arn, tags={"b": "2"})
    aws.batch.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert aws.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}


@case(AREA)
def definition_too_big(aws):
    """A definition of more than 24 KiB is refused."""
    variables = [{"name": "X", "value": "y" * 25_000}]
    with refused("ClientException"):
        aws.register(f"{aws.definition}-big", environment=variables)
