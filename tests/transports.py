"""Both transports to S3, made as the product makes them."""

from nextstrain_batch.aws import Aws, Credentials
from nextstrain_batch.store.direct.place import Place
from nextstrain_batch.store.direct.transport import DirectTransport, Limits
from nextstrain_batch.store.s3 import S3Transport

REGION = "us-east-1"


def by_botocore(endpoint, keys, bucket, prefix=""):
    """Return botocore's transport, with the product's own client."""
    client = Aws(endpoint=endpoint, region=REGION, credentials=Credentials(*keys)).client("s3")
    return S3Transport(client, bucket, prefix)


def directly(endpoint, keys, bucket, prefix="", *, read_timeout=60, attempts=4, **options):
    """Return the direct transport, with the product's own limits."""
    credentials = Credentials(*keys)
    limits = Limits(10, read_timeout, attempts, 32)
    place = Place(bucket, REGION, endpoint)
    return DirectTransport(place, prefix, lambda: credentials, limits, **options)


BOTH = {"botocore": by_botocore, "direct": directly}
