"""What survives a stop: moto's services, our jobs; written at the end and now and then before.

What jobs go through is written down when it happens, as are objects in S3 (``written_through``):
a server that is killed has promised nothing that is lost.
"""

from __future__ import annotations

import logging
import pickle
import threading
from typing import TYPE_CHECKING, Any

from .frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .jobs import Job
    from .services import Services

log = logging.getLogger(__name__)

JOBS = "jobs"
_PAUSE = 0.1
INTERVAL = 5.0
"""Seconds from a change to when it is saved, at most."""


def load_jobs(directory: Path) -> dict[str, Job]:
    """Return the saved jobs; none where nothing readable is saved."""
    jobs = _saved_jobs(directory)
    for frame in Frames(directory, JOBS).read():
        try:
            job: Job = pickle.loads(frame)  # noqa: S301  # our own file
        except Exception as error:  # noqa: BLE001 - whatever is in the file
            log.warning("What became of a job cannot be read: %r", error)
        else:
            jobs[job.id] = job
    return jobs


def _saved_jobs(directory: Path) -> dict[str, Job]:
    path = directory / f"{JOBS}.pickle"
    try:
        jobs: dict[str, Job] = pickle.loads(path.read_bytes())  # noqa: S301  # our own file
    except FileNotFoundError:
        return {}
    except Exception as error:  # noqa: BLE001 - whatever is in the file
        # No traceback: whoever starts the server takes one for its end.
        log.warning("The saved jobs cannot be read, so set aside: %r", error)
        path.replace(path.with_suffix(".unreadable"))
        return {}
    return jobs


class JobFrames:
    """Writes down what jobs go through."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._marks: dict[str, object] = {}

    def note(self, jobs: dict[str, Job]) -> None:
        """Write down the jobs that are not as they were at the last call; under their lock."""
        for job in jobs.values():
            mark = _mark(job)
            if self._marks.get(job.id) != mark:
                self._frames.append(pickle.dumps(job))
                self._marks[job.id] = mark
        for forgotten in self._marks.keys() - jobs.keys():
            del self._marks[forgotten]


def _mark(job: Job) -> object:
    """Return what differs when something happens to a job that has to be remembered."""
    task = job.task
    return (
        *(job.status, job.cancelled, job.terminated, len(job.attempts), job.specification.tags),
        task and (task.id, task.started is None, task.stopping is None),
    )


class Saver:
    """Saves when something has changed.

    *jobs* is called with what reads them, under their lock; *tidy* before each save.
    """

    def __init__(
        self,
        directory: Path,
        services: Services,
        jobs: Callable[[Callable[[dict[str, Job]], Any]], Any],
        interval: float = INTERVAL,
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._services = services
        self._jobs = jobs
        self._interval = interval
        self._tidy = tidy
        self._frames = Frames(directory, JOBS)
        self._job_frames = JobFrames(self._frames)
        self._jobs_changed = threading.Event()
        self._saving = threading.Lock()
        self._ended = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state")

    def start(self) -> None:
        """Begin to save."""
        self._thread.start()

    def jobs_changed(self) -> None:
        """Write down how jobs have changed."""
        self._jobs_changed.set()
        self._jobs(self._job_frames.note)

    def hurry(self) -> None:
        """Save soon, and not only when the interval is over."""
        self._woken.set()

    def stop(self) -> None:
        """Save everything a last time, and end."""
        self._ended.set()
        self._woken.set()
        self._thread.join()
        self._jobs_changed.set()
        self.save(everything=True)

    def save(self, *, everything: bool = False) -> None:
        """Save what has changed."""
        with self._saving:
            self._services.save(everything=everything)
            if not self._jobs_changed.is_set():
                return
            self._jobs_changed.clear()
            self._directory.mkdir(parents=True, exist_ok=True)
            earlier = self._frames.rotate()
            part = self._directory / f"{JOBS}.pickle.part"
            part.write_bytes(self._jobs(pickle.dumps))
            part.replace(part.with_suffix(""))
            for path in earlier:
                path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE):
            self._woken.wait(self._interval)
            self._woken.clear()
            if self._ended.is_set():
                return
            try:
                self._tidy()
                self.save()
            except Exception:
                log.exception("The state could not be saved")
