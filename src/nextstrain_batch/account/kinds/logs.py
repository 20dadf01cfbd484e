"""The log group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.place import TAGS, Difference, Found, Kind, is_ours
from nextstrain_batch.account.resources import LogGroup

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Client, Place

RETENTION = "events expire"


class LogGroupKind(Kind[LogGroup]):
    """AWS Batch's first job makes one, whose events never expire."""

    costs = "$0.50 a GB of jobs' output, and $0.03 a GB and month while it is kept"

    def summary(self, wanted: LogGroup) -> tuple[str, ...]:
        """Return what it will be."""
        return (f"events expire after {wanted.retention_days} days",)

    def look(self, wanted: LogGroup, place: Place) -> Found | None:
        """Read its retention."""
        logs = place.client("logs")
        found = logs.describe_log_groups(logGroupNamePrefix=wanted.name)["logGroups"]
        named = [each for each in found if each["logGroupName"] == wanted.name]
        if not named:
            return None
        kept = named[0].get("retentionInDays")
        arn = str(named[0]["arn"]).removesuffix(":*")
        tags = logs.list_tags_for_resource(resourceArn=arn).get("tags")
        return Found(
            is_ours(tags),
            _retention(kept, wanted.retention_days),
            holds=_content(logs, named[0]),
        )

    def make(self, wanted: LogGroup, place: Place) -> None:
        """Make it."""
        place.client("logs").create_log_group(logGroupName=wanted.name, tags=TAGS)
        self._keep(wanted, place)

    def mend(self, wanted: LogGroup, place: Place, found: Found) -> None:  # noqa: ARG002
        """Set its retention."""
        self._keep(wanted, place)

    def remove(self, wanted: LogGroup, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove it with its logs."""
        place.client("logs").delete_log_group(logGroupName=wanted.name)

    def _keep(self, wanted: LogGroup, place: Place) -> None:
        place.client("logs").put_retention_policy(
            logGroupName=wanted.name, retentionInDays=wanted.retention_days
        )


def _retention(kept: int | None, wanted: int) -> tuple[Difference, ...]:
    if kept == wanted:
        return ()
    loses = kept is None or wanted < kept
    ending = f"{_days(wanted)}; what is older is deleted" if loses else _days(wanted)
    return (Difference(RETENTION, _days(kept), ending),)


def _content(logs: Client, group: dict[str, Any]) -> str:
    """Say what would be lost: AWS Batch sends the output of every job here, not only of ours."""
    if stored := int(group.get("storedBytes") or 0):
        return f"{stored:,} bytes of logs of whatever jobs log there"
    # AWS counts the bytes hours later.
    name = group["logGroupName"]
    streams = logs.describe_log_streams(logGroupName=name, limit=1)["logStreams"]
    return "logs of whatever jobs log there" if streams else ""


def _days(days: int | None) -> str:
    return "never" if days is None else f"after {days} days"
