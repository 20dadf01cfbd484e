"""The sandbox's empty account, as an administrator reaches it."""

import botocore.session
import pytest
from botocore.config import Config

from nextstrain_batch.account.place import Place


def clients_of(endpoint):
    """Return botocore clients by service, with an endpoint's keys."""
    made = {}

    def client(service):
        if service not in made:
            made[service] = botocore.session.Session().create_client(
                service,
                endpoint_url=endpoint.url,
                region_name=endpoint.region,
                aws_access_key_id=endpoint.access_key,
                aws_secret_access_key=endpoint.secret_key,
                config=Config(proxies={}, s3={"addressing_style": "path"}),
            )
        return made[service]

    return client


def no_sleep(seconds):
    pytest.fail(f"there is nothing to wait {seconds} s for")


def place_of(clients):
    """Return a place where nothing has to be waited for."""
    return Place(clients, "us-east-1", sleep=no_sleep)
