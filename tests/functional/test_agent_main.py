"""An attempt from fetch to result, with a real program and a bucket in memory."""

import io
import json
import os
import signal
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.agent.context import Context
from nextstrain_batch.agent.joblog import JobLog
from nextstrain_batch.agent.main import Attempt, Tools
from nextstrain_batch.agent.termination import Termination
from nextstrain_batch.errors import (
    AccessDeniedError,
    CredentialsError,
    MissingObjectError,
    UnreachableError,
)
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.runs import Run, write_record
from nextstrain_batch.store import codec, keys
from trees import send_by

RUN_ID = "zika-20261123T041500Z-1a2b3c4d"


def now():
    return datetime.now(UTC)


class Stdout(io.BytesIO):
    """Standard output; sends this process SIGTERM when the program says it is ready."""

    def write(self, data):
        if b"ready for the end" in data:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(data)


class Job:
    """A run in a bucket, and the directory that its attempts get."""

    def __init__(self, tmp_path):
        self.source = tmp_path / "source"
        self.root = tmp_path / "build"
        self.scratch = tmp_path
        self.transport = MemoryTransport()
        self.stdout = Stdout()
        self.slept = []
        self.environ = {"PATH": os.environ["PATH"], "NEXTSTRAIN_BATCH_RUN": "s3://b/runs/r"}
        self.run = Run(
            id=RUN_ID,
            created=now(),
            pathogen="zika",
            working_directory="",
            program=("true",),
            queue="queue",
            job_definition="definition",
            input_manifest_digest="",
        )

    def send(self, script, files=None, environment=None, **changes):
        """Put the run into the bucket."""
        for path, text in {"Snakefile": "rule all\n", **(files or {})}.items():
            (self.source / path).parent.mkdir(parents=True, exist_ok=True)
            (self.source / path).write_text(text)
        manifest = send_by(self.source, self.transport, now).manifest
        key = keys.input_manifest(RUN_ID)
        changes.setdefault("input_manifest_digest", codec.publish(manifest, self.transport, key))
        changes.setdefault("program", ("sh", "-c", script))
        if environment is not None:
            self.transport.put(keys.environment(RUN_ID), json.dumps(environment).encode())
            changes["has_environment"] = True
        self.run = replace(self.run, **changes)
        write_record(self.run, self.transport)

    def start(self, attempt=1, transport=None, reconnect=None, attempts=None):
        """Run an attempt and return its exit code."""
        context = Context("bucket", "", RUN_ID, attempt, self.root, attempts)
        directory = self.scratch / f"log-{attempt}"
        directory.mkdir()
        with Termination() as termination, JobLog(directory, self.stdout) as log:
            tools = Tools(
                self.environ,
                log,
                termination,
                sleep=self.slept.append,
                clock=lambda: sum(self.slept),
            )
            return Attempt(context, transport or self.transport, tools, reconnect).run()

    @property
    def said(self):
        return self.stdout.getvalue().decode()

    def result(self, attempt=1):
        return AttemptResult.from_json(self.transport.get(keys.result(RUN_ID, attempt)))

    def log(self, attempt=1):
        return self.transport.get(keys.log(RUN_ID, attempt)).decode()

    def output(self, attempt=1):
        key = keys.output_manifest(RUN_ID, attempt)
        digest = self.result(attempt).output_manifest
        manifest = codec.retrieve(self.transport, key, digest)
        return {entry.path: entry for entry in manifest.entries}

    def has(self, key):
        try:
            self.transport.get(key)
        except MissingObjectError:
            return False
        return True


class Wrapped:
    """A transport in which one method behaves differently."""

    def __init__(self, inner, **methods):
        self._inner = inner
        self._methods = methods

    def __getattr__(self, name):
        return self._methods.get(name) or getattr(self._inner, name)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


def test_fetches_runs_and_stores(job):
    """The program works on what was sent, and what it leaves is in the bucket."""
    job.send("cat data/in.txt; mkdir results; echo done > results/out.txt", {"data/in.txt": "hi\n"})
    assert job.start() == 0
    assert set(job.output()) == {
        "Snakefile",
        "data",
        "data/in.txt",
        "results",
        "results/out.txt",
    }
    result = job.result()
    assert (result.attempt, result.exit_code, result.error) == (1, 0, None)
    assert now() - result.started < timedelta(minutes=1)
    assert result.started <= result.finished


def test_log_object_is_what_was_said(job):
    """The log object and standard output are the same, and its lines are counted."""
    job.send("echo one; echo; echo two >&2; printf three")
    assert job.start() == 0
    assert job.log() == job.said
    assert "\none\n\ntwo\nthree\n[nextstrain] stored" in job.said
    assert job.result().log_lines == len([line for line in job.said.splitlines() if line])


def test_a_failed_program_leaves_its_results_too(job):
    """A failed program's exit code passes through, and its files are stored."""
    job.send("echo half > partial.txt; exit 5")
    assert job.start() == 5
    assert "partial.txt" in job.output()
    assert job.result().exit_code == 5
    assert job.result().error is None
    assert "exit code 5" in job.said


def test_a_program_that_does_not_exist(job):
    """A missing program is 127 with a clear message in log and result."""
    job.send("", program=("no-such-program",))
    assert job.start() == 127
    assert "no-such-program does not exist" in job.said
    assert "no-such-program does not exist" in job.result().error


def test_runs_in_the_working_directory(job):
    """The program runs in the directory that the run names."""
    job.send("pwd > here.txt", {"sub/dir/x": ""}, working_directory="sub/dir")
    assert job.start() == 0
    assert "sub/dir/here.txt" in job.output()
    assert (job.root / "sub/dir/here.txt").read_text() == f"{job.root.resolve()}/sub/dir\n"


def test_a_missing_working_directory(job):
    """A working directory that did not travel is named, and nothing is run."""
    job.send("touch ran", working_directory="phylogenetic")
    assert job.start() == 66
    assert "phylogenetic" in job.result().error
    assert not (job.root / "ran").exists()


def test_environment_is_for_the_program(job):
    """The user's values reach the program beside the container's, and ours do not."""
    job.environ["FROM_IMAGE"] = "1"
    job.environ["TAKEN"] = "away"
    job.send("env", environment={"AWS_ACCESS_KEY_ID": "theirs", "TAKEN": None})
    assert job.start() == 0
    lines = job.said.splitlines()
    assert {"AWS_ACCESS_KEY_ID=theirs", "FROM_IMAGE=1"} <= set(lines)
    assert not [line for line in lines if line.startswith(("TAKEN", "NEXTSTRAIN_BATCH"))]
    assert "AWS_ACCESS_KEY_ID" not in job.environ


@pytest.mark.parametrize(
    ("script", "attempts", "attempt", "remains"),
    [
        ("exit 0", None, 1, False),
        ("exit 1", None, 1, True),
        ("exit 1", 2, 1, True),
        ("exit 1", 2, 2, False),
        ("exit 1", 1, 1, False),
    ],
)
def test_environment_is_gone_when_the_run_is_over(job, script, attempts, attempt, remains):
    """The values are deleted after success or the last attempt, and not before."""
    job.send(script, environment={"SECRET": "x"})
    job.start(attempt, attempts=attempts)
    assert job.has(keys.environment(RUN_ID)) == remains


@pytest.mark.parametrize("text", ["{", "[]", '{"A": 1}'])
def test_damaged_environment(job, text):
    """Values that make no sense stop the run before the program."""
    job.send("touch ran", has_environment=True)
    job.transport.put(keys.environment(RUN_ID), text.encode())
    assert job.start() == 66
    assert not (job.root / "ran").exists()


def test_environment_that_is_gone(job):
    """A run whose values are gone says so and does not run without them."""
    job.send("touch ran", has_environment=True)
    assert job.start() == 66
    assert "environment variables" in job.result().error
    assert not (job.root / "ran").exists()


def test_no_such_run(job):
    """A run that is not in the bucket is a failed fetch."""
    assert job.start() == 66
    assert "run.json" in job.said


def test_no_program(job):
    """A run without a program is refused."""
    job.send("", program=())
    assert job.start() == 66
    assert "no program" in job.result().error


def test_wrong_manifest(job):
    """A manifest other than the one that the run names is refused."""
    job.send("touch ran", input_manifest_digest="0" * 64)
    assert job.start() == 66
    assert "SHA-256" in job.result().error
    assert not job.has(keys.output_manifest(RUN_ID, 1))


def test_second_attempt_goes_on_from_the_first(job):
    """A later attempt starts from what the newest earlier one stored."""
    job.send("ls; test -e step1 && touch step2; touch step1; test -e step2")
    assert job.start(1) == 1
    for path in job.root.iterdir():
        path.unlink()
    assert job.start(3) == 0
    assert {"step1", "step2"} <= set(job.output(3))
    assert "attempt 1 stored" in job.said


def test_unusable_earlier_attempt(job):
    """An earlier attempt whose manifest is damaged is passed over, and the log says so."""
    job.send("ls")
    job.transport.put(keys.output_manifest(RUN_ID, 1), b"nonsense")
    assert job.start(2) == 0
    assert "attempt 1 stored cannot be used" in job.said
    assert "Snakefile" in job.output(2)


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_earlier_attempt_with_a_long_list_of_files(job, is_gone):
    """A later attempt goes on from it, too; where part of it is gone, the log says so."""
    job.send("test -e made-3000 && exit; for n in $(seq 3000); do : > made-$n; done; exit 1")
    assert job.start(1) == 1
    key = keys.output_manifest(RUN_ID, 1)
    base = codec.retrieve(job.transport, key).base
    if is_gone:
        job.transport.delete(keys.pack(*base.stored.packs))
    for path in job.root.iterdir():
        path.unlink()
    assert job.start(2) == (1 if is_gone else 0)
    assert len(job.output(2)) == 3001
    said = "attempt 1 stored cannot be used" if is_gone else "goes on from what attempt 1 stored"
    assert said in job.said


def test_termination_while_running(job):
    """After SIGTERM the program is ended, its files are stored, and the exit code is 143."""
    script = "trap 'echo saved > saved.txt; exit 0' TERM; echo ready for the end; sleep 60 & wait"
    job.send(script)
    assert job.start() == 143
    assert "saved.txt" in job.output()
    assert job.result().exit_code == 143
    assert "asked the job to end" in job.result().error


def test_termination_while_fetching(job):
    """After SIGTERM during the fetch the attempt ends at once with 143, and says why."""
    never = threading.Event()

    def get(key, start=0, length=None):
        if key.startswith(keys.PACKS):
            os.kill(os.getpid(), signal.SIGTERM)
            never.wait(30)
        return job.transport.get(key, start, length)

    job.send("touch ran")
    assert job.start(transport=Wrapped(job.transport, get=get)) == 143
    never.set()
    assert job.result().exit_code == 143
    assert not job.has(keys.output_manifest(RUN_ID, 1))


@pytest.mark.parametrize(("script", "code"), [("exit 0", 74), ("exit 9", 9)])
def test_results_that_cannot_be_stored(job, script, code):
    """A failed upload is an error of its own, and never hides the program's."""

    def put(key, data, *, if_absent=False):
        if key == keys.output_manifest(RUN_ID, 1):
            message = "Cannot write: AWS denies it."
            raise AccessDeniedError(message)
        return job.transport.put(key, data, if_absent=if_absent)

    job.send(script, environment={"SECRET": "x"})
    assert job.start(transport=Wrapped(job.transport, put=put)) == code
    assert "results could not be stored" in job.said
    assert job.result().exit_code == code
    assert job.result().output_manifest is None
    assert "AWS denies it" in job.result().error


def test_a_passing_trouble_does_not_cost_the_results(job):
    """When S3 cannot be reached for a while, storing is tried again."""
    failures = [UnreachableError("Cannot reach S3.")] * 2

    def put(key, data, *, if_absent=False):
        if key == keys.output_manifest(RUN_ID, 1) and failures:
            raise failures.pop()
        return job.transport.put(key, data, if_absent=if_absent)

    job.send("touch new")
    assert job.start(transport=Wrapped(job.transport, put=put)) == 0
    assert "new" in job.output()
    assert job.slept == [5.0, 15.0]


def test_a_passing_trouble_does_not_cost_the_job_its_files(job):
    """When S3 cannot be reached for a while, fetching goes on where it was: from the first on."""
    failures = {name: [UnreachableError("Cannot reach S3.\n\nWhy?")] * 2 for name in ("r", "p")}

    def get(key, start=0, length=None):
        if failures[key[0]]:
            raise failures[key[0]].pop()
        return job.transport.get(key, start, length)

    job.send("touch new")
    assert job.start(transport=Wrapped(job.transport, get=get)) == 0
    assert "new" in job.output()
    assert job.slept == [1.0, 2.0] * 2
    assert "Cannot reach S3. Trying again for up to 2 minutes." in job.said


def test_lasting_trouble_ends_the_fetching(job):
    """When S3 stays beyond reach before the program runs, the job ends with 66, and says so."""

    def get(key, start=0, length=None):
        if key.startswith("packs/"):
            raise UnreachableError("Cannot reach S3.")
        return job.transport.get(key, start, length)

    job.send("true")
    assert job.start(transport=Wrapped(job.transport, get=get)) == 66
    assert 120 <= sum(job.slept) < 160
    assert "This has lasted for 2 minutes." in job.result().error


def test_credentials_that_are_refused_are_replaced(job):
    """A job whose credentials are refused at its end gets new ones, even if not at once."""
    new = [CredentialsError("There are none now."), job.transport]

    def reconnect():
        found = new.pop(0)
        if isinstance(found, CredentialsError):
            raise found
        return found

    def put(key, data, *, if_absent=False):
        if key == keys.output_manifest(RUN_ID, 1):
            raise CredentialsError("They have expired.")
        return job.transport.put(key, data, if_absent=if_absent)

    job.send("touch new")
    assert job.start(transport=Wrapped(job.transport, put=put), reconnect=reconnect) == 0
    assert "new" in job.output()
    assert job.slept == [5.0]


def test_credentials_that_stay_refused_end_the_tries(job):
    """New credentials that are refused as well are tried as long as other trouble is."""

    def put(key, *_arguments, **_options):
        if key.startswith(keys.RUNS):
            raise CredentialsError("They have expired.")
        return True

    refusing = Wrapped(job.transport, put=put)
    job.send("true")
    assert job.start(transport=refusing, reconnect=lambda: refusing) == 74
    assert job.slept == [15.0, 60.0, 120.0]


def test_lasting_trouble_ends_the_tries(job):
    """When S3 stays beyond reach, the tries end, and a program that succeeded is 74."""

    def put(key, *_arguments, **_options):
        if key.startswith(keys.RUNS):
            message = "Cannot reach S3."
            raise UnreachableError(message)
        return True

    job.send("true")
    assert job.start(transport=Wrapped(job.transport, put=put)) == 74
    assert job.slept == [5.0, 15.0, 60.0, 120.0]
    assert not job.has(keys.result(RUN_ID, 1))


def test_what_cannot_travel_does_not_keep_the_rest(job):
    """A pipe or a symlink that leaves the build is named, and all else is stored.

    The client tells it, too: nobody reads all of a long log, or any with ``--no-logs``.
    """
    job.send("mkfifo pipe; ln -s /etc/passwd out; touch fine")
    assert job.start() == 0
    assert "fine" in job.output()
    assert not {"pipe", "out"} & set(job.output())
    assert "Not stored: 'pipe'" in job.said
    assert "'out'" in job.said
    assert job.result().error is None
    assert job.result().not_stored.startswith("The results are not complete. '")
    assert job.result().not_stored.endswith("There are 1 more; see the job's log.")


def test_what_stays_in_the_job(job):
    """Version control, bytecode and Snakemake's environments are not stored; its records are."""
    stays = [".git/x", "a/__pycache__/m.pyc", "m.pyc", ".snakemake/conda/big", ".snakemake/locks/l"]
    goes = [f".snakemake/{name}/x" for name in ("log", "metadata", "incomplete", "storage")]
    made = "; ".join(f"mkdir -p $(dirname {path}); echo > {path}" for path in stays + goes)
    job.send(made)
    assert job.start() == 0
    assert not set(stays) & set(job.output())
    assert set(goes) <= set(job.output())


def test_a_bug_is_an_answer_too(job):
    """A bug in the agent ends the job with its own code and a traceback in the log."""

    def get(*_arguments):
        raise ZeroDivisionError

    assert job.start(transport=Wrapped(job.transport, get=get)) == 70
    assert "ZeroDivisionError" in job.said
    assert "bug" in job.result().error


def test_manifest_comes_after_everything_and_result_last(job):
    """Packs and log come before the manifest, and the result after all."""
    order = []

    def put(key, data, *, if_absent=False):
        order.append(key.rpartition("/")[2] if key.startswith(keys.RUNS) else "pack")
        return job.transport.put(key, data, if_absent=if_absent)

    job.send("echo new > new")
    assert job.start(transport=Wrapped(job.transport, put=put)) == 0
    assert order == ["pack", "log", "output.manifest", "result.json"]


def test_an_existing_directory_is_used(job):
    """The build directory may exist already, as in the stock image."""
    job.root.mkdir()
    job.send("ls")
    assert job.start() == 0
    assert Path(job.root, "Snakefile").exists()
