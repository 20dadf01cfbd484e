"""The queue, its compute environments, the job definition and the job's role."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account import policies
from nextstrain_batch.account.kinds.batch import active_definitions, describe_queue, size
from nextstrain_batch.account.kinds.environments import describe_environment
from nextstrain_batch.account.place import absent

from .finding import Check, failed, ok, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nextstrain_batch.account.place import Client

    from .finding import Finding, Subject

QUEUE, ENVIRONMENTS = "job queue", "compute environments"
DEFINITION, ROLE = "job definition", "job role"


def queue(subject: Subject) -> Iterator[Finding]:
    """See that it takes jobs, and has somewhere to run them."""
    found = describe_queue(subject.queue, subject.own)
    if found is None:
        yield failed(
            QUEUE,
            f"there is no {subject.queue} in {subject.own.region}",
            f"{subject.mend} makes it; or check the name (--aws-batch-queue) and the region.",
        )
    elif found["state"] != "ENABLED":
        yield failed(QUEUE, f"{subject.queue} is disabled", f"{subject.mend} enables it.")
    elif found.get("status") != "VALID":
        yield failed(
            QUEUE,
            f"{subject.queue} is {found.get('status')}: {found.get('statusReason') or 'no reason'}",
            f"{subject.mend} tries to mend it.",
        )
    else:
        names = ", ".join(environment_names(found))
        yield ok(QUEUE, f"{subject.queue} is valid and enabled, on {names}")


def environments(subject: Subject) -> Iterator[Finding]:
    """See that each one of the queue can run jobs, and costs nothing while there are none."""
    for name in environment_names(describe_queue(subject.queue, subject.own) or {}):
        yield _environment(name, subject)


def _environment(name: str, subject: Subject) -> Finding:
    part = f"compute environment {name}"
    found = describe_environment(name, subject.place)
    if found is None:
        return failed(part, "it is gone", f"{subject.mend} makes it.")
    resources = found.get("computeResources") or {}
    if found.get("state") != "ENABLED":
        return failed(part, "it is disabled", f"{subject.mend} enables it.")
    if found.get("status") != "VALID":
        reason = found.get("statusReason") or "no reason"
        remedy = "The reason is AWS's own; when it is mended, " + f"{subject.mend} tries again."
        return failed(part, f"it is {found.get('status')}: {reason}", remedy)
    if int(resources.get("minvCpus", 0)) > 0:
        detail = f"it keeps {resources['minvCpus']} vCPUs running, and costing, without any job"
        return failed(part, detail, f"{subject.mend} sets the minimum to 0.")
    return ok(part, f"valid and enabled, 0 to {resources.get('maxvCpus')} vCPUs")


def definition(subject: Subject) -> Iterator[Finding]:
    """See that there is an active revision with a role and an end."""
    found = newest(subject)
    if found is None:
        yield failed(
            DEFINITION,
            f"there is no active {subject.definition} in {subject.own.region}",
            f"{subject.mend} registers it; or check the name (--aws-batch-job) and the region.",
        )
        return
    name, container = f"{subject.definition}:{found['revision']}", found["containerProperties"]
    if not container.get("jobRoleArn"):
        remedy = f"{subject.mend} registers one with a role."
        yield failed(DEFINITION, f"{name} has no role, so its jobs cannot reach S3", remedy)
    elif not (found.get("timeout") or {}).get("attemptDurationSeconds"):
        remedy = f"{subject.mend} sets a time limit."
        yield failed(DEFINITION, f"{name} has no time limit: a job that hangs costs on", remedy)
    else:
        sizes = {"resourceRequirements": [], **container}
        limit = found["timeout"]["attemptDurationSeconds"]
        yield ok(
            DEFINITION,
            f"{name} is active: {container['image']}, {size(sizes, 'VCPU')} vCPUs,"
            f" {size(sizes, 'MEMORY')} MiB, {limit} s at most",
        )


def role(subject: Subject) -> Iterator[Finding]:
    """See that the job definition's role can be taken on by jobs, and reaches the bucket."""
    found = newest(subject)
    arn = ((found or {}).get("containerProperties") or {}).get("jobRoleArn")
    if not arn:
        return
    iam, name = subject.place.client("iam"), str(arn).rpartition("/")[2]
    answer = absent(("NoSuchEntity",), lambda: iam.get_role(RoleName=name))
    if answer is None:
        yield failed(ROLE, f"{name} does not exist", f"{subject.mend} makes it.")
        return
    if not trusts(answer["Role"]["AssumeRolePolicyDocument"], "ecs-tasks.amazonaws.com"):
        detail = f"{name} cannot be taken on by jobs (ecs-tasks.amazonaws.com)"
        yield failed(ROLE, detail, f"{subject.mend} corrects its trust.")
        return
    if subject.bucket is None:
        return
    documents = list(role_documents(iam, name))
    answers = {
        action: allowed(documents, action, _bucket_arn(action, subject))
        for action in policies.BUCKET_ACTIONS
    }
    missing = [action for action, answer in answers.items() if answer is False]
    open_ones = [action for action, answer in answers.items() if answer is None]
    if missing:
        detail = f"{name} lacks {', '.join(missing)} on the bucket"
        yield failed(ROLE, detail, f"{subject.mend} attaches the policy.")
    elif open_ones:
        detail = f"{name}: conditions of its policies decide about {', '.join(open_ones)}"
        yield unknown(ROLE, detail, "`nextstrain check-setup --canary` sends a tiny job, to see.")
    else:
        yield ok(ROLE, f"{name} can be taken on by jobs, and reaches the bucket")


def newest(subject: Subject) -> dict[str, Any] | None:
    """Return the newest active revision of the definition; a name may name a revision."""
    name, _, revision = subject.definition.partition(":")
    found = [
        each
        for each in active_definitions(name, subject.own)
        if each.get("containerProperties") and revision in {"", str(each["revision"])}
    ]
    return max(found, key=lambda each: int(each["revision"]), default=None)


def environment_names(found: dict[str, Any]) -> list[str]:
    """Return the names of a queue's environments, in the order in which they are tried."""
    order = sorted(found.get("computeEnvironmentOrder", ()), key=lambda each: int(each["order"]))
    return [str(each["computeEnvironment"]).rpartition("/")[2] for each in order]


def environments_of(subject: Subject) -> list[dict[str, Any]]:
    """Return AWS's descriptions of the queue's managed environments."""
    names = environment_names(describe_queue(subject.queue, subject.own) or {})
    found = (describe_environment(name, subject.place) for name in names)
    return [each for each in found if each and each.get("computeResources")]


def role_documents(iam: Client, name: str) -> Iterator[dict[str, Any]]:
    """Yield the documents of a role's policies, its inline ones too."""
    for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        arn = each["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        yield iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        yield iam.get_role_policy(RoleName=name, PolicyName=inline)["PolicyDocument"]


def trusts(document: dict[str, Any] | str, service: str) -> bool:
    """Tell whether a role's trust policy lets a service take it on."""
    for statement in policies.statements(document):
        principal = statement.get("Principal")
        named = principal.get("Service", ()) if isinstance(principal, dict) else ()
        services = [named] if isinstance(named, str) else named
        if statement.get("Effect") == "Allow" and service in services:
            return True
    return False


def allowed(documents: Iterable[dict[str, Any]], action: str, resource: str) -> bool | None:
    """Tell whether documents allow an action; None where that depends on a condition."""
    certain: set[str] = set()
    possible: set[str] = set()
    for document in documents:
        for statement in policies.statements(document):
            if _covers(statement, "Action", action) and _covers(statement, "Resource", resource):
                (possible if statement.get("Condition") else certain).add(statement["Effect"])
    if "Deny" in certain or "Allow" not in certain | possible:
        return False
    return None if "Deny" in possible or "Allow" not in certain else True


def _covers(statement: dict[str, Any], element: str, value: str) -> bool:
    """Tell whether a statement is about an action or resource; it may name what it is not about."""
    if f"Not{element}" in statement:
        return not _matches(statement[f"Not{element}"], value)
    return _matches(statement.get(element, ()), value)


def _matches(patterns: str | Iterable[str], value: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    return any(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern in listed)


def _bucket_arn(action: str, subject: Subject) -> str:
    assert subject.bucket is not None
    arn = f"arn:{subject.place.partition}:s3:::{subject.bucket.bucket}"
    key = f"{subject.bucket.prefix}/runs/x".lstrip("/")
    return arn if action == "s3:ListBucket" else f"{arn}/{key}"


CHECKS = (
    Check(QUEUE, queue),
    Check(ENVIRONMENTS, environments),
    Check(DEFINITION, definition),
    Check(ROLE, role),
)
