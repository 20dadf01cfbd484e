"""Where a build's program runs: in place, or on AWS Batch."""
