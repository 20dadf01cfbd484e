"""What of the sandbox can be set: delays, sizes, quotas. Kept in a file, changed while it runs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from nextstrain_batch.errors import SandboxError

from .remote import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .capacity import Timing


@dataclass
class Settings:
    """Every setting with its default. Seconds, and calls a second; infinity is no limit."""

    job_step: float = 0.0
    """How long a job is SUBMITTED, and then PENDING."""
    instance_start: float = 0.0
    """How long an instance takes to start; jobs wait in RUNNABLE meanwhile."""
    instance_idle: float = 60.0
    """How long an instance without jobs is kept for the next one."""
    instances: float = math.inf
    """How many instances EC2 has. 0 is a lack of capacity."""
    job_history: float = 7 * 86_400.0
    """How long a finished job is remembered."""
    memory_limits: bool = True
    """Whether a job that uses more memory than it reserved is killed, where the kernel allows."""
    log_delay: float = 0.0
    """From when a line is printed until it can be read."""
    log_empty_pages: float = 0.0
    """How many empty pages GetLogEvents gives before each page with events."""
    get_log_events_rate: float = 10.0
    """Calls a second of the whole account; more are throttled."""
    filter_log_events_rate: float = 5.0
    """Calls a second of the whole account; more are throttled."""
    submit_job_rate: float = 50.0
    """Calls a second of the whole account; more are throttled."""

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set all of *changes*, or none: raises ``SandboxError`` naming what is wrong."""
        checked = {}
        for name, value in changes.items():
            key = name.replace("-", "_")
            if key not in {each.name for each in fields(self)}:
                known = ", ".join(each.name.replace("_", "-") for each in fields(self))
                raise SandboxError(f"The sandbox has no setting {name}. It has {known}.")
            checked[key] = _value(name, value, type(getattr(self, key)))
        for key, value in checked.items():
            setattr(self, key, value)

    def save(self, path: Path) -> None:
        """Write what differs from the defaults."""
        default = asdict(Settings())
        write_private(path, {n: v for n, v in asdict(self).items() if v != default[n]})


def load(path: Path) -> Settings:
    """Return the settings that a file has, and the defaults for the rest."""
    settings = Settings()
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return settings
    except ValueError as error:
        raise SandboxError(
            f"{path} cannot be read: {error}. Remove it for the defaults."
        ) from error
    known = {each.name for each in fields(settings)}
    settings.change({name: value for name, value in found.items() if name in known})
    return settings


def time(timing: Timing, settings: Settings) -> None:
    """Have the job machine take its time as the settings say."""
    timing.step = settings.job_step
    timing.forget = settings.job_history
    timing.instance_start = settings.instance_start
    timing.instance_idle = settings.instance_idle
    timing.instances = settings.instances


def action(
    settings: Settings, path: Path, timing: Timing, wake: Callable[[], None]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the control action that changes settings and returns them all."""

    def change(request: dict[str, Any]) -> dict[str, Any]:
        try:
            settings.change(request)
        except SandboxError as error:
            raise ValueError(str(error)) from error
        settings.save(path)
        time(timing, settings)
        wake()
        return asdict(settings)

    return change


def _value(name: str, value: object, kind: type) -> object:
    if kind is bool:
        found = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
        if str(value).lower() not in found:
            raise SandboxError(f"{name} is either on or off, not {value}.")
        return found[str(value).lower()]
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not number >= 0:
        raise SandboxError(
            f"{name} is a number that is not negative, or inf; it cannot be {value}."
        )
    return number
