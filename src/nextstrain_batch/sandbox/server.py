"""The sandbox's process: what is made in which order, and taken down again."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import signal
import threading
import time
import uuid
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from nextstrain_batch import __version__

from . import administrator, fault_control, http, memory, remote, settings
from .app import Application
from .batch import BatchCalls
from .bodies import Bodies
from .control import Clock, Control
from .credentials import Credentials
from .descriptions import history
from .doorway import Doorway
from .driver import HOST_GONE, Driver
from .executor import Executor
from .faults import Faults
from .faulty_jobs import JobFaults
from .faulty_requests import FaultyRequests
from .faulty_surroundings import FaultySurroundings, Hosts
from .iam.accounts import Accounts
from .iam.guard import Guard
from .images import Images
from .isolation import Host, root
from .job_tags import JobTags
from .journal import Journal
from .logs.calls import LogCalls
from .logs.groups import Groups
from .logs.store import LogStore
from .machine import Machine
from .platform import Platform
from .queues import Catalogue
from .quota import Quota
from .recorder import Recorder
from .remote import Server
from .s3_checks import S3Checks
from .services import Services
from .state import Saver, load_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from .layout import Layout

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a server is started with."""

    layout: Layout
    path: str
    """The ``PATH`` of whoever started it; jobs find their programs there."""
    user_home: Path
    isolate: bool = True
    """Whether jobs are kept apart by bubblewrap where it works."""


class AlreadyRunningError(Exception):
    """Another server has this home."""


def run(options: Options) -> None:
    """Serve until SIGTERM, SIGINT or a shutdown request. Raises ``AlreadyRunningError``."""
    layout = options.layout
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with layout.server_lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(str(layout.root)) from error
        _serve(options)


def _serve(options: Options) -> None:
    layout = options.layout
    bodies = Bodies(layout.objects)
    root_key = administrator.ensure(layout).access_key
    services = Services(layout.state, bodies, root_key)
    clock, token = Clock(), secrets.token_urlsafe(32)
    listening = http.listen(_last_port(layout))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    credentials = Credentials(services)
    catalogue = Catalogue(services)
    chosen = settings.load(layout.settings)
    machine = Machine(catalogue, new_id=lambda: str(uuid.uuid4()))
    settings.time(machine.timing, chosen)
    machine.jobs.update(load_jobs(layout.state))
    machine.lose_hosts(HOST_GONE, clock())
    host = Host.of(options.path, options.user_home)
    executor = Executor(
        layout.tasks,
        host,
        root(host) if options.isolate else None,
        Images(layout.images),
        memory.find(),
        lambda: chosen.memory_limits,
    )
    executor.clear()
    # The saver reads the driver's jobs, and the driver tells the saver of changes.
    saver = Saver(
        layout.state,
        services,
        lambda what: driver.read(what),  # noqa: PLW0108 - it is made below
        tidy=services.expire_objects,
    )
    groups, store = Groups(services), LogStore(layout.logs)
    faults = Faults()
    job_faults = JobFaults(faults)
    platform = FaultySurroundings(
        Platform(groups, store, credentials, url, clock), faults, job_faults, url
    )
    driver = Driver(machine, executor, platform, clock, saver.jobs_changed)
    services.on_change = lambda service: driver.wake() if service == "batch" else None
    job_faults.hosts = Hosts(driver, executor)
    faults.on_added = job_faults.added
    control = Control(token, clock, _stop_self, driver.wake, saver.save)
    control.actions.update(fault_control.actions(faults, isolated=executor.isolates))
    control.actions["settings"] = settings.action(
        chosen, layout.settings, machine.timing, driver.wake
    )
    control.actions["history"] = lambda request: {
        "history": driver.read(lambda jobs: history(jobs.get(str(request.get("id")))))
    }
    batch = BatchCalls(driver, catalogue, Quota(lambda: chosen.submit_job_rate, clock))
    tags = JobTags(driver)
    logs = LogCalls(store, groups, clock, chosen)
    application = Application(services, batch, tags, logs, credentials, control)
    control.on_advance = services.time_passes
    services.on_removal = saver.hurry
    checked = S3Checks(application, clock.age)
    accounts = Accounts(services, root_key)
    faulty = FaultyRequests(
        Guard(checked, accounts, lambda arn: tags.of(arn) or accounts.batch_tags(arn)),
        faults,
        holder=credentials.holder,
        caller=accounts.name,
        called=job_faults.called,
        metadata=job_faults.metadata,
    )
    journal = Journal(layout.journal)
    recorder = Recorder(Doorway(faulty), accounts, journal.write)
    server = http.server(recorder, listening, faulty.cut_request)
    services.backend("s3", "aws")
    services.backend("iam", "aws")
    driver.start()
    saver.start()
    _announce(layout, listening.getsockname()[1], token)
    threading.Thread(target=_warm_up, args=(services,), daemon=True, name="warm-up").start()
    log.info("Serving at %s, process %s", url, os.getpid())
    try:
        server.run()
    finally:
        log.info("Stopping")
        listening.close()
        driver.stop()
        saver.stop()
        journal.close()
        layout.server_file.unlink(missing_ok=True)


def _warm_up(services: Services) -> None:
    """Load what takes longest while the first requests are for something else."""
    services.backend("logs", "us-east-1")
    services.backend("batch", "us-east-1")


def _last_port(layout: Layout) -> int:
    try:
        return int((layout.root / "port").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _announce(layout: Layout, port: int, token: str) -> None:
    (layout.root / "port").write_text(str(port))
    server = Server(
        pid=os.getpid(),
        port=port,
        token=token,
        started=time.time(),
        version=__version__,
        moto=metadata.version("moto"),
    )
    remote.announce(layout, server)


def _stop_self() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
