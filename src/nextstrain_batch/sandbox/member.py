"""The sandbox's account, and the member of its group whose keys builds use."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import administrator
from .remote import write_private

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from .layout import Layout
    from .remote import Server

BUCKET = "nextstrain-jobs"
"""The bucket of the sandbox's account."""
REGION = "us-east-1"
MAX_VCPUS = 64
"""What jobs may reserve together; the computer's own cores play no part."""

USER = "sandbox-user"
"""Who ``Endpoint`` is for."""


@dataclass(frozen=True)
class Endpoint:
    """How to speak to the sandbox, as a user of it."""

    url: str
    region: str
    access_key: str
    secret_key: str
    bucket: str = BUCKET


def known(layout: Layout, server: Server) -> Endpoint | None:
    """Return the endpoint with the member's keys; None while there is no account.

    After a change of moto the account is looked at again: it may not have understood its state.
    """
    try:
        found = json.loads(layout.account_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    if found["moto"] != server.moto:
        return None
    return Endpoint(server.url, REGION, found["access_key"], found["secret_key"])


def set_up(layout: Layout, server: Server) -> Endpoint:
    """Make the account as ``account`` states it, and a member of its group with keys.

    What is there already stays, but for the member's keys. Raises ``UserError``.
    """
    from nextstrain_batch.account import apply, options, place, resources
    from nextstrain_batch.aws_errors import explaining

    chosen: dict[str, Any] = {"bucket": BUCKET, "region": REGION, "max_vcpus": MAX_VCPUS}
    if layout.setup_file.exists():
        chosen |= options.from_file(layout.setup_file)
    desired = resources.account(options.Options(**chosen))
    clients = Clients(as_administrator(layout, server))
    with explaining("set up the sandbox's account", REGION):
        apply.apply(desired, place.Place(clients, REGION))
        key = _new_member(clients("iam"), desired.group.name)
    # Saved first: the file promises an account.
    server.tell("save")
    keys = {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}
    write_private(layout.account_file, {**keys, "moto": server.moto})
    return Endpoint(server.url, REGION, **keys)


def _new_member(iam: Any, group: str) -> dict[str, str]:  # noqa: ANN401 - a client of botocore's
    """Return the user's new key, which is its only one: nobody may have more than two."""
    if USER not in [user["UserName"] for user in iam.list_users()["Users"]]:
        iam.create_user(UserName=USER)
    iam.add_user_to_group(GroupName=group, UserName=USER)
    for each in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=USER, AccessKeyId=each["AccessKeyId"])
    key: dict[str, str] = iam.create_access_key(UserName=USER)["AccessKey"]
    return key


def as_administrator(layout: Layout, server: Server) -> Endpoint:
    """Return the endpoint with the administrator's keys. Raises ``SandboxError``."""
    keys = administrator.keys(layout)
    return Endpoint(server.url, REGION, keys.access_key, keys.secret_key)


class Clients:
    """botocore clients with an endpoint's keys; the user's own settings play no part."""

    def __init__(self, endpoint: Endpoint) -> None:
        import botocore.session
        from botocore.config import Config

        self._session = botocore.session.Session(profile=None)
        self._session.set_config_variable("config_file", os.devnull)
        self._session.set_config_variable("credentials_file", os.devnull)
        self._endpoint = endpoint
        self._config = Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard"},
            proxies={},  # the user's proxy is not for this computer
        )
        self._made: dict[str, BaseClient] = {}

    def __call__(self, service: str) -> BaseClient:
        """Return the client of a service."""
        if service not in self._made:
            self._made[service] = self._session.create_client(
                service,
                region_name=self._endpoint.region,
                endpoint_url=self._endpoint.url,
                aws_access_key_id=self._endpoint.access_key,
                aws_secret_access_key=self._endpoint.secret_key,
                config=self._config,
            )
        return self._made[service]
