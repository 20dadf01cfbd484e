"""The environment variables by which a job knows what it is there for.

The client sets them at submission, and the agent reads them (``agent/context.py``).
"""

RUN = "NEXTSTRAIN_BATCH_RUN"
"""The run's URL in the bucket, ``s3://bucket[/prefix]/runs/<run-id>``."""
REGION = "NEXTSTRAIN_BATCH_REGION"
"""The region: a container on an instance is not told by AWS."""
ATTEMPTS = "NEXTSTRAIN_BATCH_ATTEMPTS"
"""How often Batch starts the job at most, where that is known."""
