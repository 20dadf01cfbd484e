"""Keeping the log object up to date."""

import threading

import pytest

from nextstrain_batch.agent.joblog import JobLog
from nextstrain_batch.agent.logsender import LogSender
from nextstrain_batch.errors import UnreachableError


class Bucket:
    """Takes versions of an object; fails at first if it is told to."""

    def __init__(self, failures=0):
        self.versions = []
        self.tried = threading.Semaphore(0)
        self._failures = failures

    def put(self, data):
        if self._failures:
            self._failures -= 1
            self.tried.release()
            message = "Cannot reach S3."
            raise UnreachableError(message)
        self.versions.append(data)
        self.tried.release()


@pytest.fixture
def log(tmp_path):
    with JobLog(tmp_path, None, head=100) as log:
        yield log


def test_stores_what_has_grown(log):
    """A log that has grown is stored again, and one that has not is not."""
    bucket = Bucket()
    with LogSender(log, bucket.put, interval=0.01):
        for text in (b"one\n", b"two\n"):
            log.write(text)
            assert bucket.tried.acquire(timeout=10)
        assert not bucket.tried.acquire(timeout=0.1)
    assert bucket.versions == [b"one\n", b"one\ntwo\n"]


def test_a_failure_is_made_up_for(log):
    """After a failure the next version is stored."""
    bucket = Bucket(failures=2)
    log.write(b"one\n")
    with LogSender(log, bucket.put, interval=0.01):
        for _ in range(3):
            assert bucket.tried.acquire(timeout=10)
    assert bucket.versions == [b"one\n"]


def test_a_log_beyond_the_limit_waits_for_the_end(log):
    """A log whose kept copy has a gap is not stored while it grows."""
    bucket = Bucket()
    log.write(b"x" * 101)
    with LogSender(log, bucket.put, interval=0.01):
        assert not bucket.tried.acquire(timeout=0.1)


def test_a_version_that_hangs_does_not_use_up_the_time_for_the_results(log):
    """When the job was asked to end it has half a minute, and the results matter more."""
    hanging, goes_on = threading.Event(), threading.Event()

    def put(_data):
        hanging.set()
        goes_on.wait(30)

    log.write(b"one\n")
    hurry = threading.Event()
    with LogSender(log, put, is_hurried=hurry.is_set, interval=0.01, patience=0.05):
        assert hanging.wait(10)
        hurry.set()
    assert not goes_on.is_set()
    goes_on.set()


def test_silence_costs_nothing(log):
    """Nothing is stored as long as nothing is said, and the end does not wait for the interval."""
    bucket = Bucket()
    with LogSender(log, bucket.put):
        pass
    assert bucket.versions == []
