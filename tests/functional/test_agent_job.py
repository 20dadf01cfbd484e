"""The job's command as a container runs it: bootstrap, agent, program, and a bucket.

The image is a directory with the programs that it has, and nothing else is in ``PATH``.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from needs import missing
from nextstrain_batch.agent import bootstrap, bundle
from nextstrain_batch.errors import MissingObjectError
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.runs import Run, write_record
from nextstrain_batch.store import codec, keys
from trees import send_by

PYENV = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser()
PYTHONS = ("python3", "python3.12", "python")
RUN_ID = "zika-20261123T041500Z-1a2b3c4d"
TOOLS = ("sh", "cat", "env", "sleep", "mkdir", "rm", "cp", "ls", "dirname", "touch")


def python_of(version):
    """Return a Python of that version, this one or one that pyenv has; else skip the test."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = sorted(PYENV.glob(f"versions/{version}.*/bin/python{version}"))
    return found[-1] if found else pytest.skip(f"needs Python {version}")


class Image:
    """A directory of programs."""

    def __init__(self, directory):
        self.bin = directory / "bin"
        self.bin.mkdir(parents=True)
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        for tool in TOOLS:
            self.link(tool)

    def link(self, tool):
        (self.bin / tool).symlink_to(shutil.which(tool) or missing(f"needs {tool}"))

    def add(self, name, text):
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def add_python(self, executable=sys.executable, name="python3"):
        self.add(name, f'exec {executable} "$@"')

    def add_bare_python(self, executable=sys.executable, name="python3"):
        """Add a Python without any package."""
        home = self.bin.parent / f"bare-{name}"
        subprocess.run([executable, "-m", "venv", "--without-pip", str(home)], check=True)
        self.add_python(home / "bin" / "python", name)

    def start(self, command, **environ):
        environ = {"PATH": str(self.bin), "TMPDIR": str(self.temporary), **environ}
        environ |= {name: os.environ[name] for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY")}
        environ = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **environ}
        return subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, command, **environ):
        with self.start(command, **environ) as process:
            output, _ = process.communicate(timeout=60)
        return process.returncode, output


@pytest.fixture(scope="module")
def agent():
    data = bundle.build()
    return bundle.bundled(data)


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "image")


@pytest.fixture
def fake_agent(tmp_path):
    """A bundle that only says that it runs, and how."""
    path = tmp_path / "agent.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", "import sys; print('agent', sys.flags.isolated)")
    return bundle.bundled(path.read_bytes()), path


def command(agent):
    return bootstrap.command(agent.digest, PYTHONS)


RUN = {"NEXTSTRAIN_BATCH_RUN": f"s3://bucket/some/prefix/runs/{RUN_ID}"}


# --- the bootstrap alone


def test_fetches_with_the_cli(image, fake_agent, tmp_path):
    """Without botocore the AWS CLI fetches the agent, told of the endpoint for old versions."""
    agent, path = fake_agent
    image.add_bare_python()
    image.add("aws", f'echo "$@" >> {tmp_path}/asked; cat {path}')
    code, output = image.run(command(agent), **RUN, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (code, output) == (0, "agent 1\n")
    url = f"s3://bucket/some/prefix/agents/{agent.digest}"
    asked = (tmp_path / "asked").read_text().strip()
    assert asked == f"s3 cp --only-show-errors {url} - --endpoint-url http://127.0.0.1:9"


def test_no_endpoint_is_amazons(image, fake_agent, tmp_path):
    """Without an endpoint in the environment the CLI is told of none."""
    agent, path = fake_agent
    image.add_bare_python()
    image.add("aws", f'echo "$@" >> {tmp_path}/asked; cat {path}')
    assert image.run(command(agent), **RUN)[0] == 0
    assert "endpoint" not in (tmp_path / "asked").read_text()


def test_neither_cli_nor_botocore(image, fake_agent):
    """An image with nothing that can speak to S3 is 72, and the message names what would do."""
    image.add_bare_python()
    code, output = image.run(command(fake_agent[0]), **RUN)
    assert code == 72
    assert "neither the AWS CLI nor Python's botocore" in output


def test_cli_fails(image, fake_agent):
    """When nothing can fetch the agent, it is 73, with the reason that each way gave."""
    image.add_python()
    image.add("aws", "echo fatal error: denied >&2; exit 1")
    code, output = image.run(command(fake_agent[0]), **RUN)
    assert code == 73
    assert "fatal error: denied" in output
    assert "botocore: Unable to locate credentials" in output


def test_botocore_fails_and_the_cli_does_not(image, fake_agent):
    """When one way fails, the other one is tried."""
    agent, path = fake_agent
    image.add_python()
    image.add("aws", f"cat {path}")
    assert image.run(command(agent), **RUN) == (0, "agent 1\n")


def test_damaged_agent(image, fake_agent):
    """Other bytes than those that the client sent are never run: 75."""
    image.add_bare_python()
    image.add("aws", "echo something else")
    code, output = image.run(command(fake_agent[0]), **RUN)
    assert code == 75
    assert "is damaged" in output


@pytest.mark.parametrize("run", ["", "s3://bucket/elsewhere", "http://x/runs/1"])
def test_no_run(image, fake_agent, run):
    """A job that is not told its run is 64."""
    image.add_python()
    code, output = image.run(command(fake_agent[0]), NEXTSTRAIN_BATCH_RUN=run)
    assert code == 64
    assert "NEXTSTRAIN_BATCH_RUN" in output


def test_no_python(image, fake_agent):
    """An image without Python is 71, and the message says what was tried and what to do."""
    code, output = image.run(command(fake_agent[0]), **RUN)
    assert code == 71
    assert "no Python 3.11 or newer" in output
    assert "python3.12" in output
    assert "nextstrain/base" in output


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10"])
def test_old_python(image, fake_agent, version):
    """A Python that is too old counts as none; a newer one under another name is found."""
    old = python_of(version)
    agent, path = fake_agent
    image.add_python(old)
    image.add("aws", f"cat {path}")
    assert image.run(command(agent), **RUN)[0] == 71
    image.add_bare_python(name="python3.12")
    assert image.run(command(agent), **RUN) == (0, "agent 1\n")


def test_termination_during_bootstrap(image, fake_agent, tmp_path):
    """SIGTERM while the agent is fetched ends the job at once with 143."""
    image.add_bare_python()
    image.add("aws", f"touch {tmp_path}/asked; exec sleep 20")
    with image.start(command(fake_agent[0]), **RUN) as process:
        wait_for((tmp_path / "asked").exists)
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert process.wait(10) == 143
        assert time.monotonic() - begun < 2
        process.stdout.close()


# --- the whole job


class Job:
    """A run in a bucket on a real S3 server."""

    def __init__(self, endpoint, transport, agent, tmp_path, image):
        self.transport = transport
        self.source = tmp_path / "source"
        self.root = tmp_path / "build"
        self.agent = agent
        self.image = image
        self.environ = {
            "NEXTSTRAIN_BATCH_RUN": f"{self.transport.url}/runs/{RUN_ID}",
            "NEXTSTRAIN_BATCH_BUILD_DIR": str(self.root),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
        }

    def send(self, script, files, **changes):
        for path, text in files.items():
            (self.source / path).parent.mkdir(parents=True, exist_ok=True)
            (self.source / path).write_text(text)
        manifest = send_by(self.source, self.transport, lambda: datetime.now(UTC)).manifest
        digest = codec.publish(manifest, self.transport, keys.input_manifest(RUN_ID))
        run = Run(RUN_ID, datetime.now(UTC), "zika", "", ("sh", "-c", script), "q", "d", digest)
        write_record(replace(run, **changes), self.transport)
        bundle.publish(self.agent, self.transport, lambda: datetime.now(UTC))

    def start(self):
        return self.image.run(command(self.agent), **self.environ)

    def result(self):
        return AttemptResult.from_json(self.transport.get(keys.result(RUN_ID, 1)))

    def output(self):
        key = keys.output_manifest(RUN_ID, 1)
        manifest = codec.retrieve(self.transport, key, self.result().output_manifest)
        return {entry.path for entry in manifest.entries}


@pytest.fixture
def job(s3_server, s3_transport, agent, tmp_path, image):
    return Job(s3_server, s3_transport, agent, tmp_path, image)


def test_a_job(job):
    """A job runs with what the stock image has, and its results and log are in the bucket."""
    job.image.add_python()
    job.send("cat data/x; echo > new; exit 3", {"data/x": "hello\n"})
    job.transport.put(keys.environment(RUN_ID), b"{}")
    code, output = job.start()
    assert code == 3, output
    assert "\nhello\n" in output
    assert job.output() == {"data", "data/x", "new"}
    assert job.result().exit_code == 3
    assert job.transport.get(keys.log(RUN_ID, 1)).decode() == output
    assert list(job.image.temporary.iterdir()) == []


def test_the_users_credentials_are_not_the_agents(job):
    """Credentials among the user's values, even wrong ones, do not touch the results."""
    job.image.add_python()
    job.send("echo key $AWS_ACCESS_KEY_ID > new", {"x": ""}, has_environment=True)
    values = b'{"AWS_ACCESS_KEY_ID": "expired", "AWS_SECRET_ACCESS_KEY": "expired"}'
    job.transport.put(keys.environment(RUN_ID), values)
    code, output = job.start()
    assert code == 0, output
    assert (job.root / "new").read_text() == "key expired\n"
    assert "new" in job.output()
    with pytest.raises(MissingObjectError):
        job.transport.get(keys.environment(RUN_ID))


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_needs_no_packages(job, agent, version, tmp_path):
    """The agent needs no package of the image: a bare Python and the zstd program are enough."""
    python = python_of(version)
    (tmp_path / "agent.zip").write_bytes(agent.data)
    job.image.add_bare_python(python)
    job.image.add("aws", f"cat {tmp_path}/agent.zip")
    if version != "3.14":
        job.image.link("zstd")
    job.send("echo made > new", {"x": "text\n" * 1000})
    code, output = job.start()
    assert code == 0, output
    assert job.output() == {"new", "x"}


def test_no_zstd(job, agent, tmp_path):
    """An image without any zstd says so before the program is run."""
    if sys.version_info >= (3, 14):
        pytest.skip("this Python has zstd")
    (tmp_path / "agent.zip").write_bytes(agent.data)
    job.image.add_bare_python()
    job.image.add("aws", f"cat {tmp_path}/agent.zip")
    job.send("echo made > new", {"x": ""})
    code, output = job.start()
    assert code == 66
    assert "zstd" in output
    assert not (job.root / "new").exists()


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_module_can_be_imported(agent, version, tmp_path):
    """All of ours that travels finds all that it imports, without the image's packages."""
    python = python_of(version)
    (tmp_path / "agent.zip").write_bytes(agent.data)
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        archive.extractall(tmp_path / "agent")
        names = [name for name in archive.namelist() if name.startswith("nextstrain_batch/")]
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names
    ]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'agent')!r})\n"
        f"for name in {modules!r}: __import__(name)\n"
        "import botocore.session, botocore.credentials\n"
        "session = botocore.session.Session()\n"
        "for service in ('s3', 'sts'): session.create_client(service, region_name='us-west-2')\n"
        "print(botocore.session.__file__)"
    )
    done = subprocess.run(
        [python, "-ISB", "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(str(tmp_path / "agent")), done.stderr


def test_termination_through_the_whole_chain(job):
    """SIGTERM to the job's only process ends the program, stores its files, and is 143."""
    job.image.add_python()
    job.send("trap 'echo > saved; exit' TERM; echo ready; sleep 30 & wait", {"x": ""})
    with job.image.start(command(job.agent), **job.environ) as process:
        for line in process.stdout:
            if line == "ready\n":
                process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    assert "saved" in job.output()


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
