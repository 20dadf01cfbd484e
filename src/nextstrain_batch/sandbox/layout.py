"""Where the sandbox keeps its things below the user's ``~/.nextstrain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The files of one sandbox. *home* is the directory that ``NEXTSTRAIN_HOME`` moves."""

    home: Path

    @property
    def root(self) -> Path:
        """The directory of everything else here; ``reset`` removes it."""
        return self.home / "aws-batch" / "sandbox"

    @property
    def start_lock(self) -> Path:
        """Held by a command while it starts, stops or resets the server."""
        return self.home / "aws-batch" / "sandbox.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server as long as it lives."""
        return self.root / "server.lock"

    @property
    def server_file(self) -> Path:
        """Who the running server is: process, port, start time and control token, as JSON."""
        return self.root / "server.json"

    @property
    def setup_file(self) -> Path:
        """What `nextstrain setup aws-batch --sandbox` was told; need not exist."""
        return self.root / "setup.toml"

    @property
    def account_file(self) -> Path:
        """The keys of the sandbox's user, as JSON; exists once the account is set up."""
        return self.root / "account.json"

    @property
    def administrator_file(self) -> Path:
        """The administrator's keys, as JSON; there once a server has been started."""
        return self.root / "administrator.json"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.root / "server.log"

    @property
    def journal(self) -> Path:
        """The journal of requests; the part of it before is beside it."""
        return self.root / "requests.jsonl"

    @property
    def state(self) -> Path:
        """The directory of what survives a stop."""
        return self.root / "state"

    @property
    def objects(self) -> Path:
        """The directory of the contents of S3 objects."""
        return self.root / "objects"

    @property
    def logs(self) -> Path:
        """The directory of log streams."""
        return self.root / "logs"

    @property
    def images(self) -> Path:
        """Which directory each image stands for, as JSON; need not exist."""
        return self.root / "images.json"

    @property
    def settings(self) -> Path:
        """What was set, as JSON; need not exist."""
        return self.root / "settings.json"

    @property
    def tasks(self) -> Path:
        """The directory of the files of running jobs."""
        return self.root / "tasks"
