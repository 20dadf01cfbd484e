"""From the settings to AWS: the account that they mean, or the sandbox's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch.aws import Aws, Credentials

if TYPE_CHECKING:
    from pathlib import Path

    from nextstrain_batch.batch_settings import BatchSettings


def connect(settings: BatchSettings, home: Path) -> Aws:
    """Return the AWS that *settings* mean; a sandbox below *home* is started if it is not up."""
    if not settings.sandbox.value:
        return Aws(region=settings.region.value)
    from nextstrain_batch.sandbox.manager import ensure

    place = ensure(home)
    keys = Credentials(place.access_key, place.secret_key)
    return Aws(endpoint=place.url, region=place.region, credentials=keys)
