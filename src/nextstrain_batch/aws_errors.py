"""What AWS or the connection to it got wrong, in words that lead out of it.

``explaining`` stands around every call to AWS. It turns botocore's exceptions into those of
``errors``: what could not be done, why, and what to do next. AWS's own sentence comes last, for
whoever administers the account.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nextstrain_batch.errors import (
    AccessDeniedError,
    AwsError,
    ConfigError,
    CredentialsError,
    MissingObjectError,
    StoreError,
    UnreachableError,
    UserError,
)
from nextstrain_batch.permissions import denied_action, who_grants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.exceptions import BotoCoreError, ClientError


class BusyError(AwsError):
    """AWS asked to slow down, or failed on its own side, after all retries. It passes."""


TRANSIENT = (UnreachableError, BusyError)
"""The errors that are likely to be gone when the same request is made again a little later."""

_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "TokenRefreshRequired",
}
_REJECTED = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_CLOCK = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_DENIED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AllAccessDisabled",
    "UnauthorizedOperation",
}
_ELSEWHERE = {
    "301",
    "307",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
}
_BUSY = {
    "500",
    "502",
    "503",
    "504",
    "BandwidthLimitExceeded",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "TransactionInProgressException",
}
_NOT_SIGNED_UP = {"NotSignedUp", "OptInRequired", "SubscriptionRequiredException"}


@contextmanager
def explaining(doing: str, region: str | None = None) -> Iterator[None]:
    """Translate what AWS, or the connection to it, gets wrong inside the ``with``.

    *doing* completes the sentence "Cannot …": ``submit the job``. Raises the classes that
    ``explained`` returns; lets any other exception pass as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        explanation = explained(error, doing, region)
        if explanation is None:
            raise
        raise explanation from error


def explained(error: Exception, doing: str, region: str | None = None) -> UserError | None:
    """Return the user's view of an exception of botocore, or None for any other exception.

    *doing* completes the sentence "Cannot …"; *region* is the one that was spoken to, if known.
    A request that botocore finds malformed is a bug of ours, hence None as well.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _answer(error, doing, region)
    if isinstance(error, BotoCoreError):
        return _no_answer(error, doing, region)
    return None


def error_code(error: Exception) -> str:
    """Return AWS's code for an error that it answered with, else an empty string."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return str(code)


def error_text(error: Exception) -> str:
    """Return AWS's own sentence about an error that it answered with, else the exception's."""
    response = getattr(error, "response", None)
    text = response.get("Error", {}).get("Message") if isinstance(response, dict) else None
    return str(text or error)


def paragraphs(*parts: str | None) -> str:
    """Join the parts of a message: what happened, the likely causes, the next step."""
    return "\n\n".join(part for part in parts if part)


def denied(doing: str, action: str | None, text: str) -> AccessDeniedError:
    """Return the error for a denied *action* (its IAM name), naming the policy that grants it."""
    return AccessDeniedError(
        paragraphs(
            f"Cannot {doing}: AWS denies it" + (f" ({action})." if action else "."),
            who_grants(action),
            _quoted(text),
        ),
        action,
    )


# --- AWS answered ------------------------------------------------------------------------------


def _answer(error: ClientError, doing: str, region: str | None) -> UserError:
    code, text = error_code(error), error_text(error)
    if code in _EXPIRED | _REJECTED | _CLOCK | _NOT_SIGNED_UP:
        return _credentials(code, text, doing, region)
    if code in _DENIED:
        return denied(doing, denied_action(error.operation_name, error_text(error)), text)
    if code in _ELSEWHERE:
        return _elsewhere(error, doing, region)
    if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
        return _no_bucket(error, doing)
    if code in {"404", "NoSuchKey"}:
        return MissingObjectError(f"Cannot {doing}: there is no such object in the bucket.")
    if code in _BUSY or _status(error) in {429, 500, 502, 503, 504}:
        return BusyError(
            paragraphs(
                f"Cannot {doing}: AWS is busy or asks to slow down ({code}).",
                "Wait a minute and try again. If it lasts, the quotas of the account may be used"
                " up by other programs; AWS's own state is shown at"
                " https://health.aws.amazon.com/health/status.",
                _quoted(text),
            )
        )
    return AwsError(paragraphs(f"Cannot {doing}: AWS answered {code}.", _quoted(text)))


def _credentials(code: str, text: str, doing: str, region: str | None) -> UserError:
    if code in _CLOCK or "Signature expired" in text or "Signature not yet current" in text:
        what = "this computer's clock differs from AWS's by more than AWS accepts."
        step = "Set the clock (let the system synchronise it), then try again."
    elif code in _EXPIRED:
        what = "your AWS credentials have expired."
        step = (
            "Get new ones the way you got these: `aws sso login`, `aws login`, your organisation's"
            " tool, or a new AWS_SESSION_TOKEN. Then try again."
        )
    elif code in _NOT_SIGNED_UP:
        where = f" {region}" if region else ""
        what = f"the AWS account is not signed up for this service or region{where}."
        step = "Choose another region (AWS_DEFAULT_REGION), or enable this one in the account."
    else:
        what = f"AWS does not accept your credentials ({code})."
        step = (
            "Likely causes: the access key was deleted or deactivated, the key and the secret do"
            " not belong together, or a session token is missing or belongs to other keys."
            " `aws sts get-caller-identity` shows whether AWS knows you, and"
            " `aws configure list` shows where the credentials come from."
        )
    return CredentialsError(paragraphs(f"Cannot {doing}: {what}", step, _quoted(text)))


def _elsewhere(error: ClientError, doing: str, region: str | None) -> StoreError:
    """Return the error for a bucket in another region, naming both where they are known."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    expecting = re.search(r"expecting '([a-z0-9-]+)'", error_text(error))
    there = headers.get("x-amz-bucket-region") or (expecting[1] if expecting else None)
    here = re.search(r"region '([a-z0-9-]+)' is wrong", error_text(error))
    used = region or (here[1] if here else None)
    found = f"the bucket is in the region {there}" if there else "the bucket is in another region"
    asked = f", not in {used} where it was looked for." if used else "."
    return StoreError(
        paragraphs(
            f"Cannot {doing}: {found}{asked}",
            "The bucket, the job queue and the job definition belong in one region. "
            + (f"Set AWS_REGION={there} if the queue is there too; else use" if there else "Use")
            + " another bucket (--aws-batch-s3-bucket).",
            _quoted(error_text(error)),
        )
    )


def _no_bucket(error: ClientError, doing: str) -> StoreError:
    name = error.response.get("Error", {}).get("BucketName")
    bucket = f"the bucket {name}" if name else "the bucket"
    return StoreError(
        paragraphs(
            f"Cannot {doing}: {bucket} does not exist.",
            "Check its spelling where you set it: the option --aws-batch-s3-bucket, the environment"
            " variable NEXTSTRAIN_AWS_BATCH_S3_BUCKET, or `s3-bucket` under [aws-batch] in"
            " ~/.nextstrain/config. If there is none yet, `nextstrain setup aws-batch` makes one.",
        )
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _quoted(text: str) -> str:
    return f"AWS said: {text}" if text else ""


# --- AWS did not answer ------------------------------------------------------------------------


def _no_answer(error: BotoCoreError, doing: str, region: str | None) -> UserError | None:
    from botocore import exceptions as boto

    if isinstance(error, boto.ParamValidationError):
        return _malformed(error, doing)
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        return _no_credentials(error, doing)
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)):
        return _unreachable(error, doing, region)
    if isinstance(error, boto.ProfileNotFound):
        return ConfigError(
            paragraphs(
                f"Cannot {doing}: {error}.",
                "AWS_PROFILE or AWS_DEFAULT_PROFILE names a profile that neither ~/.aws/config nor"
                " ~/.aws/credentials holds. `aws configure list-profiles` shows the ones there.",
            )
        )
    if type(error).__name__ in _SIGN_IN_ERRORS:
        return CredentialsError(
            paragraphs(
                f"Cannot {doing}: your AWS credentials cannot be obtained.",
                "If you use single sign-on, sign in again: `aws sso login` (or `aws login`)."
                " Otherwise look at the profile in ~/.aws/config that is in use;"
                " `aws configure list` shows which one that is.",
                f"The cause given: {error}",
            )
        )
    return AwsError(
        paragraphs(
            f"Cannot {doing}: {error}",
            "The AWS settings in ~/.aws/config or in environment variables that begin with AWS_"
            " may be at fault; `aws configure list` shows those in use.",
        )
    )


_SIGN_IN_ERRORS = {
    # By name: botocore releases differ in which of them they have.
    "CredentialRetrievalError",
    "InfiniteLoopConfigError",
    "LoginAuthorizationCodeError",
    "LoginError",
    "LoginInsufficientPermissions",
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "MetadataRetrievalError",
    "NoAuthTokenError",
    "RefreshWithMFAUnsupportedError",
    "SSOError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
    "UnknownCredentialError",
}


def _malformed(error: BotoCoreError, doing: str) -> ConfigError | None:
    if "Invalid bucket name" not in str(error):
        return None
    return ConfigError(
        paragraphs(
            f"Cannot {doing}: that is no possible name of a bucket.",
            "Give its name alone, s3://name, or s3://name/prefix.",
            f"The cause given: {error}",
        )
    )


def _no_credentials(error: BotoCoreError, doing: str) -> CredentialsError:
    from botocore.exceptions import PartialCredentialsError

    partial = isinstance(error, PartialCredentialsError)
    what = "the AWS credentials are incomplete." if partial else "there are no AWS credentials."
    return CredentialsError(
        paragraphs(
            f"Cannot {doing}: {what}",
            "Any of these provides them:\n"
            "  1. `aws configure` (or `aws sso login`), which keeps them in ~/.aws/\n"
            "  2. AWS_PROFILE=<name>, if you keep several profiles there\n"
            "  3. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
            f"The cause given: {error}" if partial else None,
            "To try it without an account, add --sandbox.",
        )
    )


def _unreachable(error: BotoCoreError, doing: str, region: str | None) -> UnreachableError:
    endpoint = str(error.kwargs.get("endpoint_url") or "") if hasattr(error, "kwargs") else ""
    return UnreachableError(
        paragraphs(
            f"Cannot {doing}: "
            + (f"{endpoint} cannot be reached." if endpoint else "the connection to AWS was lost."),
            "Likely causes: no network, a proxy or firewall in between, or a region"
            + (f" ({region})" if region else "")
            + " or endpoint address (AWS_DEFAULT_REGION, AWS_ENDPOINT_URL) that does not exist.",
            f"The cause given: {error}",
        )
    )
