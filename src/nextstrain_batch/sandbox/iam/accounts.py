"""Access keys → callers and their policies, read from moto's IAM and STS as they stand.

The one module here that knows what moto's objects look like. Nothing is kept from one request to
the next but parsed documents and the names of sessions: a change of a policy counts at once.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from nextstrain_batch.sandbox.services import ACCOUNT

from .documents import parse
from .evaluation import Policies, Principal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nextstrain_batch.sandbox.services import Services

    from .documents import Policy
    from .patterns import Values

log = logging.getLogger(__name__)

_EVERYTHING = parse('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')
_ROOT = f"arn:aws:iam::{ACCOUNT}:root"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from, and what bears on it."""

    principal: Principal
    policies: Policies
    values: Values
    """The condition keys that tell of the caller."""
    expires: datetime | None = None
    """When the credentials end, aware; None for those that do not."""


NOBODY = Caller(Principal(""), Policies(), {"aws:principaltype": ("Anonymous",)})
ADMINISTRATOR_CALLER = Caller(
    Principal(_ROOT, ACCOUNT),
    Policies(identity=(_EVERYTHING,)),
    {
        "aws:principalarn": (_ROOT,),
        "aws:principalaccount": (ACCOUNT,),
        "aws:principaltype": ("Account",),
        "aws:userid": (ACCOUNT,),
    },
)
"""The sandbox's administrator is its account's root user, whom only a bucket's policy can stop."""


class Accounts:
    """Looks callers and resources' policies up. Safe to use from several threads.

    *administrator* is the access key of the one who may do everything.
    """

    def __init__(self, services: Services, administrator: str) -> None:
        self._services = services
        self._administrator = administrator.encode()
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}

    def caller(self, access_key: str) -> Caller | None:
        """Return whose key it is; None for a key that does not exist or is not active."""
        if not access_key:
            return NOBODY
        if hmac.compare_digest(access_key.encode(), self._administrator):
            return ADMINISTRATOR_CALLER
        iam = self._iam()
        key = iam.access_keys.get(access_key)
        if key is None or key.status != "Active":
            return None
        if key.role_arn:
            return self._session(iam, access_key, key.role_arn)
        user = iam.users.get(key.user_name)
        return None if user is None else _user(iam, user)

    def name(self, access_key: str) -> str:
        """Return the ARN of whose key it is; empty for nobody's."""
        caller = self.caller(access_key)
        return caller.principal.arn if caller else ""

    def bucket_exists(self, bucket: str) -> bool:
        """Tell whether there is such a bucket."""
        return bucket in self._buckets()

    def bucket_policy(self, bucket: str) -> Policy | None:
        """Return the bucket's policy, if it has one. One that cannot be read has no effect."""
        found = self._buckets().get(bucket)
        if found is None or not found.policy:
            return None
        try:
            return parse(found.policy.decode())
        except ValueError:  # S3 would not have taken it; moto does
            log.warning("The policy of the bucket %s cannot be read", bucket)
            return None

    def trust_policy(self, role_arn: str) -> Policy | None:
        """Return who may assume a role; None when there is no such role."""
        role = _role(self._iam(), role_arn)
        return None if role is None else _document(role.assume_role_policy_document)

    def batch_tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of something of AWS Batch's that is no job; none for what is unknown."""
        region = arn.split(":")[3] if arn.startswith("arn:") else ""
        if not region:
            return {}
        backend = self._services.backend("batch", region)
        found: Mapping[str, str] = backend.list_tags_for_resource(arn)
        return found

    def policies_of(self, arn: str) -> Policies | None:
        """Return what bears on a user or role; None when there is no such one."""
        iam = self._iam()
        user = next((each for each in list(iam.users.values()) if each.arn == arn), None)
        if user is not None:
            return _user(iam, user).policies
        role = _role(iam, arn)
        return None if role is None else _role_policies(iam, role)

    def _iam(self) -> Any:  # noqa: ANN401 - moto's objects have no types of use
        return self._services.backend("iam", "aws")

    def _buckets(self) -> dict[str, Any]:
        buckets: dict[str, Any] = self._services.backend("s3", "aws").buckets
        return buckets

    def _session(self, iam: Any, access_key: str, role_arn: str) -> Caller | None:  # noqa: ANN401
        role = _role(iam, role_arn)
        if role is None:
            return None
        found = self._assumed(access_key)
        name = found.session_name if found else access_key
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.name}/{name}"
        session = _document(found.policy) if found and found.policy else None
        policies = _role_policies(iam, role, session)
        return Caller(
            Principal(arn, ACCOUNT, (role.arn,)),
            policies,
            {
                "aws:principalarn": (role.arn,),
                "aws:principalaccount": (ACCOUNT,),
                "aws:principaltype": ("AssumedRole",),
                "aws:userid": (f"{role.id}:{name}",),
            },
            found.expiration.replace(tzinfo=UTC) if found else None,
        )

    def _assumed(self, access_key: str) -> Any:  # noqa: ANN401
        with self._lock:
            if access_key not in self._sessions:
                # moto looks through all of them, which grow with every job.
                sts = self._services.backend("sts", "aws")
                self._sessions = {each.access_key_id: each for each in list(sts.assumed_roles)}
            return self._sessions.get(access_key)


def _user(iam: Any, user: Any) -> Caller:  # noqa: ANN401
    groups = [group for group in list(iam.groups.values()) if user in group.users]
    identity = [*_attached(user), *(policy for group in groups for policy in _attached(group))]
    return Caller(
        Principal(user.arn, ACCOUNT),
        Policies(identity=tuple(identity)),
        {
            "aws:username": (user.name,),
            "aws:userid": (user.id,),
            "aws:principalarn": (user.arn,),
            "aws:principalaccount": (ACCOUNT,),
            "aws:principaltype": ("User",),
        },
    )


def _role_policies(iam: Any, role: Any, session: Policy | None = None) -> Policies:  # noqa: ANN401
    boundary = role.permissions_boundary_arn
    limit = _managed(iam, boundary) if boundary else None
    return Policies(identity=_attached(role), session=session, boundary=limit)


def _attached(owner: Any) -> tuple[Policy, ...]:  # noqa: ANN401
    """Return the inline and the attached policies of a user, group or role."""
    inline = [_document(each) for each in list(owner.policies.values())]
    managed = [_default_version(each) for each in list(owner.managed_policies.values())]
    return (*inline, *managed)


def _default_version(policy: Any) -> Policy:  # noqa: ANN401
    version = next(v for v in policy.versions if v.version_id == policy.default_version_id)
    return _document(version.document)


def _managed(iam: Any, arn: str) -> Policy:  # noqa: ANN401
    policy = iam.managed_policies.get(arn)
    return () if policy is None else _default_version(policy)


def _role(iam: Any, arn: str) -> Any:  # noqa: ANN401
    return next((role for role in list(iam.roles.values()) if role.arn == arn), None)


def _document(document: Any) -> Policy:  # noqa: ANN401 - text, or what was parsed from it
    if isinstance(document, str):
        return parse(document)
    return parse(json.dumps(document))
