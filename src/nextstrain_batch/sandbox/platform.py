"""What the sandbox gives to tasks: variables, credentials, a log stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driver import Surroundings
from .joblog import GROUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from .credentials import Credentials
    from .jobs import Job, Task
    from .logs.groups import Groups
    from .logs.store import LogStore


class Platform(Surroundings):
    """What tasks are given: variables, credentials, a log stream."""

    def __init__(
        self,
        groups: Groups,
        store: LogStore,
        credentials: Credentials,
        url: str,
        clock: Callable[[], float],
    ) -> None:
        self._groups = groups
        self._store = store
        self._credentials = credentials
        self._url = url
        self._clock = clock

    def environment(self, job: Job, task: Task) -> dict[str, str]:
        """Return the container's variables; the platform's win over the user's."""
        specification = job.specification
        role = specification.container.job_role
        offered = (
            self._credentials.offer(task.id, role, specification.region, self._url) if role else {}
        )
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_REGION": specification.region,
            "AWS_DEFAULT_REGION": specification.region,
            # The SDKs' last resort is an address outside this computer.
            "AWS_EC2_METADATA_DISABLED": "true",
            **dict(specification.container.environment),
            **offered,
            "AWS_BATCH_JOB_ID": job.id,
            "AWS_BATCH_JOB_ATTEMPT": str(task.number),
            "AWS_BATCH_JQ_NAME": specification.queue,
            "AWS_BATCH_CE_NAME": task.environment,
        }

    def log(self, job: Job, task: Task) -> Callable[[list[tuple[int, str]]], None]:
        """Make the task's stream, and return what puts events into it."""
        group = self._groups.ensure(job.specification.region, GROUP)
        stream = self._store.create(group, task.log_stream, int(self._clock() * 1000))
        assert stream is not None  # its name has the task's id

        def put(events: list[tuple[int, str]]) -> None:
            # Whoever deletes the group or the stream while a job runs gets no more of it.
            if self._store.find(group, task.log_stream) is stream:
                stream.append(events, int(self._clock() * 1000))

        return put

    def over(self, task: Task) -> None:
        """Withdraw the credentials."""
        self._credentials.withdraw(task.id)
