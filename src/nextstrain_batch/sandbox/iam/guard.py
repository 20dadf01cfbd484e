"""The evaluation as WSGI middleware: a request is passed on, or refused in its service's form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from nextstrain_batch.sandbox.services import ACCOUNT, PUBLIC

from . import answers, s3_calls, simulation
from .accounts import NOBODY
from .calls import OWN_NAME, Need, tag_values
from .calls import body as body_of
from .evaluation import Request, decide
from .identify import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from .accounts import Accounts, Caller
    from .answers import Refusal
    from .calls import Call
    from .evaluation import Decision
    from .patterns import Values

OPEN = "/_sandbox/"
"""The sandbox's own addresses, which have tokens of their own."""
INSECURE = "HTTP_X_SANDBOX_INSECURE"
"""With this header, ``X-Sandbox-Insecure``, a request counts as made without TLS."""
CALL, CALLER, REFUSED = "nextstrain.call", "nextstrain.caller", "nextstrain.refused"
"""Where a request's environment has what is known of it: the ``Call``, which is what is judged and
what is answered, and the caller's ARN, if somebody has found them out before; and the ``Refused``
of one that was not passed on."""

_BUCKET = re.compile(r"arn:aws:s3:::([^/]*)")
_READS_OBJECTS = frozenset({"GetObject", "HeadObject"})
_NOT_FOUND = "404"


@dataclass(frozen=True, slots=True)
class Refused:
    """What a request was refused for."""

    code: str
    """The service's: ``AccessDenied``."""
    need: Need | None = None
    """What was not allowed; None when the credentials are no good."""


class Guard:
    """Passes on what the policies allow."""

    def __init__(
        self,
        application: WSGIApplication,
        accounts: Accounts,
        tags: Callable[[str], Mapping[str, str]] = lambda _: {},
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Make it. *tags* returns those of something of AWS Batch's, by its ARN."""
        self._application = application
        self._accounts = accounts
        self._tags = tags
        self._now = now

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Judge a request."""
        if str(environ.get("PATH_INFO", "")).startswith(OPEN):
            return self._application(environ, start)
        call: Call = environ.get(CALL) or identify(environ, ACCOUNT)
        environ[CALL] = call
        if call.service not in PUBLIC:
            return self._application(environ, start)
        caller = self._accounts.caller(call.signed.access_key)
        kind = self._reject(call, caller)
        if kind is not None or caller is None:
            refusal = answers.rejected(call.service, kind or answers.UNKNOWN_KEY)
            return _refuse(refusal, environ, start)
        judge = _Judge(call, caller, self._accounts, self._tags, self._values(environ, call))
        if not judge.concerns_something():
            return self._application(environ, start)
        if call.operation == "DeleteObjects" and not call.needs:
            return _refuse(answers.malformed(), environ, start)
        if call.operation == "DeleteObjects":
            return _delete_objects(self._application, environ, start, judge)
        for need in call.needs:
            if (denial := judge.refusal(need)) is not None:
                return _refuse(denial, environ, start, need)
        if caller is NOBODY:
            # moto would judge an unsigned request by itself.
            environ["HTTP_AUTHORIZATION"] = "Nobody"
        return self._pass_on(judge, environ, start)

    def _pass_on(
        self, judge: _Judge, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        """Have a request answered that is allowed."""
        if (judge.call.service, judge.call.operation) == ("iam", simulation.OPERATION):
            return simulation.answer(body_of(environ), self._accounts.policies_of, start)
        if judge.call.operation in _READS_OBJECTS:
            return _read_object(self._application, environ, start, judge)
        return self._application(environ, start)

    def _reject(self, call: Call, caller: Caller | None) -> str | None:
        """Return what is wrong with the credentials themselves, or None."""
        if caller is None or (caller is NOBODY and call.service != "s3"):
            return answers.UNKNOWN_KEY
        if caller.expires is not None and caller.expires <= self._now():
            return answers.EXPIRED
        return None

    def _values(self, environ: WSGIEnvironment, call: Call) -> dict[str, tuple[str, ...]]:
        now = self._now()
        return {
            "aws:securetransport": (_is_secure(environ),),
            "aws:sourceip": (environ.get("REMOTE_ADDR") or "127.0.0.1",),
            "aws:useragent": (environ.get("HTTP_USER_AGENT", ""),),
            "aws:requestedregion": (call.signed.region,),
            "aws:currenttime": (now.isoformat(),),
            "aws:epochtime": (str(int(now.timestamp())),),
        }


def _is_secure(environ: WSGIEnvironment) -> str:
    """Return what ``aws:SecureTransport`` is: true, unless the request says that it is not.

    Nobody can listen in on loopback, and a certificate for this computer would have to be made
    and trusted first. If its plain HTTP counted as insecure, the policy of TLS alone, which every
    account's bucket has, would deny everything.
    """
    return "false" if environ.get(INSECURE) else "true"


class _Judge:
    """One request, and what bears on it."""

    def __init__(
        self,
        call: Call,
        caller: Caller,
        accounts: Accounts,
        tags: Callable[[str], Mapping[str, str]],
        values: Values,
    ) -> None:
        self.call = call
        self._caller = caller
        self._accounts = accounts
        self._tags = tags
        self._values = {**values, **caller.values}
        found = _BUCKET.match(call.needs[0].resource) if call.needs else None
        self.bucket = found[1] if found and call.service == "s3" else ""

    def concerns_something(self) -> bool:
        """Tell whether there is anything to protect: names of buckets that are free are not.

        Who has no key is not told which are, nor let through where a path could be read in
        another way.
        """
        return (
            self._caller is NOBODY
            or not self.bucket
            or self.bucket == "*"
            or self.call.operation == "CreateBucket"
            or self._accounts.bucket_exists(self.bucket)
        )

    def refusal(self, need: Need) -> Refusal | None:
        """Return why one of the request's needs is refused, or None."""
        own = self._values.get("aws:username", ("*",))[0]
        resource = need.resource.replace(OWN_NAME, own)
        decision = self._decision(need, resource)
        if decision.allowed:
            return None
        arn = self._caller.principal.arn
        return answers.denied(self.call.service, arn, need.action, resource, decision.reason)

    def _decision(self, need: Need, resource: str) -> Decision:
        principal = self._caller.principal
        values = {**self._values, **need.values} if need.values else self._values
        if need.action.startswith("batch:"):
            values = values | tag_values("aws:resourcetag", self._tags(resource))
        request = Request(principal, need.action, resource, values)
        bucket = _BUCKET.match(resource)
        if bucket:
            policy = self._accounts.bucket_policy(bucket[1])
            return decide(request, self._caller.policies, policy)
        if need.action == "sts:AssumeRole":
            trust = self._accounts.trust_policy(resource)
            return decide(request, self._caller.policies, trust, trust=True)
        return decide(request, self._caller.policies)


def _refuse(
    refusal: Refusal, environ: WSGIEnvironment, start: StartResponse, need: Need | None = None
) -> Iterable[bytes]:
    environ[REFUSED] = Refused(refusal.code, need)
    return refusal.answer(start, environ["REQUEST_METHOD"])


def _read_object(
    application: WSGIApplication, environ: WSGIEnvironment, start: StartResponse, judge: _Judge
) -> Iterable[bytes]:
    """Read an object. Who may not list the bucket is not told that an object is missing."""
    begun = _Response()
    body = application(environ, begun.start)
    if begun.status.startswith(_NOT_FOUND):
        listing = Need("s3:ListBucket", f"arn:aws:s3:::{judge.bucket}")
        refusal = judge.refusal(listing)
        if refusal is not None:
            for _ in body:
                pass
            return _refuse(refusal, environ, start, listing)
    start(begun.status, begun.headers)
    return body


def _delete_objects(
    application: WSGIApplication, environ: WSGIEnvironment, start: StartResponse, judge: _Judge
) -> Iterable[bytes]:
    """Delete what may be deleted; S3 answers for each object by itself."""
    refusals = [(need, judge.refusal(need)) for need in judge.call.needs]
    refused = {need.resource.partition("/")[2]: found for need, found in refusals if found}
    if not refused:
        return application(environ, start)
    deleted = b""
    if len(refused) < len(judge.call.needs):
        s3_calls.keep_keys(environ, lambda key: key not in refused)
        begun = _Response()
        deleted = b"".join(application(environ, begun.start))
        deleted = deleted.partition(b"<DeleteResult")[2].partition(b">")[2]
        deleted = deleted.rpartition(b"</DeleteResult>")[0]
    errors = "".join(
        f"<Error><Key>{escape(key)}</Key><Code>{refusal.code}</Code>"
        f"<Message>{escape(refusal.message)}</Message></Error>"
        for key, refusal in refused.items()
    )
    body = b"<DeleteResult>" + deleted + errors.encode() + b"</DeleteResult>"
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start("200 OK", headers)
    return [body]


class _Response:
    """What an application began to answer."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None, /
    ) -> Callable[[bytes], object]:
        del exc_info
        self.status, self.headers = status, headers
        return lambda _: None
