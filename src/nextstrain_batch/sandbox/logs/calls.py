"""The API of log streams. Groups are asked for, and stay somebody else's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from ..quota import Quota
from . import pages, tokens
from .patterns import UnsupportedPatternError, matcher
from .putting import accepted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings import Settings
    from .store import Event, Group, LogStore, Stream

MAX_STREAMS = 50
"""DescribeLogStreams' longest page."""
MAX_NAMED = 100
"""The most streams that FilterLogEvents takes by name."""

TARGET = "Logs_20140328."

FORWARD, BACKWARD = "nextForwardToken", "nextBackwardToken"
NO_GROUP = "The specified log group does not exist."
NO_STREAM = "The specified log stream does not exist."


class LogsError(Exception):
    """What CloudWatch Logs answers with an error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LogCalls:
    """Answers requests by the operation's name.

    *groups* finds a group, with the days that it keeps events for, by region and name; *clock*
    is seconds since 1970.
    """

    def __init__(
        self,
        store: LogStore,
        groups: Callable[[str, str], tuple[Group, int | None] | None],
        clock: Callable[[], float],
        settings: Settings,
    ) -> None:
        self._store = store
        self._groups = groups
        self._clock = clock
        self._settings = settings
        self._quotas = {
            "GetLogEvents": Quota(lambda: settings.get_log_events_rate, clock),
            "FilterLogEvents": Quota(lambda: settings.filter_log_events_rate, clock),
        }
        self._calls: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "CreateLogStream": self._create,
            "DeleteLogStream": self._delete,
            "DescribeLogStreams": self._describe,
            "PutLogEvents": self._put,
            "GetLogEvents": self._get,
            "FilterLogEvents": self._filter,
        }

    def answers(self, target: str) -> bool:
        """Tell whether a request with this ``X-Amz-Target`` is one of ours."""
        return target.removeprefix(TARGET) in self._calls

    def answer(self, target: str, body: bytes, region: str) -> dict[str, Any]:
        """Return the answer to a request that ``answers`` says is ours. Raises ``LogsError``."""
        operation = target.removeprefix(TARGET)
        quota = self._quotas.get(operation)
        if quota is not None and not quota.allows(region):
            raise LogsError("ThrottlingException", "Rate exceeded")
        try:
            return self._calls[operation](json.loads(body or b"{}"), region)
        except tokens.InvalidTokenError:
            _refuse("The specified nextToken is invalid.")

    def _create(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        name = str(request.get("logStreamName", ""))
        if not re.fullmatch(r"[^:*]{1,512}", name):
            _refuse(
                f"1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy "
                "constraint: Member must satisfy regular expression pattern: [^:*]*"
            )
        if self._store.create(self._group(request, region)[0], name, self._now()) is None:
            raise LogsError(
                "ResourceAlreadyExistsException", "The specified log stream already exists"
            )
        return {}

    def _delete(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        group, _ = self._group(request, region)
        if not self._store.delete(group, str(request.get("logStreamName"))):
            raise LogsError("ResourceNotFoundException", NO_STREAM)
        return {}

    def _describe(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        group, days = self._group(request, region)
        prefix = str(request.get("logStreamNamePrefix") or "")
        by_time = request.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            _refuse("Cannot order by LastEventTime with a logStreamNamePrefix.")
        limit = _limit(request, MAX_STREAMS)
        window = self._window({}, days)
        found = [
            _description(each, window)
            for each in self._store.streams(group)
            if each.name.startswith(prefix)
        ]
        found.sort(
            key=lambda each: (
                each.get("lastEventTimestamp", 0) if by_time else each["logStreamName"]
            ),
            reverse=bool(request.get("descending")),
        )
        start = self._text_token(request).get("start", 0)
        answer: dict[str, Any] = {"logStreams": found[start : start + limit]}
        if start + limit < len(found):
            answer["nextToken"] = tokens.encode_text({"start": start + limit}, self._clock())
        return answer

    def _put(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        stream, days = self._stream(request, region)
        now = self._now()
        try:
            events, rejected = accepted(request.get("logEvents") or [], now, days)
        except ValueError as error:
            _refuse(str(error))
        stream.append(events, now)
        answer: dict[str, Any] = {"nextSequenceToken": f"{now:056d}"}
        return answer | ({"rejectedLogEventsInfo": rejected} if rejected else {})

    def _get(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        stream, days = self._stream(request, region)
        limit = _limit(request, pages.MAX_EVENTS)
        window = self._window(request, days)
        now = self._clock()
        token = request.get("nextToken")
        if token:
            position = tokens.decode(token, stream.name, now)
        else:
            position = tokens.Position(pages.START, bool(request.get("startFromHead")))
        key = position.key
        if position.forward:
            page = pages.forward(stream, window, key, limit)
        else:
            page = pages.backward(stream, window, key if token else None, limit)
        own = None if page.events else token
        if page.events and position.forward and position.empty < self._settings.log_empty_pages:
            page = pages.Page([], key, key)
            own = tokens.encode(replace(position, empty=position.empty + 1), stream.name, now)
        answer = {
            "events": [_shown(event) for event in page.events],
            FORWARD: tokens.encode(tokens.Position(page.after, True), stream.name, now),
            BACKWARD: tokens.encode(tokens.Position(page.before, False), stream.name, now),
        }
        if own:  # at the end, the token that was given comes back
            answer[FORWARD if position.forward else BACKWARD] = own
        return answer

    def _filter(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        group, days = self._group(request, region)
        try:
            wanted = matcher(str(request.get("filterPattern") or ""))
        except UnsupportedPatternError as error:
            _refuse(f"The sandbox knows no filter patterns but those of words: {error}")
        passed = self._text_token(request).get("after")
        found, after = pages.merged(
            self._named(group, request),
            self._window(request, days),
            None if passed is None else (passed[0], passed[1], passed[2]),
            _limit(request, pages.MAX_EVENTS),
            wanted,
        )
        events = [
            {"logStreamName": stream.name, **_shown(event), "eventId": _event_id(stream, event)}
            for stream, event in found
        ]
        answer: dict[str, Any] = {"events": events, "searchedLogStreams": []}
        if after is not None:
            answer["nextToken"] = tokens.encode_text({"after": after}, self._clock())
        return answer

    def _named(self, group: Group, request: dict[str, Any]) -> list[Stream]:
        names = request.get("logStreamNames")
        prefix = str(request.get("logStreamNamePrefix") or "")
        if names and prefix:
            _refuse("You cannot specify both logStreamNamePrefix and logStreamNames.")
        if names is None:
            return [e for e in self._store.streams(group) if e.name.startswith(prefix)]
        if not 1 <= len(names) <= MAX_NAMED:
            _refuse("logStreamNames has between 1 and 100 names.")
        streams = [self._store.find(group, str(name)) for name in names]
        if None in streams:
            raise LogsError("ResourceNotFoundException", NO_STREAM)
        return [each for each in streams if each is not None]

    def _group(self, request: dict[str, Any], region: str) -> tuple[Group, int | None]:
        identifier = str(request.get("logGroupName") or request.get("logGroupIdentifier") or "")
        name = identifier.rsplit(":log-group:", maxsplit=1)[-1].removesuffix(":*")
        found = self._groups(region, name)
        if found is None:
            raise LogsError("ResourceNotFoundException", NO_GROUP)
        return found

    def _stream(self, request: dict[str, Any], region: str) -> tuple[Stream, int | None]:
        group, days = self._group(request, region)
        found = self._store.find(group, str(request.get("logStreamName")))
        if found is None:
            raise LogsError("ResourceNotFoundException", NO_STREAM)
        return found, days

    def _window(self, request: dict[str, Any], days: int | None) -> pages.Window:
        now = self._now()
        start = request.get("startTime")
        if days is not None:
            start = max(start or 0, now - days * 86_400_000)
        return pages.Window(
            start, request.get("endTime"), now - int(self._settings.log_delay * 1000)
        )

    def _text_token(self, request: dict[str, Any]) -> dict[str, Any]:
        token = request.get("nextToken")
        return tokens.decode_text(token, self._clock()) if token else {}

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _refuse(message: str) -> NoReturn:
    raise LogsError("InvalidParameterException", message)


def _limit(request: dict[str, Any], most: int) -> int:
    limit = request.get("limit")
    if limit is None:
        return most
    if not 1 <= int(limit) <= most:
        _refuse(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy "
            f"constraint: Member must have value less than or equal to {most}"
        )
    return int(limit)


def _shown(event: Event) -> dict[str, Any]:
    return {
        "timestamp": event.timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
    }


def _event_id(stream: Stream, event: Event) -> str:
    text = f"{event.timestamp:014d}{event.sequence:010d}"
    return f"3{text}{int.from_bytes(stream.name.encode()) % 10**31:031d}"


def _description(stream: Stream, window: pages.Window) -> dict[str, Any]:
    group = stream.group
    arn = f"arn:aws:logs:{group.region}:123456789012:log-group:{group.name}"
    described: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": f"{arn}:log-stream:{stream.name}",
        "storedBytes": 0,
        "uploadSequenceToken": f"{stream.created:056d}",
    }
    first, last = stream.between(window.start, None)
    if first < last:
        described |= {
            "firstEventTimestamp": stream.time(first),
            "lastEventTimestamp": stream.time(last - 1),
            "lastIngestionTime": stream.last_ingested,
        }
    return described
