"""A tiny build through the whole path: files up, a job, its log, files back."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch.account.checks import Finding, Verdict
from nextstrain_batch.config import Setting
from nextstrain_batch.errors import UserError
from nextstrain_batch.pathogen import find
from nextstrain_batch.runtimes import base
from nextstrain_batch.runtimes.aws_batch import following, gathering, launching
from nextstrain_batch.runtimes.aws_batch.context import Batch
from nextstrain_batch.runtimes.aws_batch.way_back import WayBack
from nextstrain_batch.runtimes.options import AWS_BATCH, BuildOptions

if TYPE_CHECKING:
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import Settings
    from nextstrain_batch.outcome import Outcome
    from nextstrain_batch.ui import Ui

PART = "canary"
SONG = "the canary sang"
PROGRAM = ("sh", "-c", f"cat cage.txt && echo '{SONG}' > song.txt")


def run(batch: BatchSettings, settings: Settings, ui: Ui, *, skip: bool) -> Finding:
    """Run it, and say how it ended; *skip* it where its failure is certain."""
    if skip:
        return Finding(PART, Verdict.UNKNOWN, "not sent, as something failed", "Mend that first.")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="canary-") as name:
        directory = Path(name).resolve()
        (directory / "cage.txt").write_text("a canary\n")
        try:
            outcome = _fly(batch, settings, directory, ui)
        except UserError as error:
            what, _, remedy = str(error).partition("\n\n")
            return Finding(PART, Verdict.FAILED, what, remedy)
        song = directory / "song.txt"
        came_back = song.exists() and song.read_text().strip() == SONG
    seconds = time.monotonic() - start
    if outcome.exit_code == 0 and came_back:
        return Finding(PART, Verdict.OK, f"a tiny job went there and back in {seconds:.0f} s")
    return Finding(
        PART,
        Verdict.FAILED,
        f"the job ended with {outcome.exit_code}"
        + ("" if came_back else ", and its file did not come back"),
        "`nextstrain build --aws-batch` on any directory shows the job's log and the reason.",
    )


def _fly(batch: BatchSettings, settings: Settings, directory: Path, ui: Ui) -> Outcome:
    """Take the steps of a build; what the job says is shown only if it is about waiting."""
    small = replace(batch, cpus=Setting(1), memory_mib=Setting(512))
    there = Batch.connect(small, settings.home, ui)
    pathogen = find(directory)
    uploaded = gathering.send(there, gathering.gather(there, pathogen, ()).plan)
    options = _options(small, settings, directory)
    run = launching.record(there, pathogen, PROGRAM, uploaded, options)
    launched = launching.launch(there, run, {}, directory)
    interrupts = launching.interrupts_of(there, lambda: launched.job_id, detach_on_interrupt=False)
    job = None
    with WayBack.to(there, launched.job_id, None).while_it_runs():
        for event in following.watch(there, launched, interrupts, with_logs=False):
            job = getattr(event, "job", None) or job
    outcome = following.end(there, launched, job)
    following.bring_back(there, launched, outcome, pathogen, True)
    return outcome


def _options(batch: BatchSettings, settings: Settings, directory: Path) -> BuildOptions:
    return BuildOptions(
        directory=directory,
        program=PROGRAM[0],
        arguments=PROGRAM[1:],
        runtime=Setting(AWS_BATCH),
        detach=False,
        detach_on_interrupt=False,
        attach=None,
        cancel=False,
        logs=False,
        download=True,
        exclude_from_upload=(),
        cpus=None,
        memory=None,
        image=base.image(None, settings),
        environment={},
        batch=batch,
    )
