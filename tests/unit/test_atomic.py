"""Small files that appear whole or not at all."""

import stat
import subprocess
import sys

import pytest

from nextstrain_batch import atomic


def test_makes_the_directories_above_and_keeps_others_out(tmp_path):
    """A file is readable by its owner alone, and so are the directories made for it."""
    path = tmp_path / "a" / "b" / "file"
    atomic.write(path, b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


def test_a_failure_leaves_what_was_there(tmp_path):
    """Where the file cannot be replaced, the old one stays and nothing is left over."""
    path = tmp_path / "file"
    path.mkdir()
    (path / "inside").write_text("")
    with pytest.raises(OSError, match="irectory"):
        atomic.write(path, b"content")
    assert list(tmp_path.iterdir()) == [path]
    assert (path / "inside").exists()


def test_a_full_disk_says_which_file_does_not_fit(tmp_path):
    """The system names no file where an open one cannot grow; the error does all the same."""
    script = (
        "import resource, signal, sys, pathlib; from nextstrain_batch import atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n    atomic.write(pathlib.Path('file'), b'x' * 100)\n"
        "except OSError as error:\n    sys.exit(error.filename)"
    )
    command = [sys.executable, "-B", "-c", script]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stderr == "file\n"
    assert not list(tmp_path.iterdir())
