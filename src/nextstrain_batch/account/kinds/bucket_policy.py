"""The bucket's policy: that nobody reaches it without TLS, beside what else it says."""

from __future__ import annotations

import fnmatch
import json
import re
from typing import TYPE_CHECKING, Any

from nextstrain_batch.account import policies
from nextstrain_batch.account.place import absent

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Client
    from nextstrain_batch.account.resources import Bucket


def read(s3: Client, name: str) -> dict[str, Any]:
    """Return the bucket's policy; an empty one where there is none."""
    found = absent(("NoSuchBucketPolicy",), lambda: s3.get_bucket_policy(Bucket=name))
    document: dict[str, Any] = json.loads(found["Policy"]) if found else {"Version": "2012-10-17"}
    return document


def denies_plain(document: dict[str, Any], bucket: str) -> bool:
    """Tell whether a policy denies everybody every request to the bucket without TLS."""
    return any(_denies_plain(each, bucket) for each in policies.statements(document))


def _denies_plain(statement: dict[str, Any], bucket: str) -> bool:
    principal, resources = statement.get("Principal"), _listed(statement.get("Resource"))
    if isinstance(principal, dict):
        principal = "*" if "*" in _listed(principal.get("AWS")) else None
    return (
        statement.get("Effect") == "Deny"
        and principal == "*"
        and not {"s3:*", "*"}.isdisjoint(_listed(statement.get("Action")))
        and all(
            any(
                fnmatch.fnmatchcase(f":s3:::{what}", _without_partition(each)) for each in resources
            )
            for what in (bucket, f"{bucket}/*")
        )
        and _is_without_tls(statement.get("Condition") or {})
    )


def _without_partition(arn: str) -> str:
    return re.sub(r"^arn:[^:]+(?=:)", "", arn)


def _is_without_tls(condition: dict[str, Any]) -> bool:
    """Tell whether a condition is that there is no TLS, and nothing more: more denies less."""
    tests = [test for each in condition.values() for test in each.items()]
    words = [(key.lower(), [str(each).lower() for each in _listed(value)]) for key, value in tests]
    plain = [("aws:securetransport", ["false"])]
    return set(condition) <= {"Bool", "BoolIfExists"} and words == plain


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def with_tls_only(document: dict[str, Any], wanted: Bucket) -> dict[str, Any]:
    """Return a policy with the statement against requests without TLS, and all that it had."""
    there = policies.statements(document)
    statement = policies.tls_only(wanted.name, policies.partition_of(wanted.region))
    if statement["Sid"] in {each.get("Sid") for each in there}:  # AWS takes an id once
        del statement["Sid"]
    return {**document, "Statement": [*there, statement]}
