"""Who is asking, and what they may do: simulated where that is allowed, and tried harmlessly."""

from __future__ import annotations

import contextlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import job_tags
from nextstrain_batch.account import policies
from nextstrain_batch.aws_errors import explained
from nextstrain_batch.errors import AccessDeniedError

from .computing import newest
from .finding import JOIN, Check, failed, ok, unknown
from .storage import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .finding import Finding, Subject

CREDENTIALS = "credentials and region"
NO_JOB = "00000000-0000-0000-0000-000000000000"
"""The id of no job: to end it does nothing."""
ENDING = ("batch:TerminateJob", "batch:CancelJob")
NOTHING = "nextstrain-check-setup-nothing"
"""The name of no job definition and of no log stream."""


TAGGING = (
    "Where people are kept to their own jobs, builds need `tag-jobs = true` under [aws-batch] in"
    " ~/.nextstrain/config."
)


@dataclass(frozen=True)
class Attempt:
    """A request that shows whether an action is allowed, and does no harm."""

    action: str
    call: Callable[[], object] | None
    """None where there is no such request."""


@dataclass(frozen=True)
class Simulated:
    """What IAM says of an action."""

    allowed: bool
    denied: bool
    """Whether a policy says no, not merely none says yes."""
    missing: tuple[str, ...] = ()
    """What policies ask of a request that IAM was not told: it may be allowed with that."""


def identity(subject: Subject) -> Iterator[Finding]:
    """Ask AWS, which says whose credentials these are, without any permission."""
    own = subject.own
    detail = f"{own.caller}, {own.region} ({subject.region_source})"
    yield ok(CREDENTIALS, detail)


def documented(subject: Subject) -> Iterator[Finding]:
    """Try the three documented policies, one line each."""
    groups = {
        "permissions for AWS Batch": policies.BATCH_ACTIONS,
        "permissions for the bucket": policies.BUCKET_ACTIONS if subject.bucket else (),
        "permissions for logs": policies.LOGS_ACTIONS,
    }
    attempts = {
        each.action: each for each in [*_batch(subject), *_bucket(subject), *_logs(subject)]
    }
    permissions = Permissions(subject)
    for part, actions in groups.items():
        if not actions:
            continue
        answers = {action: permissions.granted(attempts[action]) for action in actions}
        if "s3:PutObject" in permissions.tried.intersection(actions):  # there is an object now
            tried(attempts["s3:DeleteObject"])
        yield _finding(part, answers, subject)


def optional(subject: Subject) -> Iterator[Finding]:
    """Try the optional policies; that one is not granted is no failure."""
    attempts = {each.action: each for each in _optional(subject)}
    permissions = Permissions(subject)
    for each in policies.OPTIONAL:
        part = f"optional: {each.allows}"
        answers = {action: permissions.granted(attempts[action]) for action in each.actions}
        lacking = [action for action, answer in answers.items() if answer is False]
        open_ones = [action for action, answer in answers.items() if answer is None]
        if lacking:
            yield ok(part, f"not granted ({', '.join(lacking)}): {each.without}")
        elif open_ones:
            yield unknown(part, f"{', '.join(open_ones)} cannot be tried without doing it")
        else:
            yield ok(part, "granted")


class Permissions:
    """What whoever launches builds may do."""

    def __init__(self, subject: Subject) -> None:
        self.tried: set[str] = set()
        """The actions that were tried, as simulation did not tell."""
        self._subject = subject
        self._simulates = True

    def granted(self, attempt: Attempt) -> bool | None:
        """Return whether an action is allowed; None when that cannot be told."""
        if self._simulates:
            found = _simulated(attempt.action, self._subject)
            # It answers hardly anyone but administrators, and those about every action.
            self._simulates = found is not None
            if found is not None and found.allowed:
                return True
            # It knows no bucket's policy, so that only a try tells what nothing else allows.
            if found is not None and not found.missing and (found.denied or not attempt.call):
                return False
        self.tried.add(attempt.action)
        return True if attempt.call is None and self._is_root else tried(attempt)

    @property
    def _is_root(self) -> bool:
        """Whether it is the account's root user: no policy binds it, and IAM simulates nothing."""
        return self._subject.own.caller.endswith(":root")


def tried(attempt: Attempt) -> bool | None:
    """Make the request, and return whether AWS let it pass; None when there is no answer."""
    from botocore.exceptions import BotoCoreError, ClientError

    if attempt.call is None:
        return None
    try:
        attempt.call()
    except ClientError as error:
        explanation = explained(error, "try it")
        if isinstance(explanation, AccessDeniedError):
            return False
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # What AWS finds wrong with a request that it has let pass: there is no such job.
        return True if status < 500 else None
    except BotoCoreError:
        return None
    return True


def _simulated(action: str, subject: Subject) -> Simulated | None:
    """Ask IAM, as whoever looks at the account; None where it does not answer."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = subject.place.client("iam").simulate_principal_policy(
            PolicySourceArn=_principal(subject.own.caller),
            ActionNames=[action],
            ResourceArns=[_resource(action, subject)],
            ContextEntries=_context(action, subject),
        )
    except (BotoCoreError, ClientError):
        return None
    found = answer.get("EvaluationResults", ())
    if not found:
        return None
    decisions = {str(each["EvalDecision"]) for each in found}
    parts = [*found, *(part for each in found for part in each.get("ResourceSpecificResults", ()))]
    missing = {str(key) for part in parts for key in part.get("MissingContextValues", ())}
    allowed, denied = decisions == {"allowed"}, "explicitDeny" in decisions
    return Simulated(allowed, denied, tuple(sorted(missing)))


def _context(action: str, subject: Subject) -> list[dict[str, object]]:
    """Return what IAM is to assume of a request: that of a tagged job, where jobs are tagged."""
    values: dict[str, str] = {}
    user = re.fullmatch(r"arn:[\w-]+:iam::\d+:user/(?:.*/)?([^/]+)", subject.own.caller)
    if action.startswith("s3:") and user:
        values["aws:username"] = user[1]
    if action == "iam:PassRole":
        values["iam:PassedToService"] = "ecs-tasks.amazonaws.com"
    if action == "s3:ListBucket" and subject.bucket:
        values["s3:prefix"] = f"{subject.bucket.prefix}/".lstrip("/")
    if subject.tag_jobs:
        owner = _owner(subject)
        values["aws:userid"] = owner
        values[f"aws:RequestTag/{job_tags.OWNER}"] = owner
        values[f"aws:ResourceTag/{job_tags.OWNER}"] = owner
    return [
        {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for key, value in values.items()
    ]


def _owner(subject: Subject) -> str:
    return job_tags.who(subject.own.client("sts"))[0]


def _principal(caller: str) -> str:
    """Return the ARN of the user or role; a session of a role is not one that IAM knows."""
    session = re.fullmatch(r"arn:([\w-]+):sts::(\d+):assumed-role/([^/]+)/.*", caller)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else caller


def _resource(action: str, subject: Subject) -> str:
    place, bucket = subject.own, subject.bucket
    if action == "iam:PassRole":
        return _job_role(subject)
    if action == "batch:RegisterJobDefinition":
        return place.batch_arn(f"job-definition/{subject.definition.partition(':')[0]}-image-0")
    if action in ENDING:
        return place.batch_arn(f"job/{NO_JOB}")
    if action in {"batch:SubmitJob", "batch:TagResource"}:
        return place.batch_arn(f"job-definition/{subject.definition.partition(':')[0]}:1")
    if action.startswith("logs:"):
        group = f"arn:{place.partition}:logs:{place.region}:{place.account}:log-group:{LOG_GROUP}"
        return f"{group}:log-stream:{NOTHING}"
    if action.startswith("s3:") and bucket:
        arn = f"arn:{place.partition}:s3:::{bucket.bucket}"
        key = f"{bucket.prefix}/packs/x".lstrip("/")
        return arn if action == "s3:ListBucket" else f"{arn}/{key}"
    return "*"


def _job_role(subject: Subject) -> str:
    """Return the ARN of the role that jobs have; the usual one where that cannot be seen."""
    from botocore.exceptions import BotoCoreError, ClientError

    with contextlib.suppress(BotoCoreError, ClientError):
        found = (newest(subject) or {}).get("containerProperties", {}).get("jobRoleArn")
        if found:
            return str(found)
    return subject.own.iam_arn("role/NextstrainJobsRole")


def _batch(subject: Subject) -> Iterator[Attempt]:
    batch = subject.own.client("batch")
    # Batch answers the last three alike whether or not there is such a job.
    yield Attempt("batch:DescribeJobQueues", lambda: batch.describe_job_queues(maxResults=1))
    yield Attempt(
        "batch:DescribeJobDefinitions",
        lambda: batch.describe_job_definitions(jobDefinitionName=NOTHING),
    )
    yield Attempt(
        "batch:SubmitJob",
        lambda: batch.submit_job(
            jobName=NOTHING,
            jobQueue=subject.queue,
            jobDefinition=NOTHING,
            tags={job_tags.OWNER: _owner(subject)} if subject.tag_jobs else {},
        ),
    )
    yield Attempt("batch:DescribeJobs", lambda: batch.describe_jobs(jobs=[NO_JOB]))
    reason = "nextstrain check-setup"
    yield Attempt("batch:TerminateJob", lambda: batch.terminate_job(jobId=NO_JOB, reason=reason))
    yield Attempt("batch:CancelJob", lambda: batch.cancel_job(jobId=NO_JOB, reason=reason))


def _bucket(subject: Subject) -> Iterator[Attempt]:
    if subject.bucket is None:
        return
    s3, prefix = subject.own.client("s3"), f"{subject.bucket.prefix}/".lstrip("/")
    key = f"{prefix}checks/{secrets.token_hex(8)}"
    name = {"Bucket": subject.bucket.bucket}
    yield Attempt("s3:ListBucket", lambda: s3.list_objects_v2(**name, Prefix=prefix, MaxKeys=1))
    yield Attempt("s3:PutObject", lambda: s3.put_object(**name, Key=key, Body=b"a check"))
    yield Attempt("s3:GetObject", lambda: s3.get_object(**name, Key=key))
    yield Attempt("s3:DeleteObject", lambda: s3.delete_object(**name, Key=key))


def _logs(subject: Subject) -> Iterator[Attempt]:
    logs = subject.own.client("logs")
    stream = {"logGroupName": LOG_GROUP, "logStreamName": NOTHING}
    yield Attempt("logs:GetLogEvents", lambda: logs.get_log_events(**stream, limit=1))
    yield Attempt(
        "logs:FilterLogEvents",
        lambda: logs.filter_log_events(
            logGroupName=LOG_GROUP, logStreamNamePrefix=NOTHING, limit=1
        ),
    )
    yield Attempt("logs:DeleteLogStream", lambda: logs.delete_log_stream(**stream))


def _optional(subject: Subject) -> Iterator[Attempt]:
    batch = subject.own.client("batch")
    name = f"{subject.definition.partition(':')[0]}-image-0"
    yield Attempt("batch:ListJobs", lambda: batch.list_jobs(jobQueue=subject.queue, maxResults=1))
    yield Attempt(
        "batch:DescribeComputeEnvironments",
        lambda: batch.describe_compute_environments(maxResults=1),
    )
    yield Attempt(
        "batch:GetJobQueueSnapshot", lambda: batch.get_job_queue_snapshot(jobQueue=subject.queue)
    )
    # Of what jobs are submitted to, because that is where the tags of new jobs are judged.
    unknown = subject.own.batch_arn(f"job-definition/{NOTHING}:1")
    yield Attempt(
        "batch:TagResource",
        lambda: batch.tag_resource(resourceArn=unknown, tags={job_tags.OWNER: _owner(subject)}),
    )
    # Batch refuses a definition without content, after it has looked at the permission.
    yield Attempt(
        "batch:RegisterJobDefinition",
        lambda: batch.register_job_definition(jobDefinitionName=name, type="container"),
    )
    yield Attempt("iam:PassRole", None)


def _finding(part: str, answers: dict[str, bool | None], subject: Subject) -> Finding:
    lacking = [action for action, answer in answers.items() if answer is False]
    open_ones = [action for action, answer in answers.items() if answer is None]
    if subject.tag_jobs and lacking and set(lacking) <= set(ENDING):
        return unknown(
            part,
            f"{', '.join(lacking)}: denied on a job that does not exist, as it is where people may"
            " end their own jobs only",
            "Launch a build and cancel it, to see.",
        )
    if lacking:
        tagging = f" {TAGGING}" if "batch:SubmitJob" in lacking and not subject.tag_jobs else ""
        return failed(part, f"AWS denies {', '.join(lacking)}", JOIN + tagging)
    if open_ones:
        return unknown(part, f"AWS did not answer: {', '.join(open_ones)}", "Try again.")
    return ok(part, ", ".join(action.partition(":")[2] for action in answers))


IDENTITY = Check(CREDENTIALS, identity)
CHECKS = (Check("permissions", documented), Check("optional permissions", optional))
