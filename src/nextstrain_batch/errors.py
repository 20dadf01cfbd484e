"""The errors that a user can mend, and the exit code of each.

An error of this module reaches the user as its message alone, without a traceback; anything else
that escapes is a bug and shows one. A message says what happened, the likely causes and the next
step, in that order, separated by blank lines.
"""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend. Ends the command with exit code 1."""

    exit_code = 1


class UsageError(UserError):
    """The command line does not make sense. Ends the command with exit code 2."""

    exit_code = 2


class ConfigError(UserError):
    """A setting is malformed or missing; the message names where it was set."""


class PathogenError(UserError):
    """The build directory, or a file in it, cannot be sent."""


class StoreError(UserError):
    """The bucket cannot be read or written; also the base of what its content can get wrong."""


class MissingObjectError(StoreError):
    """An object that should be in the bucket is not."""


class CorruptError(StoreError):
    """Stored bytes are not what their name, digest or format promises."""


class LocalFilesError(UserError):
    """Files on this computer cannot be written: a full disk, permissions, an impossible name."""


class AwsError(UserError):
    """AWS answered with an error, or not at all."""


class CredentialsError(AwsError):
    """There are no credentials, or AWS does not accept them."""


class AccessDeniedError(AwsError):
    """AWS knows the caller and denies the action. ``action`` is its IAM name, if it is known."""

    def __init__(self, message: str, action: str | None = None) -> None:
        super().__init__(message)
        self.action = action


class UnreachableError(AwsError):
    """The endpoint cannot be reached, or the connection was lost."""


class JobError(UserError):
    """A Batch job, its definition or its queue is not as needed."""


class SandboxError(UserError):
    """The embedded AWS cannot be started, reached or stopped."""
