"""The AWS Batch runtime: the steps of a build that does not run on this computer.

``commands/build.py`` takes them in order. Each one leaves something that a later command can start
from: packs and a manifest in the bucket, a run record, a job, an output manifest.

``context`` what all steps work with → ``gathering`` what travels, and sending it → ``launching``
the run's record and its job → ``following`` that job, and bringing its results back
"""
