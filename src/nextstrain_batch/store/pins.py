"""How an upload, a pruning and the bucket's expiry keep out of each other's way, without a lock.

Pruning removes packs that no manifest refers to. An upload relies on such packs, too, until it has
published its manifest. What keeps the one from removing what the other relies on:

* Pruning leaves a pack alone until ``GRACE`` after it was written. An upload takes less than
  ``LONGEST`` from its listing to its end, or looks again; so a pack younger than ``SAFE`` in its
  listing is out of danger until the manifest is there.
* An upload that relies on older packs writes a *pin* that names them, waits for prunings that are
  deleting, and lists the packs again. A pin counts as a manifest for ``GRACE``.
* A pruning first writes a *mark*, then lists the packs, then pins and manifests, then deletes, for
  ``DELETING`` at most; then it removes the mark, or starts over. A mark counts for ``LEASE``.
* The bucket expires objects ``EXPIRY`` after they were written, or later. What is to be relied on
  and older than ``RENEW_AFTER`` is renewed first.

Of a pin and a mark, one is written before the other one's author looks: either the pruning sees
the pin and leaves the packs, or the upload sees the mark and lists when the deleting is over.
``docs/internals/storage.md`` goes through the cases.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from nextstrain_batch.errors import MissingObjectError
from nextstrain_batch.store import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from nextstrain_batch.store.transport import Transport

EXPIRY = timedelta(days=30)
"""How long the bucket keeps an object at least, counted from when it was written."""

RENEW_AFTER = EXPIRY / 2
"""The age from which an object is renewed before it is relied on: as long as this, or longer, it
then stays for the job that is about to need it."""

GRACE = timedelta(days=1)
"""How long what nothing refers to is left alone."""

SAFE = GRACE / 2
"""The age up to which a listed pack needs no pin."""

LONGEST = GRACE / 4
"""How long an upload may take before it looks at the bucket again."""

DELETING = timedelta(minutes=5)
"""How long a pruning deletes at most after it wrote its mark."""

SIGNED = timedelta(minutes=15)
"""How long S3 accepts a request after the date in its signature, and how wrong a clock may be:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html"""

LEASE = timedelta(hours=1)
"""How long a mark counts. Longer than ``DELETING`` and ``SIGNED``, within which S3 accepts the last
delete, by what the clocks of the pruning and of the upload differ from S3's: ``SIGNED`` each."""

_POLL = 2.0


def pin(pack_ids: Iterable[str], transport: Transport) -> None:
    """Say that packs are about to be referred to."""
    transport.put(keys.pin(os.urandom(8).hex()), "\n".join(sorted(pack_ids)).encode())


def pinned(transport: Transport, now: datetime) -> frozenset[str]:
    """Return the ids of the packs that are about to be referred to."""
    found: set[str] = set()
    for each in list(transport.list(keys.PINS)):
        if now - each.modified > GRACE or not keys.is_ours(each.key):
            continue
        try:
            found.update(transport.get(each.key).decode("ascii", "replace").split())
        except MissingObjectError:  # expired just now
            continue
    return frozenset(found)


def mark(token: str, transport: Transport) -> None:
    """Say that a pruning is about to delete; *token* is its own name."""
    transport.put(keys.prune(token), b"")


def unmark(token: str, transport: Transport) -> None:
    """Say that it does not delete any more."""
    transport.delete(keys.prune(token))


def await_prunings(
    transport: Transport, now: Callable[[], datetime], pause: Callable[[float], None]
) -> None:
    """Return when no pruning that began before deletes any more. *pause* sleeps for seconds."""
    while any(
        now() - each.modified < LEASE and keys.is_ours(each.key)
        for each in transport.list(keys.PRUNES)
    ):
        pause(_POLL)
