"""The door to AWS: one session, one region, and a client of each service made when it is needed.

Credentials and settings come from where botocore looks for them (environment, ``~/.aws``, single
sign-on, instance and container roles) unless they are given. botocore is imported on first use; a
bucket does without it in the common cases that ``direct_settings`` knows.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from nextstrain_batch.aws_errors import explaining
from nextstrain_batch.direct_settings import DEFAULT_REGION
from nextstrain_batch.store.direct.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient
    from botocore.config import Config
    from botocore.model import OperationModel
    from botocore.session import Session

    from nextstrain_batch.clients import BatchClient, LogsClient
    from nextstrain_batch.direct_settings import DirectSettings
    from nextstrain_batch.store.transport import Transport

__all__ = ["Aws", "Credentials"]

CONNECT_TIMEOUT = 10
READ_TIMEOUT = 60
MAX_ATTEMPTS = 4
CONNECTIONS = 32
"""Kept open to one service at most: as many threads can work at once."""


class BucketPlace(Protocol):
    """What says where a bucket is."""

    @property
    def bucket(self) -> str:
        """Its name."""

    @property
    def prefix(self) -> str:
        """Of all keys in it, without slashes at its ends; may be empty."""


class Aws:
    """One account in one region. Safe to use from several threads.

    What is not given is found as botocore does: the *endpoint* in ``AWS_ENDPOINT_URL`` and its kin,
    the *region* from ``AWS_DEFAULT_REGION`` or the profile, then ``AWS_REGION``, else us-east-1.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._region = region
        self._credentials = credentials
        self._lock = threading.RLock()
        self._made_session: Session | None = None
        self._clients: dict[str, BaseClient] = {}

    @property
    def endpoint(self) -> str | None:
        """The endpoint that was given, such as the sandbox's; None for botocore's choice."""
        return self._endpoint

    @property
    def region(self) -> str:
        """The region that is spoken to."""
        with self._lock:
            if self._region is None:
                with explaining("read the AWS settings"):
                    configured = self._session().get_config_variable("region")
                # botocore itself leaves AWS_REGION to other programs.
                self._region = configured or os.environ.get("AWS_REGION") or DEFAULT_REGION
            return self._region

    @property
    def local_endpoint(self) -> str | None:
        """Where S3 or AWS Batch is asked, if that is on this computer: it is not AWS, then."""
        urls = (str(self.client(service).meta.endpoint_url) for service in ("s3", "batch"))
        return next((url for url in urls if is_local(url)), None)

    def client(self, service: str) -> Any:  # noqa: ANN401 - its methods are made at run time
        """Return the botocore client of *service* (``s3``, ``batch``, ``logs`` …).

        The same one each time. Raises ``ConfigError`` or ``AwsError`` for settings that make no
        sense.
        """
        with self._lock:
            if service not in self._clients:
                with explaining(f"prepare to speak to AWS ({service})"), _no_collection():
                    self._clients[service] = self._make(service)
            return self._clients[service]

    @property
    def batch(self) -> BatchClient:
        """The client of AWS Batch."""
        client: BatchClient = self.client("batch")
        return client

    @property
    def logs(self) -> LogsClient:
        """The client of CloudWatch Logs."""
        client: LogsClient = self.client("logs")
        return client

    def bucket(self, place: BucketPlace) -> Transport:
        """Return the bucket at *place*, seen from below its prefix. Makes no request.

        Without botocore where the settings and the bucket's name are simple. The errors are the
        same.
        """
        from nextstrain_batch.store.direct.place import Place, is_plain_bucket

        settings = self._direct_settings()
        if settings is not None and is_plain_bucket(place.bucket):
            from nextstrain_batch.store.direct.transport import DirectTransport, Limits

            limits = Limits(CONNECT_TIMEOUT, READ_TIMEOUT, MAX_ATTEMPTS, CONNECTIONS)
            there = Place(place.bucket, settings.region, settings.endpoint)
            return DirectTransport(there, place.prefix, settings.credentials, limits)
        from nextstrain_batch.store.s3 import S3Transport

        return S3Transport(self.client("s3"), place.bucket, place.prefix)

    def _direct_settings(self) -> DirectSettings | None:
        from nextstrain_batch.direct_settings import Given, Surroundings, find

        given = Given(self._endpoint, self._region, self._credentials)
        return find(given, Surroundings(os.environ, sys.platform, _system_proxies))

    def _session(self) -> Session:
        if self._made_session is None:
            from botocore.session import Session

            self._made_session = Session()
        return self._made_session

    def _make(self, service: str) -> BaseClient:
        keys = self._credentials
        client = self._session().create_client(
            service,
            region_name=self.region,
            endpoint_url=self._endpoint,
            aws_access_key_id=keys.access_key if keys else None,
            aws_secret_access_key=keys.secret_key if keys else None,
            aws_session_token=keys.token if keys else None,
            config=self._config(),
        )
        if service == "batch":
            client.meta.events.register_first("needs-retry.batch.SubmitJob", _not_twice)
        if service == "s3":
            from botocore.handlers import add_expect_header

            # It makes every write wait for S3's go-ahead: a round trip more for each object.
            client.meta.events.unregister("before-call.s3", add_expect_header)
        return client

    def _config(self) -> Config:
        from botocore.config import Config

        return Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            # A proxy cannot reach what runs on this computer.
            proxies={} if is_local(self._endpoint) else None,
        )


def is_local(url: str | None) -> bool:
    """Tell whether *url* leads to this computer, by a loopback address or a name for one."""
    host = urlsplit(url or "").hostname
    if not host:
        return False
    # Also LocalStack's own name, localhost.localstack.cloud.
    if "localhost" in host.split("."):
        return True
    import ipaddress

    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _system_proxies() -> dict[str, str]:
    from urllib.request import getproxies

    return getproxies()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from running: all that is made here is made to stay.

    Importing botocore and making its first client takes a quarter less time this way.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _not_twice(
    operation: OperationModel,
    response: tuple[AWSResponse, Any] | None = None,
    caught_exception: Exception | None = None,
    **_: object,
) -> None:
    """Keep botocore from repeating a SubmitJob that may have arrived.

    Batch has no token that makes it harmless, and two jobs of one run would cost twice and write
    over each other. ``submit`` looks whether the job exists. A connection that was never made
    has sent nothing, so it may be tried again; AWS's own errors (5xx) may come after the job.
    """
    from botocore.exceptions import (
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
    )
    from botocore.exceptions import ConnectionError as BotoConnectionError

    if response is not None and response[0].status_code >= 500:
        raise ClientError(response[1], operation.name)
    if isinstance(caught_exception, (EndpointConnectionError, ConnectTimeoutError)):
        return
    if isinstance(caught_exception, (HTTPClientError, BotoConnectionError)):
        raise caught_exception
