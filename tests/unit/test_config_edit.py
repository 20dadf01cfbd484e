"""Setting values in the configuration file."""

import stat
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.config import read_config
from nextstrain_batch.config_edit import update, with_values
from nextstrain_batch.errors import ConfigError, LocalFilesError

FILE = dedent("""\
    # Mine.

    [core]
    ; which
    runner = native

    [aws-batch]
    # the old one
    s3-bucket = old
        further
    CPUS: 8

    [docker]
    image = nextstrain/base
    """)


def test_all_else_stays_as_it_is():
    """Comments, order, other values and sections stay; a value's further lines go with it."""
    wanted = FILE.replace("s3-bucket = old\n    further\n", "s3-bucket = new\n")
    assert with_values(FILE, "aws-batch", {"s3-bucket": "new"}) == wanted


def test_a_new_value_comes_last_in_its_section():
    """A value that is not there yet is added where the section ends."""
    wanted = FILE.replace("CPUS: 8\n", "CPUS: 8\nqueue = q\n")
    assert with_values(FILE, "aws-batch", {"queue": "q"}) == wanted


def test_a_new_section_comes_last():
    """A section that is not there yet is added, after an empty line."""
    assert with_values("", "a", {"b": "c"}) == "[a]\nb = c\n"
    assert with_values("[x]\ny = z", "a", {"b": "c"}) == "[x]\ny = z\n\n[a]\nb = c\n"


def test_the_value_is_known_by_its_name_whatever_its_case():
    """`CPUS: 8` is the value `cpus`."""
    assert "cpus = 9\n" in with_values(FILE, "aws-batch", {"cpus": "9"})
    assert "CPUS" not in with_values(FILE, "aws-batch", {"cpus": "9"})


NAMES = st.sampled_from(["core", "aws-batch", "docker"])
KEYS = st.sampled_from(["runner", "s3-bucket", "cpus", "image"])
VALUES = st.text("abc/:. -", min_size=1).map(str.strip).filter(bool)
CONFIGS = st.dictionaries(NAMES, st.dictionaries(KEYS, VALUES), max_size=3)
NOISE = st.lists(st.sampled_from(["", "# [core]", "; cpus = 3", "   "]), max_size=2)


@given(CONFIGS, NOISE, NAMES, st.dictionaries(KEYS, VALUES, min_size=1))
def test_the_values_are_set_and_no_others(tmp_path_factory, config, noise, section, values):
    """Whatever the file holds, reading it again gives the old values and the new ones."""
    path = tmp_path_factory.mktemp("config") / "config"
    lines = [
        line
        for name, options in config.items()
        for line in [f"[{name}]", *noise, *(f"{key} = {value}" for key, value in options.items())]
    ]
    path.write_text("\n".join(lines))
    before = dict(read_config(path).values)
    changed = update(path, section, values)
    after = dict(read_config(path).values)
    assert after == before | {(section, key): value for key, value in values.items()}
    assert changed == (before != after)
    assert not update(path, section, values)


def test_a_link_to_the_file_stays_a_link(tmp_path):
    """A configuration file that is kept elsewhere is changed there."""
    real, link = tmp_path / "dotfiles", tmp_path / "config"
    real.write_text("# mine\n")
    link.symlink_to(real)
    assert update(link, "core", {"runner": "native"})
    assert link.is_symlink()
    assert "runner = native" in real.read_text()


def test_a_new_file_is_the_users_alone(tmp_path):
    """The file and its directory are made where they are missing, readable by nobody else."""
    path = tmp_path / "home" / "config"
    assert update(path, "core", {"runner": "native"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_malformed_file_is_not_touched(tmp_path):
    """A file that cannot be read is an error, and stays as it is."""
    path = tmp_path / "config"
    path.write_text("what")
    with pytest.raises(ConfigError, match="Line 1"):
        update(path, "core", {"runner": "native"})
    assert path.read_text() == "what"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where root cannot write")
def test_a_file_that_cannot_be_written_says_what_to_write():
    """The error holds the lines to add by hand."""
    with pytest.raises(LocalFilesError, match="runner = native"):
        update(Path("/proc/self/nextstrain/config"), "core", {"runner": "native"})
