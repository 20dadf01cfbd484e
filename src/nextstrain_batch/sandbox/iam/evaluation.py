"""Policies and a request → allowed, or the reason why not.

The order is AWS's, for one account: an explicit denial anywhere ends it; then something has to
allow, the caller's own policies or the resource's; and what limits the caller has to allow, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import conditions
from .patterns import matches

if TYPE_CHECKING:
    from .documents import Policy, Statement
    from .patterns import Values


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    arn: str
    """Empty for nobody in particular: an unsigned request."""
    account: str = ""
    roles: tuple[str, ...] = ()
    """The role that the caller has assumed: a policy may name either."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a policy may name this caller alone by."""
        return (self.arn, *self.roles) if self.arn else ()


@dataclass(frozen=True, slots=True)
class Policies:
    """What bears on a caller's requests, apart from the resources' own policies."""

    identity: tuple[Policy, ...] = ()
    """Of the user and its groups, or of the role."""
    session: Policy | None = None
    """Given when the role was assumed: it can only take away."""
    boundary: Policy | None = None
    """The role's permissions boundary: it can only take away."""


@dataclass(frozen=True, slots=True)
class Request:
    """One action on one resource."""

    principal: Principal
    action: str
    resource: str
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed; if not, *reason* ends AWS's sentence about it."""

    allowed: bool
    reason: str = ""

    @property
    def explicit(self) -> bool:
        """Whether a policy says no; else none says yes."""
        return self.reason.startswith(_EXPLICIT)


ALLOWED = Decision(allowed=True)
_EXPLICIT = "with an explicit deny in a"


def decide(
    request: Request, policies: Policies, resource: Policy | None = None, *, trust: bool = False
) -> Decision:
    """Evaluate a request; *resource* is the policy of what it is about.

    With *trust* that policy is a role's trust policy, without whose consent nothing goes.
    """
    own = [statement for policy in policies.identity for statement in policy]
    of_resource = _addressed(resource or (), request.principal)
    if _denied(own, request):
        return Decision(allowed=False, reason=f"{_EXPLICIT}n identity-based policy")
    if _denied([statement for statement, _ in of_resource], request):
        return Decision(allowed=False, reason=f"{_EXPLICIT} resource-based policy")
    granted = [
        by_name
        for statement, by_name in of_resource
        if statement.allows and _applies(statement, request)
    ]
    if trust and not granted:
        return _not_allowed(request, "resource-based policy")
    # A policy that names the whole account leaves it to the account's own policies.
    if not any(granted) and not _allowed(own, request):
        return _not_allowed(request, "identity-based policy")
    for limit, name in (
        (policies.session, "session policy"),
        (policies.boundary, "permissions boundary"),
    ):
        if limit is not None:
            if _denied(list(limit), request):
                return Decision(allowed=False, reason=f"{_EXPLICIT} {name}")
            if not _allowed(list(limit), request):
                return _not_allowed(request, name)
    return ALLOWED


def _not_allowed(request: Request, kind: str) -> Decision:
    return Decision(allowed=False, reason=f"because no {kind} allows the {request.action} action")


def _denied(statements: list[Statement], request: Request) -> bool:
    return any(not each.allows and _applies(each, request) for each in statements)


def _allowed(statements: list[Statement], request: Request) -> bool:
    return any(each.allows and _applies(each, request) for each in statements)


def _applies(statement: Statement, request: Request) -> bool:
    return (
        _has_action(statement, request.action, request.values)
        and _has_resource(statement, request.resource, request.values)
        and conditions.hold(statement.conditions, request.values)
    )


def concerns(statement: Statement, request: Request) -> bool:
    """Tell whether a statement is about a request's action and, as far as is known, its resource.

    What its conditions say plays no part, nor whether its variables have values.
    """
    variable = any("${" in each for each in (*statement.resources, *statement.excepted_resources))
    return _has_action(statement, request.action, request.values) and (
        variable or _has_resource(statement, request.resource, request.values)
    )


def _has_action(statement: Statement, action: str, values: Values) -> bool:
    patterns = statement.actions or statement.excepted_actions
    found = any(matches(pattern, action, values, ignore_case=True) for pattern in patterns)
    return found == bool(statement.actions)


def _has_resource(statement: Statement, resource: str, values: Values) -> bool:
    patterns = statement.resources or statement.excepted_resources
    if not patterns:
        return True  # a trust policy is about its role alone
    found = any(matches(pattern, resource, values) for pattern in patterns)
    return found == bool(statement.resources)


def _addressed(policy: Policy, principal: Principal) -> list[tuple[Statement, bool]]:
    """Return the statements that are about *principal*, and whether they mean it by itself."""
    found = []
    for statement in policy:
        if statement.excepted_principals:
            if not any(_is_meant(each, principal) for each in statement.excepted_principals):
                found.append((statement, False))
        elif any(_is_alone(each, principal) for each in statement.principals):
            found.append((statement, True))
        elif any(_is_meant(each, principal) for each in statement.principals):
            found.append((statement, False))
    return found


def _is_alone(named: tuple[str, str], principal: Principal) -> bool:
    kind, name = named
    return kind == "AWS" and (name == "*" or name in principal.names)


def _is_meant(named: tuple[str, str], principal: Principal) -> bool:
    kind, name = named
    account = principal.account
    whole = name == account or (name.startswith("arn:") and name.endswith(f"::{account}:root"))
    return _is_alone(named, principal) or (kind == "AWS" and bool(account) and whole)
