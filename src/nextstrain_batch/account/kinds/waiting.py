"""Waiting for what AWS does in its own time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from nextstrain_batch.aws_errors import error_code, error_text
from nextstrain_batch.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.account.place import Found, Place

T = TypeVar("T")

VALID_SECONDS = 300.0
POLL_SECONDS = 2.0
PATIENCE = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each further try while changes spread through AWS."""

PASSING = re.compile(
    "|".join(
        (
            # Auto Scaling and EC2, of a profile, or of a role in it, that is a few seconds old.
            r"invalid (iam ?)?instance ?profile",
            r"has no associated iam roles",
            # STS, of AWS Batch: github.com/hashicorp/terraform-provider-aws/pull/21281. And of what
            # Batch does with its new service role.
            r"not authorized to perform: sts:assumerole",
            r"assumed-role/awsserviceroleforbatch/\S+ is not authorized",
            # ECS and Batch, of a role.
            r"\brole\b[^.]*(is not valid|is invalid|does not exist|cannot be assumed|trust)",
        )
    ),
    re.IGNORECASE,
)
"""What AWS says while it does not everywhere know of a role or profile that was just made.

IAM's changes take seconds to reach every service (IAM User Guide, "Changes that I make are not
always immediately visible"). AWS Batch does not look at an environment's roles when it is made, but
afterwards: the environment then becomes INVALID with "CLIENT_ERROR - " and the text of whichever
service did not know (github.com/Netflix/metaflow-tools/issues/9). That somebody may not pass a role
(iam:PassRole) does not pass.
"""


def patiently(call: Callable[[], object], place: Place) -> None:
    """Call again while AWS does not know of a role that has just been made."""
    known = "waiting for the new roles to be known everywhere"
    _again(call, lambda error: bool(PASSING.search(error_text(error))), known, place)


def once_known(call: Callable[[], object], place: Place) -> None:
    """Call again while EC2 does not know of something that has just been made."""
    known = "waiting for EC2 to know what was just made"
    _again(call, lambda error: error_code(error).endswith("NotFound"), known, place)


def appearing(read: Callable[[], T | None], what: str, place: Place) -> T:
    """Read something that has just been made until it is there; ``AwsError`` if it never is."""
    for seconds in (*PATIENCE, None):
        found = read()
        if found is not None:
            return found
        if seconds is not None:
            place.tell(f"waiting for {what} to appear")
            place.sleep(seconds)
    raise AwsError(
        f"There is no sign of {what}, which should have been made.\n\n"
        "Run the same command again in a few minutes: it goes on where it stopped."
    )


def _again(
    call: Callable[[], object], passes: Callable[[Exception], bool], telling: str, place: Place
) -> None:
    from botocore.exceptions import ClientError

    for seconds in (*PATIENCE, None):
        try:
            call()
        except ClientError as error:
            if seconds is None or not passes(error):
                raise
            place.tell(telling)
            place.sleep(seconds)
        else:
            return


def lasting_status(found: dict[str, Any]) -> str:
    """Return the status that AWS Batch's description of something will come to by itself.

    What is being made or changed becomes valid, as far as can be told before. What is being removed
    does not count as gone: its name cannot be given anew, and what it uses cannot be removed.
    """
    status = str(found.get("status"))
    return status if status in {"INVALID", "DELETING"} else "VALID"


def is_going(found: Found) -> bool:
    """Tell whether something of AWS Batch's is being removed already."""
    return (found.raw or {}).get("status") == "DELETING"


def wait_until_valid(
    describe: Callable[[], dict[str, Any] | None],
    title: str,
    place: Place,
    *,
    may_be_invalid: bool = False,
    look_again: Callable[[], object] | None = None,
) -> None:
    """Wait for the end of a change to what *title* names; ``AwsError`` when it ends badly, or not.

    While it ends badly because a role is not known yet, *look_again* makes AWS Batch try again.
    """
    waited, patience = 0.0, iter(PATIENCE)
    while True:
        found = describe() or {}
        status, reason = found.get("status"), str(found.get("statusReason") or "")
        if status == "VALID" or (status == "INVALID" and may_be_invalid):
            return
        if status == "INVALID" and look_again is not None and PASSING.search(reason):
            pause = next(patience, None)
            if pause is not None:
                place.tell("waiting for the new roles to be known everywhere")
                place.sleep(pause)
                look_again()
                continue
        if status in {"INVALID", "DELETING"} or waited >= VALID_SECONDS:
            raise AwsError(
                f"The {title} does not become valid: {status},"
                f" {reason or 'without a reason'}.\n\n"
                "When that is mended, run the same command again: it goes on where it stopped."
            )
        if not waited:
            place.tell(f"waiting for AWS Batch to get the {title} ready")
        place.sleep(POLL_SECONDS)
        waited += POLL_SECONDS


def wait_until_gone(
    describe: Callable[[], dict[str, Any] | None],
    title: str,
    place: Place,
) -> None:
    """Wait until something is removed, which takes AWS Batch a while; ``AwsError`` if it stays."""
    waited = 0.0
    while (found := describe()) is not None and found.get("status") != "DELETED":
        if waited >= VALID_SECONDS:
            raise AwsError(
                f"The {title} is still there after {waited:.0f} s:"
                f" {found.get('status')}, {found.get('statusReason') or 'without a reason'}.\n\n"
                "Wait until its jobs are over, then run the same command again."
            )
        if not waited:
            place.tell(f"waiting for AWS Batch to remove the {title}")
        place.sleep(POLL_SECONDS)
        waited += POLL_SECONDS
