"""The real command, on a sandbox that all system tests share."""

import os
import resource
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from nextstrain_batch.sandbox.breaking import Breaking
from terminals import Terminal

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Command:
    """``nextstrain`` with an environment of its own."""

    environment: dict = field(repr=False)

    def __call__(
        self,
        *arguments,
        env=None,
        cwd=None,
        timeout=180,
        stdout=subprocess.PIPE,
        largest_file=resource.RLIM_INFINITY,
    ):
        return subprocess.run(
            [BIN / "nextstrain", *map(str, arguments)],
            env={**self.environment, **(env or {})},
            cwd=cwd,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY)
            ),
        )

    def in_terminal(self, *arguments, env=None, cwd=None, timeout=60, columns=120):
        return Terminal(
            BIN / "nextstrain",
            arguments,
            env={**self.environment, "TERM": "xterm", "NO_COLOR": "1", **(env or {})},
            cwd=str(cwd) if cwd else None,
            timeout=timeout,
            dimensions=(40, columns),
            encoding="utf-8",
        )


def environment_of(home):
    """Return an environment with nothing of the developer's own AWS or Nextstrain settings."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "NEXTSTRAIN_HOME": str(home / ".nextstrain"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
    }


@pytest.fixture(scope="session")
def command_in():
    """Return what returns the real command with a home of its own."""
    return lambda home, **more: Command({**environment_of(home), **more})


@pytest.fixture(scope="session")
def nextstrain(tmp_path_factory):
    """Return the real command, in a home whose sandbox is up."""
    command = Command(environment_of(tmp_path_factory.mktemp("user")))
    started = command("sandbox", "start")
    assert started.returncode == 0, started.stderr
    yield command
    stopped = command("sandbox", "stop")
    assert stopped.returncode == 0, stopped.stderr


@pytest.fixture
def broken(nextstrain):
    """Return what makes the sandbox fail; after the test it is well again."""
    with Breaking(Path(nextstrain.environment["NEXTSTRAIN_HOME"])) as found:
        yield found


@pytest.fixture(scope="session")
def account(nextstrain):
    """Return the sandbox's settings as `nextstrain sandbox env` gives them to other tools."""
    answer = nextstrain("sandbox", "env")
    assert answer.returncode == 0, answer.stderr
    words = [word for word in shlex.split(answer.stdout, comments=True) if "=" in word]
    return dict(word.split("=", 1) for word in words)


@pytest.fixture
def no_sandbox(tmp_path):
    """Return the real command, in a home without a sandbox or any setting."""
    return Command(environment_of(tmp_path))


@pytest.fixture
def pathogen(tmp_path):
    """Return a small pathogen directory: two rules, no program but the shell's own."""
    directory = tmp_path / "toy"
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "names.txt").write_text("ada\ngrace\nbarbara\n")
    (directory / "Snakefile").write_text(
        dedent("""\
        rule all:
            input: "results/count.txt"

        rule sort:
            input: "data/names.txt"
            output: "results/sorted.txt"
            shell: "sort {input} > {output}; echo sorting; echo to stderr >&2"

        rule count:
            input: "results/sorted.txt"
            output: "results/count.txt"
            params: prefix="n="
            shell: "(printf {params.prefix}; wc -l < {input}) > {output}"
        """)
    )
    return directory
