"""The tags that jobs may carry: whose they are, and of which build.

IAM can compare the first one with whoever asks, so that a policy can keep people to their own
jobs. The others are for bills and for finding jobs in AWS's console.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nextstrain_batch.aws_errors import explaining
from nextstrain_batch.job import region_of

if TYPE_CHECKING:
    from nextstrain_batch.runs import Run

OWNER, USER = "nextstrain-owner", "nextstrain-user"
PATHOGEN, RUN = "nextstrain-pathogen", "nextstrain-run"
KEYS = (OWNER, USER, PATHOGEN, RUN)
"""All that there are. Letter case counts."""

LONGEST = 256
"""Characters of a tag's value ("Tag restrictions", AWS Batch User Guide)."""
_OTHERS = re.compile(r"[^\w +=.:/@-]")
"""What AWS's services do not all take in a value (likewise)."""


def tags_of(run: Run, sts: Any) -> dict[str, str]:  # noqa: ANN401 - a botocore client
    """Return the tags for a run's job. Raises ``UserError`` when AWS does not say who asks."""
    user_id, name = who(sts)
    return {
        OWNER: user_id,
        USER: value(name),
        PATHOGEN: value(run.pathogen),
        RUN: value(run.id),
    }


def who(sts: Any) -> tuple[str, str]:  # noqa: ANN401 - a botocore client
    """Ask AWS who asks, for which nobody needs a permission; return their id and their name.

    The id is exactly what IAM has in ``aws:userid``: ``AIDA…`` for an IAM user, ``AROA…:<session>``
    for a session of a role (GetCallerIdentity, STS API Reference). The name is the end of the ARN.
    Raises ``UserError`` when AWS does not answer.
    """
    with explaining("ask AWS who you are", region_of(sts)):
        answer = sts.get_caller_identity()
    return str(answer["UserId"]), str(answer["Arn"]).rpartition("/")[2]


def value(text: str) -> str:
    """Return *text* as a tag may have it: short enough, other characters replaced by hyphens."""
    return _OTHERS.sub("-", text)[:LONGEST]
