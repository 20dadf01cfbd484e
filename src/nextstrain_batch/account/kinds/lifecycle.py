"""A bucket's lifecycle rules: that objects and incomplete uploads expire, and what others want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import Difference, absent, differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nextstrain_batch.account.place import Client
    from nextstrain_batch.account.resources import Bucket

    Rule = dict[str, Any]
    """As S3 has it."""

EXPIRY, UPLOADS = "expiry of objects", "expiry of incomplete uploads"

_EXPIRATION, _ABORT = "Expiration", "AbortIncompleteMultipartUpload"
_ABOUT = {"ID", "Filter", "Prefix", "Status"}
"""What of a rule does nothing."""


def rules_of(s3: Client, name: str) -> list[Rule]:
    """Return the bucket's lifecycle rules."""
    found = absent(
        ("NoSuchLifecycleConfiguration",),
        lambda: s3.get_bucket_lifecycle_configuration(Bucket=name),
    )
    return list(found["Rules"]) if found else []


def lacks(rules: list[Rule], wanted: Bucket) -> tuple[Difference, ...]:
    """Return what is not as desired."""
    objects, uploads = _expiry_days(rules), _upload_days(rules)
    found = differences((EXPIRY, _days(objects), _days(wanted.expire_days)))
    if uploads is None:  # any number will do
        found += differences((UPLOADS, _days(None), _days(wanted.abort_uploads_days)))
    return found


def our_rule(wanted: Bucket) -> Rule:
    """Return the lifecycle rule that the bucket needs."""
    return {
        "ID": f"expire-after-{wanted.expire_days}-days",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"Days": wanted.expire_days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": wanted.abort_uploads_days},
    }


def merged(rules: list[Rule], wanted: Bucket) -> list[Rule]:
    """Return our rule, after those that are there without what ours does to every object.

    Whatever else they do stays; so does the number of days after which uploads are removed.
    """
    ours = our_rule(wanted)
    if (days := _upload_days(rules)) is not None:
        ours[_ABORT] = {"DaysAfterInitiation": days}
    others = [rest for rest in map(_without_ours, rules) if set(rest) - _ABOUT]
    names = [ours["ID"], *(each["ID"] for each in others if "ID" in each)]
    for each in others:
        if each.get("ID") == ours["ID"]:  # S3 takes an id once
            each["ID"] = next(name for name in _like(ours["ID"]) if name not in names)
    return [*others, ours]


def _without_ours(rule: Rule) -> Rule:
    if not _is_for_all(rule):
        return dict(rule)
    rest = {key: value for key, value in rule.items() if key not in {_EXPIRATION, _ABORT}}
    expiration = {key: value for key, value in rule.get(_EXPIRATION, {}).items() if key != "Days"}
    return rest | ({_EXPIRATION: expiration} if expiration else {})


def _like(name: str) -> Iterator[str]:
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _expiry_days(rules: Iterable[Rule]) -> int | None:
    """Return after how many days every object expires, or None."""
    return _least(rules, _EXPIRATION, "Days")


def _upload_days(rules: Iterable[Rule]) -> int | None:
    """Return after how many days every incomplete upload is removed, or None."""
    return _least(rules, _ABORT, "DaysAfterInitiation")


def _least(rules: Iterable[Rule], part: str, key: str) -> int | None:
    parts = (rule.get(part, {}) for rule in rules if _is_for_all(rule))
    return min((int(each[key]) for each in parts if key in each), default=None)


def _is_for_all(rule: Rule) -> bool:
    """Tell whether a rule is enabled, and about every object."""
    limits = [*rule.get("Filter", {}).values(), rule.get("Prefix")]
    return rule.get("Status") == "Enabled" and all(each in ("", None) for each in limits)


def _days(days: int | None) -> str:
    return "never" if days is None else f"after {days} days"
