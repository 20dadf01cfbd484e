"""The AWS account as data: what it should have, what it lacks, and making it so."""
