"""What `nextstrain build` tells its user."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes_aws import FakeBatch, job_detail
from memory_transport import BEGIN, MemoryTransport
from nextstrain_batch.commands.build_report import LISTED, Report
from nextstrain_batch.download import Downloaded
from nextstrain_batch.events import LogLine, Notice, StateChange
from nextstrain_batch.interrupts import Interrupts
from nextstrain_batch.job import describe
from nextstrain_batch.outcome import Attempts, Outcome
from nextstrain_batch.pathogen import ALWAYS_OUT, LOOKS_SECRET, LeftOut, Pathogen
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.runs import Run
from nextstrain_batch.runtimes.aws_batch.context import Launched
from nextstrain_batch.runtimes.aws_batch.gathering import Gathered
from nextstrain_batch.snapshot import Snapshot
from nextstrain_batch.store.manifest import Chunk, Entry, Manifest
from nextstrain_batch.ui import Ui
from nextstrain_batch.upload import Plan, Uploaded

ZIKA = Pathogen(Path("/there/zika"), Path("/there/zika"))
RUN = Run("zika-1", BEGIN, "zika", "", ("true",), "queue", "job", "0" * 64)


@dataclass
class Options:
    directory: Path | None = None
    arguments: tuple[str, ...] = ()
    logs: bool = True
    detach: bool = False
    cancel: bool = False
    download: bool | tuple[str, ...] = True
    environment: dict = field(default_factory=dict)


class Told:
    """A report whose words can be read."""

    def __init__(self, **options):
        self.out, self.err = io.StringIO(), io.StringIO()
        self.report = Report(Ui(self.out, self.err), Options(**options))
        self.interrupts = Interrupts(cancel=lambda: None, tell=print, on_terminal=True)

    def event(self, event):
        self.report.event(event, self.interrupts)
        return self.out.getvalue()


def gathered(*entries, left_out=()):
    plan = Plan(Snapshot(ZIKA.root, entries), {}, {}, (), {}, BEGIN, ())
    return Gathered(plan, tuple(left_out))


def job(status, **changes):
    return describe(FakeBatch(states=[(-1, job_detail(status, **changes))]), "job-1")


def test_sending_says_how_much_and_never_a_value():
    """What travels is counted; of the program's variables the names are told, no value."""
    told = Told(environment={"TOKEN": "s3cret"})
    entries = (
        Entry("data", "directory", 0o755, 0),
        Entry("data/a", "file", 0o644, 0, (Chunk("0" * 64, 2_500_000),)),
    )
    told.report.sending(ZIKA, gathered(*entries))
    assert "/there/zika: 1 file, 2.5 MB" in told.out.getvalue()
    assert "TOKEN" in told.out.getvalue()
    assert "s3cret" not in told.out.getvalue()


def test_the_directory_is_named_as_it_was_given():
    """The user's own word for the directory is used, but where the whole pathogen above travels."""
    told = Told(directory=Path("zika"))
    told.report.sending(ZIKA, gathered())
    assert "Sending zika:" in told.out.getvalue()
    inside = Pathogen(ZIKA.root, ZIKA.root / "phylogenetic")
    told.report.sending(inside, gathered())
    assert "Sending /there/zika:" in told.out.getvalue()


@pytest.mark.parametrize(
    ("packs", "words"), [(0, "nothing to send"), (1, "Sent 1 pack, 1.2 kB"), (2, "Sent 2 packs")]
)
def test_sent(packs, words):
    """It says what was sent, and when nothing had to be."""
    told = Told()
    told.report.sent(Uploaded(Manifest((), {}, {}), packs, 1234, 0))
    assert words in told.out.getvalue()


def test_states_hint_once_and_the_end_is_left_to_the_outcome():
    """Each state is told, how to cancel once, and the end only after the log's last line."""
    told = Told()
    told.event(StateChange(job("RUNNABLE"), None))
    text = told.event(StateChange(job("RUNNING"), job("RUNNABLE")))
    assert text.count("Control-C twice") == 1
    assert "The job is RUNNING" in text
    assert told.event(StateChange(job("SUCCEEDED"), job("RUNNING"))) == text
    assert told.report.job.succeeded


def test_log_lines_and_notices():
    """Lines go to standard output as the reference client shows them, notices to the other."""
    told = Told()
    assert "[batch] [2026-11-23T" in told.event(LogLine("hello", BEGIN, 1))
    told.event(Notice("The queue is full."))
    assert "The queue is full." in told.err.getvalue()


def test_the_end_and_what_went_wrong():
    """The outcome is told, with what the job side or AWS has to say about a failure."""
    told = Told()
    told.report.ended(
        Outcome(137, "Job FAILED after 60 s", Attempts({}, ()), "It used too much memory.")
    )
    assert "Job FAILED" in told.out.getvalue()
    assert "It used too much memory." in told.err.getvalue()


def test_what_the_results_lack_is_told_besides():
    """Whatever became of the job, nobody takes a part of the results for all of them."""
    told = Told()
    result = AttemptResult(1, 0, BEGIN, BEGIN, 0, not_stored="The results are not complete.")
    attempts = Attempts({1: result}, (1,))
    told.report.ended(Outcome(143, "Job FAILED", attempts, "The job was ended on request."))
    assert told.err.getvalue().splitlines() == [
        "error: The job was ended on request.",
        "warning: The results are not complete.",
    ]


def test_results_are_summed_up():
    """Some results are named and all counted; kept and deleted files are named."""
    told = Told()
    written = tuple(f"results/{number:02}.txt" for number in range(LISTED + 2))
    kept = (("config.yaml", "config.yaml.before-run"),)
    told.report.brought_back(Downloaded((*written, ".snakemake/log/x"), 0, kept, ("old",)), ZIKA)
    text = told.out.getvalue()
    assert f"Wrote {LISTED + 3} files into /there/zika" in text
    assert "results/00.txt" in text
    assert ".snakemake" not in text
    assert "… and 3 more" in text
    assert "config.yaml.before-run" in told.err.getvalue()
    assert "The build deleted 1 file that stays here:\n  old\n" in text


def test_edits_that_the_results_do_not_know_of_are_named():
    """They are warned of, as nothing else tells that they were not used."""
    told = Told()
    done = Downloaded(("results/tree",), 0, (), (), unused_edits=("data/in",))
    told.report.brought_back(done, ZIKA)
    assert told.err.getvalue().startswith("warning: 1 file was edited here while the job ran.")
    assert told.err.getvalue().endswith(" touch:\n  data/in\n")


@pytest.mark.parametrize(
    ("count", "lines"), [(LISTED, LISTED), (LISTED + 1, LISTED + 1), (300, LISTED + 1)]
)
def test_many_edited_files_are_counted(count, lines):
    """Of files that were edited here some are named, and the others counted."""
    told = Told()
    kept = tuple((f"{number:03}", f"{number:03}.before-run") for number in range(count))
    told.report.brought_back(Downloaded(tuple(path for path, _ in kept), 0, kept, ()), ZIKA)
    warned = told.err.getvalue().splitlines()
    assert len(warned) == lines
    assert f"{LISTED - 1:03} was edited" in warned[LISTED - 1]
    if count > LISTED:
        assert warned[-1].startswith(f"warning: … and {count - LISTED} more, each kept")


def test_names_that_no_terminal_should_get_are_escaped():
    """A file's name cannot move the cursor, or look like two."""
    told = Told()
    kept = (("\x1b[31m", "\x1b[31m.before-run"),)
    told.report.brought_back(Downloaded(("a\nb", "\x1b[31m", "naïve.txt"), 0, kept, ()), ZIKA)
    lines = told.out.getvalue().splitlines()
    assert lines[1:] == [r"  'a\nb'", r"  '\x1b[31m'", "  naïve.txt"]
    assert told.err.getvalue().startswith(r"warning: '\x1b[31m' was edited here")
    assert told.err.getvalue().endswith("kept as '\\x1b[31m.before-run'\n")


def test_no_results():
    """A job that stored nothing is said to have stored nothing; so is one that changed nothing."""
    told = Told()
    told.report.brought_back(None, ZIKA)
    assert "no results" in told.err.getvalue()
    told.report.brought_back(Downloaded((), 0, (), ()), ZIKA)
    assert told.out.getvalue() == "No new or changed file to write into /there/zika\n"


@pytest.mark.parametrize(
    ("download", "written", "passed_over", "words"),
    [
        (("out/",), (), 3, "None of the 3 new or changed files matches --download out/\n"),
        (("out/",), (".snakemake/metadata/x",), 3, "None of the 3 new or changed files matches"),
        (("out/",), (), 1, "The only new or changed file does not match --download out/\n"),
        (("out/", "!x"), (), 3, "matches --download out/ --exclude-from-download x\n"),
        (("!*",), (), 3, "--exclude-from-download * leaves out all there is: 3 new or changed"),
        (
            ("!*",),
            (),
            1,
            "--exclude-from-download * leaves out all there is: 1 new or changed file\n",
        ),
        (("\udcff",), (), 1, r"does not match --download '\xff'"),
        (("a",), ("a",), 3, "Wrote 1 file"),
        (True, (), 0, "No new or changed file to write into /there/zika\n"),
    ],
)
def test_patterns_that_choose_nothing(download, written, passed_over, words):
    """Where there are results and the patterns choose none of them, that is said."""
    told = Told(download=download)
    told.report.brought_back(Downloaded(written, 0, (), (), passed_over), ZIKA)
    assert words in told.out.getvalue()


ALREADY = "is in /there/zika already, unchanged"
WITHOUT_B = "--exclude-from-download b"
ALL = "No new or changed file to write into /there/zika: all are there already"


@pytest.mark.parametrize(
    ("download", "passed_over", "words"),
    [
        (("a",), 1, f"What matches --download a {ALREADY}; 1 new or changed file does not match"),
        (("a", "!b"), 2, f"{WITHOUT_B} {ALREADY}; 2 new or changed files do not match"),
        (("!b",), 1, f"1 new or changed file that {WITHOUT_B} leaves out, all {ALREADY}"),
        (("a",), 0, ALL),
        (True, 0, ALL),
    ],
)
def test_results_that_are_here_already(download, passed_over, words):
    """Where all that is wanted is here with equal content, that is said, besides the others."""
    told = Told(download=download)
    told.report.brought_back(Downloaded((), 2, (), (), passed_over), ZIKA)
    assert told.out.getvalue().endswith(f"{words}\n")


def test_what_patterns_are_relative_to_is_told_where_another_directory_is_named():
    """Whoever names a directory below the root learns that patterns do not begin there."""
    told = Told(directory=Path("zika/phylo"), download=("auspice/",))
    inside = Pathogen(ZIKA.root, ZIKA.root / "phylo")
    told.report.brought_back(Downloaded((), 0, (), (), 2), inside)
    assert "--download auspice/ (patterns are relative to /there/zika)\n" in told.out.getvalue()


@pytest.mark.parametrize(("download", "why"), [(False, "asked"), (True, "no directory was named")])
def test_results_that_are_left_there(download, why):
    """Whoever has results that were not brought back learns why, and the command that does it."""
    told = Told(download=download)
    told.report.left_there("nextstrain build --aws-batch --attach job-1 zika")
    assert told.out.getvalue() == (
        f"Nothing was brought back, as {why}\nTo get the results:\n\n"
        "    nextstrain build --aws-batch --attach job-1 zika\n"
    )


def test_what_looks_secret_is_named():
    """Files that stay here for their names are named, as nobody has asked for that."""
    told = Told()
    left_out = [LeftOut(".git", True, ALWAYS_OUT), LeftOut("environment.sh", False, LOOKS_SECRET)]
    told.report.sending(ZIKA, gathered(left_out=left_out))
    assert "may hold secrets: 'environment.sh'.\n" in told.out.getvalue()
    assert ".git" not in told.out.getvalue()


@pytest.mark.parametrize("is_over", [True, False])
def test_a_job_that_is_over_is_not_cancelled(is_over):
    """Whoever would cancel a job that is over is told that there was nothing to cancel."""
    told = Told(cancel=True)
    told.report.attached(Launched(RUN, "job-1", MemoryTransport(), is_over=is_over), None)
    assert ("nothing to cancel" in told.out.getvalue()) is is_over


def test_arguments_of_a_program_that_is_not_started_are_named():
    """Whoever only adds --attach to the command that launched a job is told what they do."""
    told = Told(arguments=("--configfile", "c.yaml"))
    told.report.attached(Launched(RUN, "job-1", MemoryTransport()), None)
    assert "ignored: --configfile c.yaml" in told.err.getvalue()


@pytest.mark.parametrize(
    ("name", "download", "is_warned"),
    [
        ("zika", True, False),
        ("measles", True, True),
        ("measles", ("a",), True),
        ("measles", False, False),
    ],
)
def test_results_of_another_pathogen_are_warned_of(name, download, is_warned):
    """Whoever attaches with another pathogen's directory is told both, if results are to come."""
    told = Told(download=download)
    here = Pathogen(Path("/there", name), Path("/there", name))
    told.report.attached(Launched(RUN, "job-1", MemoryTransport()), here)
    says = "warning: The run is of the pathogen 'zika', and its results are to come into 'measles'"
    assert told.err.getvalue().count(says) == int(is_warned)
    assert bool(told.err.getvalue()) is is_warned


def test_without_a_directory_no_pathogen_is_another():
    """Whoever cancels without a directory has no results to come."""
    told = Told(cancel=True)
    told.report.attached(Launched(RUN, "job-1", MemoryTransport()), None)
    assert told.err.getvalue() == ""


def test_detaching_ends_with_the_command():
    """The last line is the command to attach, alone."""
    told = Told()
    told.report.detached("nextstrain build --aws-batch --attach job-1 zika")
    last = told.out.getvalue().splitlines()[-1]
    assert last == "nextstrain build --aws-batch --attach job-1 zika"
