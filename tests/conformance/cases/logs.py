"""CloudWatch Logs."""

import time

from ..place import GROUP, burst, refused
from . import case

AREA = "CloudWatch Logs"


def texts(answer):
    return [event["message"] for event in answer["events"]]


@case(AREA)
def live(aws):
    """A line can be read while the job runs, in the stream that DescribeJobs names."""
    job_id = aws.submit("sh", "-c", "echo early; sleep 60")
    job = aws.status(job_id, "RUNNING")
    stream = job["container"]["logStreamName"]
    aws.until(lambda: _texts_of(aws, stream) == ["early"])
    assert aws.job(job_id)["status"] == "RUNNING"
    aws.end(job_id)


def _texts_of(aws, stream):
    time.sleep(0.2)
    return texts(aws.get(stream, startFromHead=True))


@case(AREA)
def end_token(aws):
    """At the end of a stream the token that was given comes back; later events follow it."""
    stream = aws.stream()
    aws.put(stream, (-2, "one"))
    token = aws.get(stream, startFromHead=True)["nextForwardToken"]
    again = aws.get(stream, nextToken=token)
    assert (again["events"], again["nextForwardToken"]) == ([], token)
    aws.put(stream, (-1, "two"))
    assert texts(aws.get(stream, nextToken=token)) == ["two"]


@case(AREA)
def from_the_tail(aws):
    """Without startFromHead the last events come, and the backward token leads to those before."""
    stream = aws.stream()
    aws.put(stream, *((number - 10, str(number)) for number in range(4)))
    last = aws.get(stream, limit=2)
    assert texts(last) == ["2", "3"]
    assert texts(aws.get(stream, limit=2, nextToken=last["nextBackwardToken"])) == ["0", "1"]


@case(AREA)
def late_events(aws):
    """An event that arrives late takes its place, and none comes twice."""
    stream = aws.stream()
    aws.put(stream, (-2, "second"), (-1, "third"))
    token = aws.get(stream, startFromHead=True)["nextForwardToken"]
    aws.put(stream, (-3, "first"))
    assert texts(aws.get(stream, nextToken=token)) == []
    assert texts(aws.get(stream, startFromHead=True)) == ["first", "second", "third"]


@case(AREA)
def time_range(aws):
    """startTime is in the range, and endTime is not."""
    stream = aws.stream()
    start = int(time.time() * 1000) - 10_000
    events = [{"timestamp": start + n, "message": str(n)} for n in range(3)]
    aws.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    found = aws.get(stream, startTime=start, endTime=start + 2, startFromHead=True)
    assert texts(found) == ["0", "1"]


@case(AREA)
def page_size(aws):
    """A page has 10,000 events and a megabyte at most."""
    stream = aws.stream()
    for _ in range(3):
        aws.put(stream, *[(-1, "x" * 100_000)] * 10)
    assert 8 <= len(texts(aws.get(stream, startFromHead=True))) <= 10
    with refused("InvalidParameterException"):
        aws.get(stream, limit=10_001)


@case(AREA)
def missing_stream(aws):
    """A stream that does not exist is ResourceNotFoundException."""
    with refused("ResourceNotFoundException", says="log stream does not exist"):
        aws.get("no/such/stream")
    with refused("ResourceNotFoundException"):
        aws.logs.delete_log_stream(logGroupName=GROUP, logStreamName="no/such/stream")


@case(AREA)
def missing_group(aws):
    """A group that does not exist is ResourceNotFoundException."""
    with refused("ResourceNotFoundException", says="log group does not exist"):
        aws.logs.get_log_events(logGroupName="nobody", logStreamName="x")


@case(AREA)
def bad_token(aws):
    """A token that is none is refused."""
    with refused("InvalidParameterException"):
        aws.get(aws.stream(), nextToken="nonsense")


@case(AREA)
def token_expires(aws):
    """A token is good for 24 hours."""
    stream = aws.stream()
    token = aws.get(stream, startFromHead=True)["nextForwardToken"]
    aws.advance(24 * 3600 + 1)
    with refused("InvalidParameterException"):
        aws.get(stream, nextToken=token)


@case(AREA)
def get_quota(aws):
    """More than a quota of GetLogEvents calls a second are answered with ThrottlingException."""
    request = {"logGroupName": GROUP, "logStreamName": aws.stream()}
    logs = aws.client("logs", attempts=1)
    assert "ThrottlingException" in burst(lambda: logs.get_log_events(**request))


@case(AREA)
def filter_quota(aws):
    """More than a quota of FilterLogEvents calls a second are answered the same way."""
    request = {"logGroupName": GROUP, "logStreamNames": [aws.stream()]}
    logs = aws.client("logs", attempts=1)
    assert "ThrottlingException" in burst(lambda: logs.filter_log_events(**request))


@case(AREA)
def filtered(aws):
    """FilterLogEvents gives events of several streams in the order of time, with ids."""
    streams = [aws.stream(), aws.stream()]
    for number in range(4):
        aws.put(streams[number % 2], (number - 10, f"event {number}"))
    found = aws.logs.filter_log_events(logGroupName=GROUP, logStreamNames=streams)
    assert texts(found) == [f"event {number}" for number in range(4)]
    assert len({event["eventId"] for event in found["events"]}) == 4


@case(AREA)
def pattern(aws):
    """A filter pattern of words wants all of them, and none with a minus sign."""
    stream = aws.stream()
    aws.put(stream, (-3, "ERROR disk"), (-2, "ERROR net"), (-1, "fine"))
    found = aws.logs.filter_log_events(
        logGroupName=GROUP, logStreamNames=[stream], filterPattern="ERROR -disk"
    )
    assert texts(found) == ["ERROR net"]


@case(AREA)
def stream_prefix(aws):
    """Streams are described by the beginning of their names."""
    stream = aws.stream("prefixed")
    aws.stream("other")
    found = aws.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="prefixed/")
    assert [each["logStreamName"] for each in found["logStreams"]] == [stream]


@case(AREA)
def put_in_order(aws):
    """A batch of events that is not in the order of time is refused."""
    stream = aws.stream()
    with refused("InvalidParameterException", says="chronological"):
        aws.put(stream, (-1, "late"), (-2, "early"))


@case(AREA)
def put_too_old(aws):
    """Events of more than fourteen days ago are rejected in the answer, and not kept."""
    stream = aws.stream()
    old = [{"timestamp": int((time.time() - 15 * 86_400) * 1000), "message": "old"}]
    answer = aws.logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=old)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert texts(aws.get(stream, startFromHead=True)) == []


@case(AREA)
def retention_values(aws):
    """Only certain numbers of days can be a group's retention."""
    with refused("InvalidParameterException"):
        aws.logs.put_retention_policy(logGroupName=GROUP, retentionInDays=31)


@case(AREA)
def retention(aws):
    """Events are gone when the group's retention is over."""
    aws.logs.create_log_group(logGroupName="conformance/retention")
    request = {"logGroupName": "conformance/retention"}
    aws.logs.put_retention_policy(**request, retentionInDays=1)
    aws.logs.create_log_stream(**request, logStreamName="x")
    event = {"timestamp": int(time.time() * 1000), "message": "soon gone"}
    aws.logs.put_log_events(**request, logStreamName="x", logEvents=[event])
    aws.advance(2 * 86_400)
    found = aws.logs.get_log_events(**request, logStreamName="x", startFromHead=True)
    assert texts(found) == []
