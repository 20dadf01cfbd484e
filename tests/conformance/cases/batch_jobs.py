"""AWS Batch's jobs."""

import signal
import time

from ..place import burst, refused
from . import case

AREA = "AWS Batch: jobs"


@case(AREA)
def success(aws):
    """A job that succeeds has exit code 0, three times in order, and a log stream."""
    job = aws.run("sh", "-c", "echo hello")
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
    assert job["statusReason"] == "Essential container in task exited"
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert job["container"]["logStreamName"].startswith(f"{aws.definition}/default/")


@case(AREA)
def failure(aws):
    """A job that fails has its program's exit code."""
    job = aws.run("sh", "-c", "exit 7")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 7)


@case(AREA)
def no_program(aws):
    """A program that the image lacks fails the job without an exit code, and with a reason."""
    job = aws.run("no-such-program")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert "exitCode" not in job["container"]


@case(AREA)
def no_image(aws):
    """An image that does not exist fails the job with CannotPullContainerError."""
    name = f"{aws.definition}-image"
    aws.register(name, image="nobody/nothing:1")
    job = aws.run("true", jobDefinition=name)
    assert job["status"] == "FAILED"
    assert job["container"]["reason"].startswith("CannotPullContainerError")


@case(AREA)
def image_shown(aws):
    """DescribeJobs shows the image, the command and the resources after the overrides."""
    sizes = [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "500"}]
    job = aws.run("sh", "-c", "true", overrides={"resourceRequirements": sizes})
    container = job["container"]
    assert container["image"] == "nextstrain/base"
    assert container["command"] == ["sh", "-c", "true"]
    found = {each["type"]: each["value"] for each in container["resourceRequirements"]}
    assert found == {"VCPU": "2", "MEMORY": "500"}


@case(AREA)
def environment(aws):
    """Variables of the override reach the program, beside Batch's own."""
    variables = [{"name": "GREETING", "value": "hello"}]
    script = 'test "$GREETING" = hello && test -n "$AWS_BATCH_JOB_ID" && exit 9'
    job = aws.run("sh", "-c", script, overrides={"environment": variables})
    assert job["container"]["exitCode"] == 9
    assert variables == job["container"]["environment"]


@case(AREA)
def overrides_too_long(aws):
    """Overrides of more than 8192 characters are accepted, and the job then fails for them."""
    job = aws.run("echo", "x" * 8192)
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Container Overrides length must be at most 8192"


@case(AREA)
def payload_too_big(aws):
    """A request of more than 30 KiB is refused."""
    with refused("ClientException"):
        aws.submit("true", parameters={"x": "y" * 31_000})


@case(AREA)
def attempts(aws):
    """A job is tried as often as it says, and each attempt has its code and its own stream."""
    job = aws.run("sh", "-c", "exit $AWS_BATCH_JOB_ATTEMPT", retryStrategy={"attempts": 3})
    containers = [each["container"] for each in job["attempts"]]
    assert [each["exitCode"] for each in containers] == [1, 2, 3]
    assert len({each["logStreamName"] for each in containers}) == 3


@case(AREA)
def rule_exits(aws):
    """A rule of evaluateOnExit ends the attempts; patterns end in an asterisk at most."""
    rules = [{"onExitCode": "4*", "action": "EXIT"}]
    strategy = {"attempts": 3, "evaluateOnExit": rules}
    job = aws.run("sh", "-c", "exit 42", retryStrategy=strategy)
    assert len(job["attempts"]) == 1


@case(AREA)
def no_rule_retries(aws):
    """Where no rule of evaluateOnExit matches, the job is tried again."""
    strategy = {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]}
    job = aws.run("sh", "-c", "exit 2", retryStrategy=strategy)
    assert len(job["attempts"]) == 2


@case(AREA)
def timeout_minimum(aws):
    """A timeout of less than 60 seconds is refused."""
    with refused("ClientException"):
        aws.submit("true", timeout={"attemptDurationSeconds": 59})


@case(AREA)
def timeout(aws):
    """An attempt over its time is stopped, and not tried again."""
    request = {"timeout": {"attemptDurationSeconds": 60}, "retryStrategy": {"attempts": 2}}
    job_id = aws.submit("sleep", "1000", **request)
    aws.status(job_id, "RUNNING")
    aws.advance(61)
    job = aws.after_grace(job_id)
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(job["attempts"]) == 1


@case(AREA)
def terminate(aws):
    """TerminateJob sends SIGTERM, which a program may handle, and the job fails for the reason."""
    script = "trap 'exit 43' TERM; echo; while :; do sleep 0.05; done"
    job_id = aws.submit("sh", "-c", script)
    aws.status(job_id, "RUNNING")
    aws.until(lambda: aws.job(job_id)["status"] == "RUNNING")
    _settle()
    aws.batch.terminate_job(jobId=job_id, reason="enough")
    job = aws.status(job_id, "FAILED")
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 43)


@case(AREA)
def kill(aws):
    """A program that ignores SIGTERM is killed thirty seconds later, which makes 137."""
    script = "trap '' TERM; while :; do sleep 0.05; done"
    job_id = aws.submit("sh", "-c", script)
    aws.status(job_id, "RUNNING")
    _settle()
    aws.batch.terminate_job(jobId=job_id, reason="enough")
    assert aws.job(job_id)["status"] == "RUNNING"
    job = aws.after_grace(job_id)
    assert job["container"]["exitCode"] == 128 + signal.SIGKILL


@case(AREA)
def memory(aws):
    """A job that uses more memory than it reserved is killed with 137 and OutOfMemoryError."""
    aws.must_limit_memory()
    sizes = [{"type": "MEMORY", "value": "64"}]
    script = "x = bytearray(300_000_000); print(len(x))"
    job = aws.run("python3", "-c", script, overrides={"resourceRequirements": sizes})
    assert job["container"]["exitCode"] == 137
    assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


@case(AREA)
def waits_when_full(aws):
    """A job waits in RUNNABLE while the compute environment has no room, and CancelJob ends it."""
    sizes = [{"type": "VCPU", "value": "16"}]
    first = aws.submit("sleep", "1000", overrides={"resourceRequirements": sizes})
    aws.status(first, "RUNNING")
    second = aws.submit("true", overrides={"resourceRequirements": sizes})
    aws.status(second, "RUNNABLE")
    jobs = aws.batch.get_job_queue_snapshot(jobQueue=aws.queue)["frontOfQueue"]["jobs"]
    assert [each["jobArn"].rpartition("/")[2] for each in jobs] == [second]
    aws.batch.cancel_job(jobId=second, reason="no need")
    assert aws.status(second, "FAILED")["statusReason"] == "no need"
    aws.end(first)


@case(AREA)
def over_maximum(aws):
    """A job of more vCPUs than the environment's maximum waits with the reason in AWS's words."""
    _waits_with(aws, "VCPU", "17", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")


@case(AREA)
def fits_no_instance(aws):
    """A job that fits on no instance type waits with the reason in AWS's words."""
    _waits_with(aws, "MEMORY", "4000000", "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - ")


def _waits_with(aws, kind, value, reason):
    sizes = [{"type": kind, "value": value}]
    job_id = aws.submit("true", overrides={"resourceRequirements": sizes})
    job = aws.until(lambda: (job := aws.job(job_id)).get("statusReason") and job)
    aws.batch.terminate_job(jobId=job_id, reason="seen")
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith(reason)


@case(AREA)
def unknown_ids(aws):
    """DescribeJobs leaves out ids that it does not know."""
    assert aws.batch.describe_jobs(jobs=["nobody"])["jobs"] == []


@case(AREA)
def unknown_end(aws):
    """TerminateJob and CancelJob of an id that nobody knows answer as if they had done it."""
    # Seen on AWS itself: aws/aws-cli#2551.
    aws.batch.terminate_job(jobId="nobody", reason="why not")
    aws.batch.cancel_job(jobId="nobody", reason="why not")


@case(AREA)
def too_many_ids(aws):
    """DescribeJobs takes a hundred ids."""
    with refused("ClientException"):
        aws.batch.describe_jobs(jobs=["x"] * 101)


@case(AREA)
def listed_by_default(aws):
    """ListJobs without a status lists running jobs only."""
    done = aws.run("true")["jobId"]
    job_id = aws.submit("sleep", "1000")
    aws.status(job_id, "RUNNING")
    found = aws.batch.list_jobs(jobQueue=aws.queue)["jobSummaryList"]
    ids = {each["jobId"] for each in found}
    aws.end(job_id)
    assert job_id in ids
    assert done not in ids


@case(AREA)
def listed_by_name(aws):
    """ListJobs by a name with an asterisk lists jobs of every status, letter case aside."""
    ids = {aws.run("sh", "-c", f"exit {n}", jobName=f"Named-{n}")["jobId"] for n in range(2)}
    filters = [{"name": "JOB_NAME", "values": ["named-*"]}]
    found = aws.batch.list_jobs(jobQueue=aws.queue, filters=filters)["jobSummaryList"]
    assert {each["jobId"] for each in found} == ids


@case(AREA)
def listed_by_page(aws):
    """ListJobs gives pages of the size that is asked for, and a token for the next."""
    ids = {aws.run("true", jobName=f"paged-{n}")["jobId"] for n in range(3)}
    request = {"jobQueue": aws.queue, "filters": [{"name": "JOB_NAME", "values": ["paged-*"]}]}
    pages = aws.batch.get_paginator("list_jobs").paginate(
        **request, PaginationConfig={"PageSize": 2}
    )
    found = [[each["jobId"] for each in page["jobSummaryList"]] for page in pages]
    assert [len(page) for page in found] == [2, 1]
    assert {each for page in found for each in page} == ids


@case(AREA)
def short_name(aws):
    """A job's name may have one character."""
    assert aws.run("true", jobName="x")["jobName"] == "x"


@case(AREA)
def bad_name(aws):
    """A job's name has letters, digits, hyphens and underscores, 128 at most."""
    for name in ("not good", "x" * 129):
        with refused("ClientException"):
            aws.submit("true", jobName=name)


@case(AREA)
def tags(aws):
    """A job's tags are in its description."""
    assert aws.run("true", tags={"a": "b"})["tags"] == {"a": "b"}


@case(AREA)
def tags_change(aws):
    """Tags of a job are listed, added to and removed by its ARN, and seen in its description."""
    job = aws.run("true", tags={"a": "1", "b": "1"})
    arn = job["jobArn"]
    aws.batch.tag_resource(resourceArn=arn, tags={"b": "2", "c": "3"})
    aws.batch.untag_resource(resourceArn=arn, tagKeys=["a", "nobody"])
    assert aws.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": "3"}
    assert aws.job(job["jobId"])["tags"] == {"b": "2", "c": "3"}


@case(AREA)
def too_many_tags(aws):
    """A job has fifty tags at most, be it from the start or later."""
    many = {f"tag-{number}": "" for number in range(51)}
    with refused("ClientException"):
        aws.submit("true", tags=many)
    job = aws.run("true", tags={key: many[key] for key in list(many)[:50]})
    with refused("ClientException"):
        aws.batch.tag_resource(resourceArn=job["jobArn"], tags={"one": "more"})


@case(AREA)
def reserved_tags(aws):
    """Keys of tags that begin with aws: are AWS's own."""
    with refused("ClientException"):
        aws.submit("true", tags={"AWS:mine": "x"})


@case(AREA)
def propagated_tags(aws):
    """A description says whether the job's tasks have its tags: no, unless it was asked for."""
    assert aws.run("true", tags={"a": "b"})["propagateTags"] is False
    assert aws.run("true", tags={"a": "b"}, propagateTags=True)["propagateTags"] is True


@case(AREA)
def too_many_submissions(aws):
    """More than fifty submissions in a second are answered with TooManyRequestsException."""
    batch = aws.client("batch", attempts=1)
    found = burst(lambda: aws.submit("true", batch=batch, jobDefinition="nobody"), calls=200)
    assert "TooManyRequestsException" in found


@case(AREA, missing="answered with an error that says so")
def arrays(aws):
    """An array job of two becomes two jobs."""
    aws.submit("true", arrayProperties={"size": 2})


@case(AREA, missing="answered with an error that says so")
def dependencies(aws):
    """A job waits in PENDING for the jobs that it depends on."""
    first = aws.submit("sleep", "1")
    second = aws.submit("true", dependsOn=[{"jobId": first}])
    assert aws.job(second)["status"] == "PENDING"


def _settle():
    """Let the shell set its trap."""
    time.sleep(0.3)
