"""The thread that carries out what the job machine decides, on tasks that the test ends."""

import itertools
import threading
from types import SimpleNamespace

import pytest

from nextstrain_batch.sandbox.driver import Driver, Surroundings
from nextstrain_batch.sandbox.jobs import Exit
from nextstrain_batch.sandbox.machine import Environment, Machine, Timing
from sandbox_jobs import SPECIFICATION

SECONDS = 10
"""How long something may take that is done at once."""
QUEUES = SimpleNamespace(
    priority=lambda _region, _queue: 1,
    environments=lambda _region, _queue: [Environment("ce", "arn:ce", 8, enabled=True)],
    time_limits=lambda _region, _queue: [],
)


class Around(Surroundings):
    """Surroundings whose log, or whose end, may fail."""

    def __init__(self):
        self.full = False
        self.stuck = False
        self.ended = []

    def environment(self, _job, _task):
        return {}

    def log(self, _job, _task):
        return self.put

    def put(self, events):
        if self.full:
            raise OSError(28, "No space left on device")
        del events

    def over(self, task):
        self.ended.append(task.id)
        if self.stuck:
            raise OSError(28, "No space left on device")


class Running:
    """A driver that runs, with tasks that the test ends."""

    def __init__(self, changed=lambda: None, tick=0.0, timing=None):
        self.launched = []
        self.begun = threading.Event()
        self.around = Around()
        times = itertools.count()
        ids = itertools.count(1)
        machine = Machine(QUEUES, lambda: f"id-{next(ids)}", timing)
        executor = SimpleNamespace(
            start=self.launch, signal=lambda *_: None, stop_all=lambda _: None
        )
        self.driver = Driver(machine, executor, self.around, lambda: next(times) * tick, changed)
        self.driver.start()

    def launch(self, launch):
        self.launched.append(launch)
        self.begun.set()
        return True

    def status(self, job):
        return self.driver.read(lambda _: job.status)


@pytest.fixture
def started():
    """Return what makes a driver that runs; all are stopped afterwards."""
    made = []

    def start(**arguments):
        made.append(Running(**arguments))
        return made[-1]

    yield start
    for each in made:
        each.driver.stop()


def test_jobs_start_and_end_though_nothing_can_be_written_down(started):
    """A full disk costs what a restart would know of a job, not the job."""
    full = threading.Event()

    def changed():
        if full.is_set():
            raise OSError(28, "No space left on device")

    running = started(changed=changed)
    full.set()
    with pytest.raises(OSError, match="No space"):
        running.driver.submit(SPECIFICATION)  # which promises to have written it down
    assert running.begun.wait(SECONDS)
    (job,) = running.driver.read(lambda jobs: list(jobs.values()))
    assert running.status(job) == "RUNNING"
    running.launched[0].done(Exit(0))
    assert running.status(job) == "SUCCEEDED"
    running.driver.wake()


@pytest.mark.parametrize("fails", ["full", "stuck"])
def test_a_job_ends_though_its_last_lines_are_lost(started, fails):
    """Its environment gets room for others, and its credentials are withdrawn."""
    running = started()
    job = running.driver.submit(SPECIFICATION)
    assert running.begun.wait(SECONDS)
    (launch,) = running.launched
    launch.output(b"a line without its end")
    setattr(running.around, fails, True)
    launch.done(Exit(0))
    assert running.status(job) == "SUCCEEDED"
    assert running.around.ended == [launch.task_id]


def test_what_falls_due_while_it_looks_is_not_slept_through(started):
    """Time passes between looking at the jobs and asking how long to sleep."""
    running = started(tick=0.01, timing=Timing(step=0.015))
    running.driver.submit(SPECIFICATION)
    assert running.begun.wait(SECONDS)
