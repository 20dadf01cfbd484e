"""A job of the sandbox, for tests of what becomes of it."""

from nextstrain_batch.sandbox.jobs import Container, Specification

CONTAINER = Container("image", ("true",), (), vcpus=4, memory=7200, job_role=None)
SPECIFICATION = Specification(
    name="zika",
    region="us-east-1",
    queue="queue",
    queue_arn="arn:queue",
    definition="definition",
    definition_arn="arn:definition:1",
    container=CONTAINER,
)
