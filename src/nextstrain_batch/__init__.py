"""Run Nextstrain pathogen builds on AWS Batch as if they ran on your own computer."""

__version__ = "0.1.0.dev0"
