"""The job's log."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.agent.joblog import JobLog


@pytest.fixture
def stdout():
    return io.BytesIO()


@pytest.fixture
def log(tmp_path, stdout):
    with JobLog(tmp_path, stdout) as log:
        yield log


def non_empty_lines(data):
    return len([line for line in data.split(b"\n") if line])


def test_passes_on_at_once(log, stdout):
    """What a program says is on standard output at once, ended line or not."""
    log.write(b"half a li")
    assert stdout.getvalue() == b"half a li"


def test_keeps_bytes_as_they_are(log):
    """Binary output and an unended last line are kept unchanged."""
    log.write(bytes(range(256)))
    log.write(b"end")
    assert log.content() == bytes(range(256)) + b"end"


def test_own_messages_are_marked_and_begin_a_line(log):
    """A message of the agent never continues a line of the program."""
    log.write(b"unended")
    log.say("one\n\ntwo")
    log.say("three \udcff")
    assert log.content() == (
        b"unended\n[nextstrain] one\n[nextstrain] two\n[nextstrain] three \\udcff\n"
    )
    assert log.lines == 4


@given(st.lists(st.binary(max_size=5).map(lambda data: data.replace(b"a", b"\n")), max_size=9))
def test_counts_lines_that_are_not_empty(tmp_path_factory, writes):
    """The number of lines does not depend on how the output arrives in pieces."""
    with JobLog(tmp_path_factory.mktemp("log"), None) as log:
        for data in writes:
            log.write(data)
        assert log.lines == non_empty_lines(b"".join(writes))
        assert log.total == len(b"".join(writes))


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=30))
def test_keeps_beginning_and_end(tmp_path_factory, writes):
    """Of a log beyond the limits the beginning and the end are kept, and a line says so."""
    whole = b""
    with JobLog(tmp_path_factory.mktemp("log"), None, head=40, tail=40) as log:
        for data in writes:
            earlier, was_whole = log.content(), log.content_is_whole()
            log.write(data)
            whole += data
            assert not was_whole or log.content().startswith(earlier)
        content = log.content()
    assert len(content) < 40 + 2 * 70 + 100
    assert content[:40] == whole[:40]
    assert content[-min(len(whole), 40) :] == whole[-40:]
    if content != whole:
        assert b"bytes are left out here" in content


def test_lost_reader_does_not_end_the_build(tmp_path):
    """When nobody reads standard output any more, the kept copy goes on."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as stdout, JobLog(tmp_path, stdout) as log:
        log.write(b"one\n")
        log.say("two")
        content = log.content()
    assert content == b"one\n[nextstrain] two\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_does_not_end_the_build(tmp_path, stdout):
    """When the kept copy has no room, standard output still gets everything."""
    (tmp_path / "head").symlink_to("/dev/full")
    with JobLog(tmp_path, stdout) as log:
        log.write(b"one\n")
    assert stdout.getvalue() == b"one\n"


def test_a_program_that_empties_the_directory(tmp_path):
    """Whatever becomes of the files' names, the beginning and the end are kept."""
    with JobLog(tmp_path, None, head=10, tail=10) as log:
        log.write(b"beginning\n" + b"a" * 15)
        for each in tmp_path.iterdir():
            each.unlink()
        tmp_path.rmdir()
        log.write(b"b" * 15)
        log.write(b"the end")
        content = log.content()
    assert content.startswith(b"beginning\n")
    assert content.endswith(b"the end")
