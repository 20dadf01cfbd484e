"""``SimulatePrincipalPolicy``: what a user or a role would be allowed, without its asking.

As IAM's API reference has it (SimulatePrincipalPolicy, EvaluationResult): one result an action,
whose decision is the most restrictive of its resources, each of which has one of its own. Nothing
is known of the simulated request but the context that is given; what policies ask beyond that is
listed as missing. Pages, resources' policies and other callers are not there, and refused.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from .documents import parse
from .evaluation import Policies, Principal, Request, concerns, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse

    from .documents import Policy, Statement
    from .evaluation import Decision
    from .patterns import Values

OPERATION = "SimulatePrincipalPolicy"
ALLOWED, IMPLICIT, EXPLICIT = "allowed", "implicitDeny", "explicitDeny"
UNKNOWN = ("ResourcePolicy", "ResourceOwner", "CallerArn", "PermissionsBoundaryPolicyInputList")

_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_ENTITY = re.compile(r"arn:[\w-]+:iam::\d+:(user|role)/.*[^/]")
_VARIABLE = re.compile(r"\$\{([^},]+)[^}]*\}")
_ORDER = (ALLOWED, IMPLICIT, EXPLICIT)


class SimulationError(Exception):
    """A request that IAM refuses; has its status and code."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for a simulation says."""

    source: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    """None given: everything, ``*``."""
    values: Values
    extra: tuple[Policy, ...]
    """Policies that are evaluated as if the user or role had them, too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action on one resource."""

    resource: str
    decision: str
    missing: tuple[str, ...]


def read(body: bytes) -> Asked:
    """Read a request; raises ``SimulationError``."""
    given = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    for name in given:
        if name.partition(".")[0] in UNKNOWN:
            raise SimulationError("400 Bad Request", "InvalidInput", f"The sandbox has no {name}")
    entries = _numbered(given, "ContextEntries.member")
    try:
        extra = tuple(parse(each) for each in _members(given, "PolicyInputList.member"))
    except ValueError as error:
        raise SimulationError("400 Bad Request", "InvalidInput", str(error)) from error
    return Asked(
        given.get("PolicySourceArn", ""),
        tuple(_members(given, "ActionNames.member")),
        tuple(_members(given, "ResourceArns.member")),
        {
            given[f"{each}.ContextKeyName"].lower(): tuple(
                _members(given, f"{each}.ContextKeyValues.member")
            )
            for each in entries
            if f"{each}.ContextKeyName" in given
        },
        extra,
    )


def simulate(
    asked: Asked, policies_of: Callable[[str], Policies | None]
) -> dict[str, list[Outcome]]:
    """Return the outcomes by action, one for each resource.

    *policies_of* returns what bears on a user or role, by its ARN. Raises ``SimulationError``.
    """
    if not _ENTITY.fullmatch(asked.source):
        message = (
            f"Invalid Entity Arn: {asked.source} does not clearly define entity type and name."
        )
        raise SimulationError("400 Bad Request", "InvalidInput", message)
    policies = policies_of(asked.source)
    if policies is None:
        name = asked.source.rpartition("/")[2]
        message = f"The user or role with name {name} cannot be found."
        raise SimulationError("404 Not Found", "NoSuchEntity", message)
    policies = Policies((*policies.identity, *asked.extra), policies.session, policies.boundary)
    return {
        action: [_outcome(action, each, policies, asked) for each in asked.resources or ("*",)]
        for action in asked.actions
    }


def _outcome(action: str, resource: str, policies: Policies, asked: Asked) -> Outcome:
    request = Request(Principal(asked.source), action, resource, asked.values)
    every = (*policies.identity, *((policies.boundary,) if policies.boundary is not None else ()))
    statements = (statement for policy in every for statement in policy)
    keys = {
        key
        for statement in statements
        if concerns(statement, request)
        for key in _keys(statement)
        if key not in asked.values
    }
    return Outcome(resource, _word(decide(request, policies)), tuple(sorted(keys)))


def _word(decision: Decision) -> str:
    if decision.allowed:
        return ALLOWED
    return EXPLICIT if decision.explicit else IMPLICIT


def _keys(statement: Statement) -> Iterator[str]:
    """Yield the context keys that a statement asks for, in conditions and as variables."""
    texts = [*statement.resources, *statement.excepted_resources]
    for condition in statement.conditions:
        yield condition.key
        texts += condition.values
    for text in texts:
        yield from (name.strip().lower() for name in _VARIABLE.findall(text) if name not in "*?$")


def answer(
    body: bytes, policies_of: Callable[[str], Policies | None], start: StartResponse
) -> Iterable[bytes]:
    """Answer a request as a WSGI application does."""
    request_id = str(uuid.uuid4())
    try:
        status, text = "200 OK", _document(read(body), policies_of, request_id)
    except SimulationError as error:
        code, message = error.code, escape(str(error))
        status, text = (
            error.status,
            (
                f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
                f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId>"
                "</ErrorResponse>"
            ),
        )
    content = text.encode()
    start(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(content)))])
    return [content]


def _document(asked: Asked, policies_of: Callable[[str], Policies | None], request_id: str) -> str:
    results = "".join(
        f"<member>{_result(action, outcomes, named=bool(asked.resources))}</member>"
        for action, outcomes in simulate(asked, policies_of).items()
    )
    return (
        f'<{OPERATION}Response xmlns="{_NAMESPACE}"><{OPERATION}Result>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>"
        f"</{OPERATION}Result><ResponseMetadata><RequestId>{request_id}</RequestId>"
        f"</ResponseMetadata></{OPERATION}Response>"
    )


def _result(action: str, outcomes: list[Outcome], *, named: bool) -> str:
    decision = max((each.decision for each in outcomes), key=_ORDER.index)
    missing = sorted({key for each in outcomes for key in each.missing})
    specific = "".join(
        f"<member><EvalResourceName>{escape(each.resource)}</EvalResourceName>"
        f"<EvalResourceDecision>{each.decision}</EvalResourceDecision><MatchedStatements/>"
        f"{_missing(each.missing)}</member>"
        for each in outcomes
        if named
    )
    return (
        f"<EvalActionName>{escape(action)}</EvalActionName>"
        f"<EvalResourceName>{escape(outcomes[0].resource)}</EvalResourceName>"
        f"<EvalDecision>{decision}</EvalDecision><MatchedStatements/>{_missing(missing)}"
        f"<ResourceSpecificResults>{specific}</ResourceSpecificResults>"
    )


def _missing(keys: Iterable[str]) -> str:
    members = "".join(f"<member>{escape(key)}</member>" for key in keys)
    return f"<MissingContextValues>{members}</MissingContextValues>"


def _numbered(given: Mapping[str, str], prefix: str) -> list[str]:
    """Return the names of a list's members, in the order of their numbers."""
    numbers = {
        int(number)
        for name in given
        if name.startswith(f"{prefix}.")
        and (number := name.removeprefix(f"{prefix}.").partition(".")[0]).isdecimal()
    }
    return [f"{prefix}.{number}" for number in sorted(numbers)]


def _members(given: Mapping[str, str], prefix: str) -> list[str]:
    return [given[name] for name in _numbered(given, prefix) if name in given]
