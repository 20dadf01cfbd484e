"""Whether an account is ready for builds: every part looked at, and each answer one of three.

access        who is asking, and what they may do
storage       bucket and log group
computing     queue, compute environments, job definition, job role
instances     what instances begin with: roles, subnets, launch template
network       whether they can reach what they need, and nobody reaches them
limits        can a job of the requested size ever run, and is there disk for it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import access, computing, instances, limits, network, storage
from .finding import Finding, Subject, Verdict, findings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Finding", "Subject", "Verdict", "check"]

CHECKS = (
    *(*storage.CHECKS, *computing.CHECKS, *instances.CHECKS, *network.CHECKS),
    *(*limits.CHECKS, *access.CHECKS),
)


def check(subject: Subject) -> Iterator[Finding]:
    """Yield what is found, part by part; it changes nothing.

    One object is written to the bucket and removed, where that cannot be tried otherwise. Ends
    early when nobody is asking: without credentials, nothing else can be told.
    """
    identity = list(findings_of(access.IDENTITY, subject))
    yield from identity
    if any(finding.verdict is not Verdict.OK for finding in identity):
        return
    for each in CHECKS:
        yield from findings_of(each, subject)
