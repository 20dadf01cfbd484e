"""What starting up imports: a heavy module would cost every command its time."""

import subprocess
import sys

import pytest

HEAVY = {
    *(
        "boto3",
        "botocore",
        "rich",
        "wcmatch",
        "pathspec",
        "moto",
        "waitress",
        "backports.zstd",
        "zstandard",
    ),
    *(
        "urllib.request",
        "asyncio",
        "concurrent.futures",
        "configparser",
        "email",
        "http",
        "importlib.metadata",
    ),
    *("json", "logging", "multiprocessing", "socket", "ssl", "subprocess", "tempfile"),
}

PROBE = """
import sys
before = set(sys.modules)
from nextstrain_batch.__main__ import main
sys.argv = ["nextstrain", *sys.argv[1:]]
try:
    code = main()
except SystemExit as ended:
    code = ended.code
if code:
    sys.exit(code)
sys.stderr.write("\\n".join(set(sys.modules) - before))
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["version"],
        ["--help"],
        ["build", "--help"],
        ["sandbox", "--help"],
        ["setup", "--help"],
        ["check-setup", "--help"],
        ["storage", "--help"],
    ],
)
def test_showing_help_or_the_version_imports_nothing_heavy(words):
    """`--version` and every `--help` do without AWS, colour and the sandbox's packages."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True
    )
    imported = set(done.stderr.splitlines())
    assert "nextstrain_batch.cli" in imported
    assert {name for name in imported if name in HEAVY or name.split(".")[0] in HEAVY} == set()


def test_the_version_imports_no_other_command():
    """`--version` imports no command at all."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "--version"], capture_output=True, text=True, check=True
    )
    assert "nextstrain_batch.commands" not in done.stderr.splitlines()
