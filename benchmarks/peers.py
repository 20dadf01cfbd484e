"""Who is measured: ours, the reference client's transfer, and the tools that people have.

Each peer says how to run the four things that a build needs, as whole processes; each one by its
own means, as its documentation advises for many files. A peer that is not installed is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from measure import WORK, peer
from server import KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
Commands = list[list[str]]
"""Run one after the other; together they are one measurement."""


@dataclass(frozen=True)
class Place:
    """Where a peer works: one bucket, and directories of its own."""

    endpoint: str
    bucket: str
    source: Path
    """The user's build directory."""
    job: Path
    """The job's, empty before its fetch."""
    home: Path
    """For what a peer keeps on a computer, and anything else."""

    def environment(self) -> dict[str, str]:
        """Return the variables of a process that is to use the bucket."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "S3_ENDPOINT_URL": self.endpoint,  # what s5cmd reads
            "NO_PROXY": "127.0.0.1",
            "RESTIC_REPOSITORY": f"s3:{self.endpoint}/{self.bucket}",
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(self.home / "restic-cache"),
            "RCLONE_CONFIG_S_TYPE": "s3",
            "RCLONE_CONFIG_S_PROVIDER": "Other",
            "RCLONE_CONFIG_S_ENV_AUTH": "true",
            "RCLONE_CONFIG_S_ENDPOINT": self.endpoint,
            "RCLONE_CONFIG_S_REGION": "us-east-1",
        }

    @property
    def url(self) -> str:
        """Where a tool that mirrors directories puts them."""
        return f"s3://{self.bucket}/tree"


def _nothing(_place: Place) -> Commands:
    return []


@dataclass(frozen=True)
class Peer:
    """One way to transfer."""

    name: str
    version: str
    send: Callable[[Place], Commands]
    """The source to the bucket."""
    fetch: Callable[[Place], Commands]
    """The bucket to the job."""
    store: Callable[[Place], Commands]
    """The job to the bucket."""
    back: Callable[[Place], Commands]
    """The bucket to the source."""
    prepare: Callable[[Place], Commands] = field(default=_nothing)
    """Not measured."""
    job: Callable[[Place], Path] = field(default=lambda place: place.job)
    """Where the job's files are after the fetch."""
    results: Callable[[Place], Path] = field(default=lambda place: place.source)
    """Where the results are after they have come back."""


def ours() -> Peer:
    """Return this package."""
    from nextstrain_batch import __version__

    def step(name: str, directory: str) -> Callable[[Place], Commands]:
        def commands(place: Place) -> Commands:
            root = str(getattr(place, directory))
            program = str(HERE / "ours.py")
            return [[sys.executable, program, name, root, place.bucket, str(place.home)]]

        return commands

    return Peer(
        "ours", __version__, step("send", "source"), step("fetch", "job"),
        step("store", "job"), step("back", "source"),
    )  # fmt: skip


def bound() -> Peer:
    """Return the limit: the same bytes read, hashed and compressed. It sends nothing."""
    program = str(HERE / "ours.py")

    def send(place: Place) -> Commands:
        return [[sys.executable, program, "bound", str(place.source)]]

    return Peer("bound", "", send, _nothing, _nothing, _nothing)


_UP = """
import sys
from pathlib import Path
from nextstrain.cli.runner.aws_batch import s3
s3.upload_workdir(Path(sys.argv[1]), s3.bucket(sys.argv[2]), "run")
"""
_DOWN = """
import sys
from pathlib import Path
from nextstrain.cli.runner.aws_batch import s3
s3.download_workdir(s3.bucket(sys.argv[2]).Object("run.zip"), Path(sys.argv[1]))
"""


def reference() -> Peer:
    """Return the reference client's own functions, and in the job what its image's script runs."""
    python = str(peer("nextstrain-cli", "nextstrain").parent / "python")
    aws = str(peer("awscli", "aws"))

    def fetch(place: Place) -> Commands:
        archive = f"{place.job}.zip"
        return [
            [aws, "s3", "cp", "--no-progress", f"s3://{place.bucket}/run.zip", archive],
            ["unzip", "-q", archive, "-d", str(place.job)],
        ]

    def store(place: Place) -> Commands:
        archive = f"{place.job}.zip"
        update = 'cd "$1" && zip -q -u "$1.zip" -r .'
        return [
            ["sh", "-c", update, "sh", str(place.job)],
            [aws, "s3", "cp", "--no-progress", archive, f"s3://{place.bucket}/run.zip"],
        ]

    return Peer(
        "reference",
        _output([python, "-c", "import nextstrain.cli as it; print(it.__version__)"]),
        lambda place: [[python, "-c", _UP, str(place.source), place.bucket]],
        fetch,
        store,
        lambda place: [[python, "-c", _DOWN, str(place.source), place.bucket]],
    )


def _mirror(
    name: str, version: str, up: list[str], down: list[str], url: Callable[[Place], str]
) -> Peer:
    """Return a tool that makes one tree like another; a directory's trailing slash means within."""

    def going_up(directory: str) -> Callable[[Place], Commands]:
        return lambda place: [[*up, f"{getattr(place, directory)}/", f"{url(place)}/"]]

    def going_down(directory: str, pattern: str) -> Callable[[Place], Commands]:
        return lambda place: [[*down, f"{url(place)}/{pattern}", f"{getattr(place, directory)}/"]]

    pattern = "*" if name == "s5cmd" else ""
    return Peer(
        name, version, going_up("source"), going_down("job", pattern),
        going_up("job"), going_down("source", pattern),
    )  # fmt: skip


def aws_sync() -> Peer:
    """Return ``aws s3 sync``.

    Downwards it would take a file of the same size for the same one; exactly what is newer.
    """
    aws = str(peer("awscli", "aws"))
    sync = [aws, "s3", "sync", "--only-show-errors"]
    return _mirror("aws s3 sync", _output([aws, "--version"]), sync, sync, lambda each: each.url)


def s5cmd() -> Peer:
    """Return ``s5cmd sync``."""
    program = str(peer("s5cmd", "s5cmd"))
    sync = [program, "--log", "error", "sync"]
    return _mirror("s5cmd", _output([program, "version"]), sync, sync, lambda each: each.url)


def rclone() -> Peer | None:
    """Return ``rclone sync`` with the options its documentation advises for S3 and many files."""
    if not shutil.which("rclone"):
        return None
    sync = ["rclone", "sync", "-q", "--fast-list", "--transfers=16", "--checkers=16"]
    sync += ["--s3-no-check-bucket"]
    return _mirror(
        "rclone", _output(["rclone", "version"]),
        [*sync, "--update", "--use-server-modtime"], [*sync, "--checksum"],
        lambda place: f"s:{place.bucket}/tree",
    )  # fmt: skip


def restic() -> Peer | None:
    """Return ``restic``: packs and deduplication, too, with encryption.

    It restores to where it is told plus the path it has saved, and everything, so its results do
    not come back into the source.
    """
    if not shutil.which("restic"):
        return None
    backup = ["restic", "backup", "-q", "--host", "bench"]
    restore = ["restic", "restore", "-q", "latest", "--target"]

    def job(place: Place) -> Path:
        return Path(f"{place.job}{place.source}")

    def results(place: Place) -> Path:
        return Path(f"{place.job}-back{job(place)}")

    return Peer(
        "restic",
        _output(["restic", "version"]),
        lambda place: [[*backup, str(place.source)]],
        lambda place: [[*restore, str(place.job)]],
        lambda place: [[*backup, str(job(place))]],
        lambda place: [[*restore, f"{place.job}-back"]],
        prepare=lambda _place: [["restic", "init", "-q"]],
        job=job,
        results=results,
    )


def _output(command: list[str]) -> str:
    """Return the first line a program says about its version, the number if that shows."""
    WORK.mkdir(exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    words = done.stdout.split()
    return next((word for word in words if any(map(str.isdigit, word))), "").removeprefix("v")


MAKERS: dict[str, Callable[[], Peer | None]] = {
    "bound": bound,
    "ours": ours,
    "reference": reference,
    "aws": aws_sync,
    "s5cmd": s5cmd,
    "rclone": rclone,
    "restic": restic,
}
