"""Importing moto without what the sandbox has no use for: half the time, a third of the memory."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFERINGS = "instance_type_offerings"
REGION = "us-east-1"


@contextmanager
def imports() -> Iterator[None]:
    """Lighten moto modules that are imported meanwhile.

    * Every boto3 session that moto makes to list regions reads all of botocore's endpoint data;
      one session serves them all.
    * Which instance types each region offers is 60 MB of lists; those of one region are kept.
    """
    boto3: Any = importlib.import_module("boto3")
    utils: Any = importlib.import_module("moto.utilities.utils")
    make_session, load_resource = boto3.Session, utils.load_resource
    session = make_session()
    boto3.Session = lambda *_, **__: session
    utils.load_resource = lambda name: (
        [] if OFFERINGS in name and REGION not in name else load_resource(name)
    )
    try:
        yield
    finally:
        boto3.Session, utils.load_resource = make_session, load_resource
