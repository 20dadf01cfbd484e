"""Waiting for what AWS does in its own time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nextstrain_batch.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.account.place import Place
    from nextstrain_batch.account.resources import ComputeEnvironment, JobQueue

VALID_SECONDS = 300.0
POLL_SECONDS = 2.0
PATIENCE = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each further try while IAM's changes spread through AWS."""


def patiently(call: Callable[[], object], place: Place) -> None:
    """Call again while AWS does not know of a role that has just been made."""
    from botocore.exceptions import ClientError

    for seconds in (*PATIENCE, None):
        try:
            call()
        except ClientError as error:
            said = error.response["Error"].get("Message", "")
            if seconds is None or not re.search(r"(?i)role|instance ?profile", said):
                raise
            place.tell("waiting for the new roles to be known everywhere")
            place.sleep(seconds)
        else:
            return


def wait_until_valid(
    describe: Callable[[], dict[str, Any] | None],
    wanted: ComputeEnvironment | JobQueue,
    place: Place,
    *,
    may_be_invalid: bool = False,
) -> None:
    """Wait for the end of a change; ``AwsError`` when it ends badly, or not at all."""
    waited = 0.0
    while True:
        found = describe() or {}
        status = found.get("status")
        if status == "VALID" or (status == "INVALID" and may_be_invalid):
            return
        if status == "INVALID" or waited >= VALID_SECONDS:
            raise AwsError(
                f"The {wanted.noun} {wanted.name} does not become valid: {status},"
                f" {found.get('statusReason') or 'without a reason'}.\n\n"
                "When that is mended, run the same command again: it goes on where it stopped."
            )
        if not waited:
            place.tell(f"waiting for AWS Batch to get the {wanted.noun} ready")
        place.sleep(POLL_SECONDS)
        waited += POLL_SECONDS


def wait_until_gone(
    describe: Callable[[], dict[str, Any] | None],
    wanted: ComputeEnvironment | JobQueue,
    place: Place,
) -> None:
    """Wait until something is removed, which takes AWS Batch a while; ``AwsError`` if it stays."""
    waited = 0.0
    while (found := describe()) is not None and found.get("status") != "DELETED":
        if waited >= VALID_SECONDS:
            raise AwsError(
                f"The {wanted.noun} {wanted.name} is still there after {waited:.0f} s:"
                f" {found.get('status')}, {found.get('statusReason') or 'without a reason'}.\n\n"
                "Wait until its jobs are over, then run the same command again."
            )
        if not waited:
            place.tell(f"waiting for AWS Batch to remove the {wanted.noun}")
        place.sleep(POLL_SECONDS)
        waited += POLL_SECONDS
