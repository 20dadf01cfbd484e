"""What ``nextstrain build`` tells its user, from the first file to the last result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextstrain_batch.events import LogLine, Notice, StateChange
from nextstrain_batch.globs import is_negated
from nextstrain_batch.pathogen import LOOKS_SECRET
from nextstrain_batch.quantities import counted, shown_bytes
from nextstrain_batch.shown_paths import printable, shown
from nextstrain_batch.snakemake_state import is_snakemakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextstrain_batch.download import Downloaded
    from nextstrain_batch.events import Event
    from nextstrain_batch.interrupts import Interrupts
    from nextstrain_batch.job import Job
    from nextstrain_batch.outcome import Outcome
    from nextstrain_batch.pathogen import Pathogen
    from nextstrain_batch.runtimes.aws_batch.context import Launched
    from nextstrain_batch.runtimes.aws_batch.gathering import Gathered
    from nextstrain_batch.runtimes.options import BuildOptions
    from nextstrain_batch.ui import Ui
    from nextstrain_batch.upload import Uploaded

LISTED = 10
"""Files that a summary names; the others are counted."""


class Report:
    """Tells the steps of one build, and remembers the last state of its job."""

    def __init__(self, ui: Ui, options: BuildOptions) -> None:
        self.ui = ui
        self.job: Job | None = None
        """As it was last heard of; None before."""
        self._options = options
        self._hinted = False

    def sending(self, pathogen: Pathogen, gathered: Gathered) -> None:
        """Say what is about to travel, and which variables the program is given.

        Of what does not travel, name what nobody has asked to leave out and the build may miss.
        """
        files = [entry for entry in gathered.plan.snapshot.entries if entry.kind != "directory"]
        size = shown_bytes(sum(entry.size for entry in files))
        self.ui.stage(f"Sending {self._shown(pathogen)}: {counted(len(files), 'file')}, {size}")
        secrets = [each.path for each in gathered.left_out if each.reason == LOOKS_SECRET]
        if secrets:
            named = ", ".join(shown(path) for path in secrets[:LISTED])
            more = f" and {len(secrets) - LISTED:,} more" if secrets[LISTED:] else ""
            self.ui.say(f"Not sent, as their names say that they may hold secrets: {named}{more}.")
        if names := sorted(self._options.environment):
            self.ui.say(f"The program is given the variables {', '.join(names)}.")

    def sent(self, uploaded: Uploaded) -> None:
        """Say what had to be sent."""
        if uploaded.packs_sent:
            packs = counted(uploaded.packs_sent, "pack")
            self.ui.say(f"Sent {packs}, {shown_bytes(uploaded.bytes_sent)} compressed.")
        else:
            self.ui.say("The bucket has it all: nothing to send.")

    def launched(self, launched: Launched, attach_command: str) -> None:
        """Name the job, and how to come back to it."""
        self.ui.stage(f"Submitted the AWS Batch job {launched.job_id}")
        self.ui.say(f"Its run is {launched.run.id}.")
        if not self._options.detach:
            self.ui.say(f"To watch it from elsewhere:\n\n    {attach_command}\n")

    def attached(self, launched: Launched, pathogen: Pathogen | None) -> None:
        """Say what is attached to, and warn where results of another pathogen are to come."""
        run = launched.run
        self.ui.stage(f"Attaching to the AWS Batch job {launched.job_id}")
        started = f"{run.created.astimezone():%Y-%m-%d %H:%M:%S}"
        self.ui.say(f"Its run is {run.id}, started {started} by {run.user} on {run.host}.")
        if self._options.arguments:
            words = " ".join(map(printable, self._options.arguments))
            self.ui.warn(f"--attach starts no program; its arguments are ignored: {words}")
        if self._options.cancel and launched.is_over:
            self.ui.say("The job is over already: there was nothing to cancel.")
        if pathogen is not None and self._options.download and pathogen.name != run.pathogen:
            self._warn_of_another(pathogen.name, run.pathogen)

    def _warn_of_another(self, here: str, there: str) -> None:
        # No error: it may be a clone under another name.
        self.ui.warn(
            f"The run is of the pathogen {shown(there)}, and its results are to come into"
            f" {shown(here)}, among its files. If that is not the same pathogen under another name,"
            " leave (by Control-Z while the job runs, by Control-C once it is over) and attach with"
            " the right directory."
        )

    def detached(self, attach_command: str) -> None:
        """Say that the job goes on. The last line is the command to attach."""
        self.ui.stage("Detached: the job goes on")
        self.ui.say(f"To watch it again and get its results:\n\n{attach_command}")

    def left_ending(self, attach_command: str) -> None:
        """Say that a cancelled job was left before its end."""
        self.ui.stage("Not waiting for the cancelled job to end")
        self.ui.say(f"To get what it has made by then:\n\n    {attach_command}")

    def event(self, event: Event, interrupts: Interrupts) -> None:
        """Show what happened to the job."""
        if isinstance(event, LogLine):
            self.ui.log(event.text, event.timestamp)
        elif isinstance(event, Notice):
            self.ui.warn(event.text)
        else:
            self._state(event, interrupts)

    def _state(self, change: StateChange, interrupts: Interrupts) -> None:
        job = change.job
        self.job = job
        if job.is_over:
            return  # ``ended`` says it, after the log's last line.
        again = f", attempt {job.attempt_number}" if job.attempt_number > 1 else ""
        ending = ", and asked to end" if job.cancel_requested else ""
        self.ui.stage(f"The job is {job.status}{again}{ending}")
        if not self._hinted:
            self._hinted = True
            self.ui.say(interrupts.hint())

    def ended(self, outcome: Outcome) -> None:
        """Say how the run ended."""
        self.ui.stage(outcome.summary)
        if outcome.problem:
            self.ui.error(outcome.problem)
        if outcome.attempts.not_stored:
            self.ui.warn(outcome.attempts.not_stored)

    def left_there(self, fetch_command: str) -> None:
        """Say that the results are still in the bucket, why, and how to get them."""
        why = "no directory was named" if self._options.download else "asked"
        self.ui.stage(f"Nothing was brought back, as {why}")
        self.ui.say(f"To get the results:\n\n    {fetch_command}")

    def brought_back(self, downloaded: Downloaded | None, pathogen: Pathogen) -> None:
        """Say which files were written, kept and left."""
        if downloaded is None:
            self.ui.warn("The job has stored no results, so there is nothing to bring back.")
            return
        written = downloaded.written
        if not written or (downloaded.passed_over and all(map(is_snakemakes, written))):
            self.ui.stage(self._nothing(downloaded, pathogen))
        else:
            self.ui.stage(f"Wrote {counted(len(written), 'file')} into {self._shown(pathogen)}")
            self._list(written)
        self._warn_of_kept(downloaded.kept)
        if edits := downloaded.unused_edits:
            self._warn_of_unused(edits)
        if deleted := downloaded.deleted_by_build:
            stay = "stays" if len(deleted) == 1 else "stay"
            self.ui.say(f"The build deleted {counted(len(deleted), 'file')} that {stay} here:")
            self._list(deleted)

    def _warn_of_kept(self, kept: Sequence[tuple[str, str]]) -> None:
        for path, beside in kept[:LISTED]:
            self.ui.warn(
                f"{printable(path)} was edited here meanwhile, or never sent: it is kept as"
                f" {printable(beside)}"
            )
        if kept[LISTED:]:
            more = len(kept) - LISTED
            self.ui.warn(f"… and {more:,} more, each kept beside its result with the same ending")

    def _warn_of_unused(self, edits: Sequence[str]) -> None:
        were = "file was" if len(edits) == 1 else "files were"
        names = "\n".join(_lines(edits))
        self.ui.warn(
            f"{len(edits):,} {were} edited here while the job ran. The results do not know of that;"
            " as they are newer, Snakemake may take them for up to date. To have it use the edits,"
            f" touch:\n{names}"
        )

    def _nothing(self, downloaded: Downloaded, pathogen: Pathogen) -> str:
        """Say why there is no result to write."""
        patterns, others = self._options.download, downloaded.passed_over
        where = self._shown(pathogen)
        if not others or isinstance(patterns, bool):
            already = ": all are there already" if downloaded.unchanged else ""
            return f"No new or changed file to write into {where}{already}"
        if downloaded.unchanged:
            return _already_there(patterns, others, where)
        # Who names a directory below the root easily writes what lies in it from there on.
        relative = f" (patterns are relative to {where})" if pathogen.working_directory else ""
        return _none_chosen(patterns, others) + relative

    def _shown(self, pathogen: Pathogen) -> str:
        """Return the root as the user would write it: as it was given, unless it lies above."""
        given = self._options.directory
        return str(given if given and pathogen.root == pathogen.directory else pathogen.root)

    def _list(self, paths: Sequence[str]) -> None:
        for line in _lines(paths):
            self.ui.say(line)


def _lines(paths: Sequence[str]) -> list[str]:
    """Return lines that name some of *paths*, Snakemake's own last, and count the others."""
    named = ([path for path in paths if not is_snakemakes(path)] or list(paths))[:LISTED]
    rest = len(paths) - len(named)
    return [
        *(f"  {printable(path)}" for path in named),
        *([f"  … and {rest:,} more"] if rest else []),
    ]


def _none_chosen(patterns: Sequence[str], passed_over: int) -> str:
    """Say that patterns choose none of the results."""
    words, files = _options(patterns), counted(passed_over, "new or changed file")
    if all(map(is_negated, patterns)):
        return f"{words} leaves out all there is: {files}"
    if passed_over == 1:
        return f"The only new or changed file does not match {words}"
    return f"None of the {files} matches {words}"


def _already_there(patterns: Sequence[str], passed_over: int, where: str) -> str:
    """Say that the results which patterns choose need not be written."""
    words, files = _options(patterns), counted(passed_over, "new or changed file")
    if all(map(is_negated, patterns)):
        return f"But for {files} that {words} leaves out, all is in {where} already, unchanged"
    do = "does" if passed_over == 1 else "do"
    return f"What matches {words} is in {where} already, unchanged; {files} {do} not match"


def _options(patterns: Sequence[str]) -> str:
    """Return patterns as they are given on the command line."""
    return " ".join(map(_option, patterns))


def _option(pattern: str) -> str:
    if is_negated(pattern):
        return f"--exclude-from-download {printable(pattern[1:])}"
    return f"--download {printable(pattern)}"
