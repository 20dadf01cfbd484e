"""The container credentials endpoint: the job role's credentials, for jobs and nobody else.

Jobs find it through ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` and show the token of
``AWS_CONTAINER_AUTHORIZATION_TOKEN``; SDKs and the AWS CLI do both by themselves, and come back
before the credentials expire.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .services import Services

PATH = "/_sandbox/credentials/"
SECONDS = 6 * 3600
"""How long credentials are good for; ECS gives six hours."""


class Credentials:
    """Hands out credentials by task. Safe to use from several threads."""

    def __init__(self, services: Services, seconds: int = SECONDS) -> None:
        self._services = services
        self._seconds = seconds
        self._lock = threading.Lock()
        self._tasks: dict[str, tuple[str, str, str]] = {}
        self._holders: dict[str, str] = {}

    def offer(self, task_id: str, role: str, region: str, url: str) -> dict[str, str]:
        """Let a task have a role's credentials; return the variables that tell it where."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tasks[task_id] = (token, role, region)
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{PATH}{task_id}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def withdraw(self, task_id: str) -> None:
        """Give nothing more to a task."""
        with self._lock:
            self._tasks.pop(task_id, None)

    def holder(self, access_key: str) -> str | None:
        """Return the task that an access key was given to, even if it is over; None for none."""
        return self._holders.get(access_key)

    def answer(self, path: str, authorization: str) -> dict[str, Any] | None:
        """Return the credentials in ECS's form; None for a wrong path or token."""
        task_id = path.removeprefix(PATH)
        with self._lock:
            token, role, region = self._tasks.get(task_id, ("", "", ""))
        if not token or not hmac.compare_digest(token.encode(), authorization.encode()):
            return None
        assumed = self._services.backend("sts", "aws").assume_role(
            region_name=region,
            role_session_name=task_id,
            role_arn=role,
            policy="",
            duration=self._seconds,
            external_id="",
        )
        with self._lock:
            self._holders[assumed.access_key_id] = task_id
        expiration = assumed.expiration.replace(tzinfo=UTC)
        return {
            "RoleArn": role,
            "AccessKeyId": assumed.access_key_id,
            "SecretAccessKey": assumed.secret_access_key,
            "Token": assumed.session_token,
            "Expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
