"""The options that say which AWS is meant, for every command that speaks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from nextstrain_batch.arguments import Group
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import Settings


def add_sandbox(group: Group, *, implies: str = "") -> None:
    """Add ``--sandbox`` and ``--no-sandbox``; *implies* ends the help of the first."""
    group.add_argument(
        "--sandbox",
        action="store_true",
        default=None,
        help=f"On an embedded AWS on this computer instead of a real account{implies}.",
    )
    group.add_argument(
        "--no-sandbox",
        dest="sandbox",
        action="store_false",
        default=None,
        help="On the real account, whatever the environment and the configuration file say.",
    )


def add_bucket(group: Group) -> None:
    """Add ``--aws-batch-s3-bucket``."""
    group.add_argument(
        "--aws-batch-s3-bucket",
        metavar="<bucket>",
        help="Bucket to send files through: name, s3://name or s3://name/prefix/. No default.",
    )


def add_tag_jobs(group: Group) -> None:
    """Add ``--aws-batch-tag-jobs`` and its opposite."""
    group.add_argument(
        "--aws-batch-tag-jobs",
        action="store_true",
        default=None,
        help="Tag the job with whose it is and with its pathogen and run; takes a permission of its"
        " own. Accounts that keep people to their own jobs demand it.",
    )
    group.add_argument(
        "--no-aws-batch-tag-jobs",
        dest="aws_batch_tag_jobs",
        action="store_false",
        default=None,
        help="Do not, whatever the environment and the configuration file say.",
    )


def bucket_settings(arguments: Namespace, settings: Settings) -> BatchSettings:
    """Return what these options and the settings mean. Raises ``ConfigError``."""
    from nextstrain_batch import batch_settings

    given = batch_settings.Given(bucket=arguments.aws_batch_s3_bucket, sandbox=arguments.sandbox)
    return batch_settings.resolve(settings, given)
