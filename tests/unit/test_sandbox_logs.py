"""The sandbox's log streams: order, pages, tokens, delays, quotas, and what a restart finds."""

import json
import resource

import pytest

from nextstrain_batch.sandbox.logs.calls import LogCalls, LogsError
from nextstrain_batch.sandbox.logs.store import Group, LogStore
from nextstrain_batch.sandbox.settings import Settings

GROUP = Group("us-east-1", "/aws/batch/job", 1000)
START = 1_700_000_000.0


class Logs:
    """The API, with a clock and groups of the test's."""

    def __init__(self, directory):
        self.directory = directory
        self.time = START
        self.settings = Settings(get_log_events_rate=1e6, filter_log_events_rate=1e6)
        self.groups = {("us-east-1", GROUP.name): (GROUP, None)}
        self.restart()

    def restart(self):
        self.store = LogStore(self.directory)
        find = lambda region, name: self.groups.get((region, name))  # noqa: E731
        self.calls = LogCalls(self.store, find, lambda: self.time, self.settings)

    def __call__(self, operation, **request):
        body = {"logGroupName": GROUP.name, **request}
        target = f"Logs_20140328.{operation}"
        assert self.calls.answers(target)
        return self.calls.answer(target, json.dumps(body).encode(), "us-east-1")

    def get(self, stream="s", **request):
        return self("GetLogEvents", logStreamName=stream, **request)

    def put(self, *messages, stream="s", at=None):
        self.store.find(GROUP, stream).append(
            [(self.ms if at is None else at, message) for message in messages], self.ms
        )

    @property
    def ms(self):
        return int(self.time * 1000)

    def tail(self, **request):
        """Follow a stream from its head to its end, as documented; return all that came."""
        found, token = [], None
        while True:
            given = {"nextToken": token} if token else {}
            answer = self.get(startFromHead=True, **given, **request)
            found += texts(answer)
            if answer["nextForwardToken"] == token:
                return found
            token = answer["nextForwardToken"]


def texts(answer):
    return [event["message"] for event in answer["events"]]


@pytest.fixture
def logs(tmp_path):
    made = Logs(tmp_path)
    made("CreateLogStream", logStreamName="s")
    return made


def test_a_stream_is_read_from_head_to_end(logs):
    """Every event comes once, in order, whatever the size of pages."""
    for number in range(25):
        logs.put(f"line {number}")
        logs.time += 1
    assert logs.tail(limit=7) == [f"line {number}" for number in range(25)]


def test_the_end_is_the_same_token_and_new_events_follow_it(logs):
    """At the end the token given comes back, and later leads to what has come since."""
    logs.put("one")
    first = logs.get(startFromHead=True)
    end = logs.get(nextToken=first["nextForwardToken"])
    assert (end["events"], end["nextForwardToken"]) == ([], first["nextForwardToken"])
    logs.put("two")
    assert texts(logs.get(nextToken=end["nextForwardToken"])) == ["two"]


def test_an_empty_stream_has_tokens(logs):
    """They lead to the first event once there is one."""
    token = logs.get(startFromHead=True)["nextForwardToken"]
    assert logs.get(nextToken=token)["nextForwardToken"] == token
    logs.put("one")
    assert texts(logs.get(nextToken=token)) == ["one"]


def test_without_start_from_head_the_last_events_come(logs):
    """And the backward token leads to those before them, until it comes back itself."""
    logs.put(*(str(number) for number in range(10)))
    last = logs.get(limit=4)
    assert texts(last) == ["6", "7", "8", "9"]
    before = logs.get(limit=4, nextToken=last["nextBackwardToken"])
    assert texts(before) == ["2", "3", "4", "5"]
    first = logs.get(limit=4, nextToken=before["nextBackwardToken"])
    assert texts(first) == ["0", "1"]
    end = logs.get(nextToken=first["nextBackwardToken"])
    assert (end["events"], end["nextBackwardToken"]) == ([], first["nextBackwardToken"])


def test_empty_pages_come_between(logs):
    """An empty page is not the end: its token is another one, and events follow."""
    logs.settings.log_empty_pages = 2
    logs.put("one")
    pages, token = [], {}
    for _ in range(3):
        answer = logs.get(startFromHead=True, **token)
        pages.append(texts(answer))
        assert answer["nextForwardToken"] != token.get("nextToken")
        token = {"nextToken": answer["nextForwardToken"]}
    assert pages == [[], [], ["one"]]
    assert logs.tail() == ["one"]


def test_a_token_is_good_for_a_day(logs):
    """By the sandbox's clock."""
    token = logs.get()["nextForwardToken"]
    logs.time += 24 * 3600
    assert logs.get(nextToken=token)["nextForwardToken"] == token
    logs.time += 2
    with pytest.raises(LogsError, match="nextToken") as caught:
        logs.get(nextToken=token)
    assert caught.value.code == "InvalidParameterException"


@pytest.mark.parametrize("token", ["", "f/12/s", "nonsense", f"f/{'1' * 56}/s"])
def test_tokens_of_ones_own_making_are_refused(logs, token):
    """An empty one is none."""
    if not token:
        assert logs.get(nextToken=token)["events"] == []
        return
    with pytest.raises(LogsError, match="nextToken"):
        logs.get(nextToken=token)


def test_a_token_of_another_stream_is_refused(logs):
    """A token is for the stream that it was given for."""
    logs("CreateLogStream", logStreamName="other")
    token = logs.get("other")["nextForwardToken"]
    with pytest.raises(LogsError, match="nextToken"):
        logs.get(nextToken=token)


def test_late_events_take_their_place(logs):
    """Events are in the order of their timestamps, not of their arrival."""
    logs.put("second", at=logs.ms - 1000)
    logs.put("first", at=logs.ms - 2000)
    logs.put("third", at=logs.ms - 1000)
    assert logs.tail(limit=1) == ["first", "second", "third"]


def test_a_page_has_a_megabyte_at_most(logs):
    """Of messages and what AWS counts for each event; one big event fits all the same."""
    logs.put(*["x" * 300_000] * 4, "y" * 2_000_000)
    assert [len(texts(logs.get(startFromHead=True)))] == [3]
    assert len(logs.tail()) == 5


def test_a_page_has_ten_thousand_events_at_most(logs):
    """More come with the next token."""
    logs.put(*["x"] * 10_001)
    assert len(texts(logs.get(startFromHead=True))) == 10_000
    assert len(logs.tail()) == 10_001


def test_a_time_range_has_its_start_and_not_its_end(logs):
    """As documented for startTime and endTime."""
    for number in range(5):
        logs.put(str(number), at=number * 1000)
    answer = logs.get(startTime=1000, endTime=3000, startFromHead=True)
    assert texts(answer) == ["1", "2"]


def test_events_take_the_set_time_to_arrive(logs):
    """Nothing can be read before the delay, and nothing is missed after it."""
    logs.settings.log_delay = 5
    logs.put("one")
    token = logs.get(startFromHead=True)["nextForwardToken"]
    logs.time += 4
    assert texts(logs.get(nextToken=token)) == []
    logs.time += 1
    assert texts(logs.get(nextToken=token)) == ["one"]


def test_calls_beyond_the_quota_are_throttled(logs):
    """Ten a second of the whole account, whoever asks."""
    logs.settings.get_log_events_rate = 10
    for _ in range(10):
        logs.get()
    with pytest.raises(LogsError, match="Rate exceeded") as caught:
        logs.get()
    assert caught.value.code == "ThrottlingException"
    logs.time += 0.11
    logs.get()


def test_everything_survives_a_restart(logs):
    """Streams, events and tokens; a record that was cut short is dropped."""
    logs.put("one", "two")
    token = logs.get(startFromHead=True, limit=1)["nextForwardToken"]
    (path,) = [path for path in logs.directory.rglob("*") if path.is_file()]
    with path.open("ab") as file:
        file.write(b"\0\0\0")
    logs.restart()
    assert texts(logs.get(nextToken=token)) == ["two"]
    logs.put("three")
    logs.restart()
    assert logs.tail() == ["one", "two", "three"]


def test_what_is_not_there_is_not_found(logs):
    """A missing stream and a missing group are errors, not empty answers."""
    for request in ({"logStreamName": "no"}, {"logStreamName": "s", "logGroupName": "no"}):
        with pytest.raises(LogsError, match="does not exist") as caught:
            logs("GetLogEvents", **request)
        assert caught.value.code == "ResourceNotFoundException"


def test_a_deleted_stream_is_gone(logs):
    """Its file, too; deleting it again finds nothing."""
    logs("DeleteLogStream", logStreamName="s")
    assert [path for path in logs.directory.rglob("*") if path.is_file()] == []
    with pytest.raises(LogsError, match="does not exist"):
        logs("DeleteLogStream", logStreamName="s")


def test_a_group_made_again_has_no_streams(logs):
    """Those of the group that was deleted are gone with it."""
    logs.put("old")
    later = Group(GROUP.region, GROUP.name, 2000)
    logs.groups["us-east-1", GROUP.name] = (later, None)
    assert logs("DescribeLogStreams")["logStreams"] == []


def test_events_expire_with_the_groups_retention(logs):
    """By the sandbox's clock; the stream stays."""
    logs.groups["us-east-1", GROUP.name] = (GROUP, 1)
    logs.put("old")
    logs.time += 23 * 3600
    assert logs.tail() == ["old"]
    logs.time += 2 * 3600
    assert logs.tail() == []


def test_streams_are_described_by_name_prefix_and_page(logs):
    """With the times of their events."""
    for name in ("b/1", "b/2", "a/1"):
        logs("CreateLogStream", logStreamName=name)
    logs.put("x", stream="b/1")
    first = logs("DescribeLogStreams", logStreamNamePrefix="b/", limit=1)
    second = logs("DescribeLogStreams", logStreamNamePrefix="b/", nextToken=first["nextToken"])
    names = [each["logStreamName"] for each in first["logStreams"] + second["logStreams"]]
    assert names == ["b/1", "b/2"]
    assert first["logStreams"][0]["lastEventTimestamp"] == logs.ms
    latest = logs("DescribeLogStreams", orderBy="LastEventTime", descending=True)
    assert latest["logStreams"][0]["logStreamName"] == "b/1"


def test_streams_are_filtered_together(logs):
    """Events of several streams come in the order of time, page by page, with stable ids."""
    logs("CreateLogStream", logStreamName="t")
    for number in range(6):
        logs.put(f"event {number}", stream="st"[number % 2])
        logs.time += 1
    found, ids, token = [], [], {}
    while token is not None:
        answer = logs("FilterLogEvents", limit=4, **token)
        found += texts(answer)
        ids += [event["eventId"] for event in answer["events"]]
        token = {"nextToken": answer["nextToken"]} if "nextToken" in answer else None
    assert found == [f"event {number}" for number in range(6)]
    assert len(set(ids)) == 6
    one = logs("FilterLogEvents", logStreamNames=["t"])
    assert [event["eventId"] for event in one["events"]] == ids[1::2]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("ERROR", ["ERROR disk full", "ERROR no net"]),
        ("ERROR disk", ["ERROR disk full"]),
        ('"no net"', ["ERROR no net"]),
        ("ERROR -disk", ["ERROR no net"]),
        ("?full ?fine", ["ERROR disk full", "all fine"]),
    ],
)
def test_patterns_choose_events(logs, pattern, wanted):
    """Words, phrases, alternatives and exclusions."""
    logs.put("ERROR disk full", "ERROR no net", "all fine")
    assert texts(logs("FilterLogEvents", filterPattern=pattern)) == wanted


def test_put_events_are_kept_or_rejected(logs):
    """Too old and too new ones are named in the answer; a batch out of order is refused."""
    now = logs.ms
    day = 86_400_000
    events = [now, now + 3 * 3_600_000]
    answer = logs(
        "PutLogEvents",
        logStreamName="s",
        logEvents=[{"timestamp": at, "message": str(at)} for at in events],
    )
    assert answer["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    old = [{"timestamp": now - 15 * day, "message": "old"}]
    answer = logs("PutLogEvents", logStreamName="s", logEvents=old)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert logs.tail() == [str(now)]
    disordered = [{"timestamp": at, "message": "x"} for at in (now, now - 1)]
    with pytest.raises(LogsError, match="chronological"):
        logs("PutLogEvents", logStreamName="s", logEvents=disordered)


@pytest.mark.parametrize("name", ["", "a:b", "a*b", "x" * 513])
def test_names_that_aws_refuses_are_refused(logs, name):
    """A stream's name has neither colon nor asterisk and 512 characters at most."""
    with pytest.raises(LogsError, match="logStreamName"):
        logs("CreateLogStream", logStreamName=name)


@pytest.fixture
def full_disk():
    """Return what lets files of this process grow no further than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield fill
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_events_that_do_not_fit_on_the_disk_cost_no_others(logs, full_disk):
    """What follows them is read as it was written, also after a restart."""
    logs.put("before")
    full_disk(300)
    with pytest.raises(OSError, match="too large"):
        logs.put("lost " * 200)
    full_disk(1_000_000)
    logs.put("after", "and more")
    assert texts(logs.get(startFromHead=True)) == ["before", "after", "and more"]
    logs.restart()
    assert texts(logs.get(startFromHead=True)) == ["before", "after", "and more"]
