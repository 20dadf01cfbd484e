"""AWS Batch and CloudWatch Logs as small scripted fakes, with a clock that only waiting moves."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from botocore.exceptions import ClientError

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
STREAM = "nextstrain-job/default/1"


class Clock:
    """Seconds that pass by waiting alone; also the time of day."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def wait(self, seconds):
        assert 0 <= seconds < 1e6, "nothing to wait for"
        # Something always takes a little time, so that no loop stands still.
        self.seconds += max(seconds, 0.001)

    def now(self):
        return START + timedelta(seconds=self.seconds)

    def milliseconds(self, seconds=None):
        at = self.seconds if seconds is None else seconds
        return round((START + timedelta(seconds=at)).timestamp() * 1000)


def client_error(code, message="", operation="DescribeJobs", status=400, **extra):
    """Return the exception that botocore raises for an error that AWS answers with."""
    headers = extra.pop("headers", {})
    return ClientError(
        {
            "Error": {"Code": code, "Message": message, **extra},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        },
        operation,
    )


def job_detail(status="RUNNING", **changes):
    """Return a job as DescribeJobs has it."""
    container = {
        "image": "nextstrain/base:latest",
        "environment": [
            {"name": "NEXTSTRAIN_BATCH_RUN", "value": "s3://jobs/runs/zika-1"},
        ],
        "resourceRequirements": [
            {"type": "VCPU", "value": "4"},
            {"type": "MEMORY", "value": "7200"},
        ],
        **changes.pop("container", {}),
    }
    return {
        "jobId": "job-1",
        "jobName": "zika-1",
        "status": status,
        "jobQueue": "arn:aws:batch:us-east-1:1:job-queue/nextstrain-job-queue",
        "jobDefinition": "arn:aws:batch:us-east-1:1:job-definition/nextstrain-job:1",
        "attempts": [],
        "container": container,
        **changes,
    }


def attempt_detail(stream=STREAM, exit_code=0, stopped=None, **changes):
    """Return an attempt as DescribeJobs has it."""
    return {
        "container": {"logStreamName": stream, "exitCode": exit_code},
        "stoppedAt": stopped or round(START.timestamp() * 1000),
        **changes,
    }


@dataclass
class FakeBatch:
    """Answers each operation with what was scripted for it.

    *states* is a list of (seconds, DescribeJobs answer): the last one whose time has come counts.
    *troubles* is a list of (from, until, exception) for DescribeJobs. *answers* maps another
    operation to a list of answers, given in turn; the last one stays. An exception is raised.
    """

    clock: Clock = field(default_factory=Clock)
    states: list = field(default_factory=list)
    troubles: list = field(default_factory=list)
    answers: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    meta: object = field(default_factory=lambda: SimpleNamespace(region_name="us-east-1"))

    def describe_jobs(self, *, jobs):
        self.calls.append(("describe_jobs", {"jobs": jobs}, self.clock()))
        for start, end, error in self.troubles:
            if start <= self.clock() < end:
                raise error
        come = [answer for when, answer in self.states if when <= self.clock()]
        return {"jobs": [come[-1]] if come and come[-1]["jobId"] in jobs else []}

    def times(self, operation):
        return [when for name, _, when in self.calls if name == operation]

    def requests(self, operation):
        return [parameters for name, parameters, _ in self.calls if name == operation]

    def _answer(self, operation, parameters):
        self.calls.append((operation, parameters, self.clock()))
        answers = self.answers[operation]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __getattr__(self, operation):
        if operation.startswith("_"):
            raise AttributeError(operation)
        return lambda **parameters: self._answer(operation, parameters)


@dataclass
class FakeLogs:
    """Streams whose events can be read some time after they were printed.

    *streams* maps a stream to a list of (printed, readable, message), in order; times in seconds.
    *page* is how many events an answer holds at most. With *hollow*, every other answer that
    could hold events is empty, with a new token, as CloudWatch does at times.
    """

    clock: Clock
    streams: dict = field(default_factory=dict)
    page: int = 10_000
    hollow: bool = False
    troubles: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    outdated: set = field(default_factory=set)
    meta: object = field(default_factory=lambda: SimpleNamespace(region_name="us-east-1"))

    def get_log_events(self, **parameters):
        self.calls.append((parameters, self.clock()))
        for start, end, error in self.troubles:
            if start <= self.clock() < end:
                raise error
        stream = parameters["logStreamName"]
        events = self._readable(stream)
        if events is None:
            raise client_error("ResourceNotFoundException", operation="GetLogEvents")
        token = parameters.get("nextToken")
        if token in self.outdated:
            self.outdated.remove(token)
            raise client_error("InvalidParameterException", "token", "GetLogEvents")
        return self._page(events, token, parameters)

    def _readable(self, stream):
        if stream not in self.streams:
            return None
        readable = []
        for printed, when, message in self.streams[stream]:
            if when > self.clock():
                break
            readable.append({"timestamp": self.clock.milliseconds(printed), "message": message})
        return readable or None

    def _page(self, events, token, parameters):
        start, hollow = (int(part) for part in token.split("/")) if token else (0, 0)
        if not token and "startTime" in parameters:
            start = sum(event["timestamp"] < parameters["startTime"] for event in events)
        page = events[start : start + self.page]
        if not page and token:
            return {"events": [], "nextForwardToken": token}
        if self.hollow and not hollow:
            return {"events": [], "nextForwardToken": f"{start}/1"}
        return {"events": page, "nextForwardToken": f"{start + len(page)}/0"}


class FakeBucket:
    """A transport that holds objects in memory, and may be made to fail."""

    url = "s3://jobs"

    def __init__(self, objects=None):
        self.objects = dict(objects or {})
        self.reads = []
        self.error = None

    def get(self, key, start=0, length=None):
        from nextstrain_batch.errors import MissingObjectError

        self.reads.append(key)
        if self.error:
            raise self.error
        if key not in self.objects:
            raise MissingObjectError(key)
        data = self.objects[key][start:]
        return data if length is None else data[:length]

    def put(self, key, data, *, if_absent=False):
        if if_absent and key in self.objects:
            return False
        self.objects[key] = data
        return True
