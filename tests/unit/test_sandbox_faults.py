"""Faults as data: which of those that they meet they strike."""

import argparse

import pytest

from nextstrain_batch import cli
from nextstrain_batch.commands import sandbox_fault
from nextstrain_batch.sandbox.control import Clock
from nextstrain_batch.sandbox.faults import KINDS, OF_JOBS, OF_LOGS, OF_REQUESTS, Fault, Faults
from nextstrain_batch.sandbox.faulty_logs import FaultyLog
from nextstrain_batch.sandbox.frames import Frames


def always(_):
    return True


def struck(faults, kind, number):
    return [bool(faults.strike({kind}, always)) for _ in range(number)]


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({}, "XXXXXX"),
        ({"times": 2}, "XX...."),
        ({"after": 2}, "..XXXX"),
        ({"every": 3}, "X..X.."),
        ({"after": 1, "every": 2, "times": 2}, ".X.X.."),
    ],
)
def test_which_are_struck(values, pattern):
    """The first ``after`` are spared, then each ``every``th is struck, ``times`` at most."""
    faults = Faults()
    faults.add(Fault.of({"kind": "throttle", **values}))
    found = "".join("X" if each else "." for each in struck(faults, "throttle", 6))
    assert found == pattern
    (shown,) = faults.shown()
    assert (shown["met"], shown["struck"]) == (6, pattern.count("X"))


def test_a_fault_lasts_for_its_time():
    """After ``lasting`` seconds nothing is struck any more."""
    now = [100.0]
    faults = Faults(clock=lambda: now[0])
    faults.add(Fault.of({"kind": "delay", "lasting": 5}))
    assert struck(faults, "delay", 1) == [True]
    now[0] = 105.0
    assert struck(faults, "delay", 1) == [False]
    assert faults.shown()[0]["is_spent"]


def test_some_kinds_strike_once():
    """Killing an agent once is what was meant, unless told otherwise."""
    assert Fault.of({"kind": "kill-agent"}).times == 1
    assert Fault.of({"kind": "kill-agent", "times": 2}).times == 2
    assert Fault.of({"kind": "throttle"}).times is None


def test_expired_keys_stay_expired():
    """A key that has expired is refused from then on; ``times`` counts keys."""
    faults = Faults()
    faults.add(Fault.of({"kind": "expire", "after": 1, "times": 1}))
    asked = ["one", "one", "two", "one", "two"]
    found = [faults.expires(key, always) for key in asked]
    assert found == [False, True, False, True, False]


def test_every_kind_belongs_somewhere_and_is_offered():
    """Each kind is carried out by somebody, explained, and known to the command."""
    assert set(KINDS) == OF_REQUESTS | OF_JOBS | OF_LOGS
    assert tuple(KINDS) == sandbox_fault.KINDS


def test_the_command_passes_on_what_is_given():
    """Options that are not given are left to the fault's own defaults."""
    words = ["--api", "GetObject", "--size", "1kib", "--times", "2"]
    arguments = cli.make_parser().parse_args(["sandbox", "fault", "add", "cut", *words])
    assert isinstance(arguments, argparse.Namespace)
    given = sandbox_fault._values(arguments)
    assert given == {"api": "GetObject", "size": 1024, "times": 2}


def test_a_fault_as_a_line():
    """A fault is shown with what was chosen, and with its counts."""
    faults = Faults()
    faults.add(Fault.of({"kind": "throttle", "api": "ListJobs", "times": 3}))
    struck(faults, "throttle", 2)
    line = sandbox_fault.shown(faults.shown()[0])
    assert line == "1  throttle --api ListJobs --times 3: struck 2 of 2, in force"


def test_events_that_wait_are_delivered_in_the_end():
    """An event that waits for the next one is delivered when there is no next one."""
    faults, delivered = Faults(), []
    faults.add(Fault.of({"kind": "reorder-log", "line": "[ac]"}))
    log = FaultyLog(delivered.extend, faults, job="job", job_id="id")
    log([(1, "a"), (2, "b"), (3, "c")])
    assert delivered == [(2, "b"), (1, "a")]
    log.close()
    assert delivered[2:] == [(3, "c")]


def test_a_moments_age_counts_what_was_advanced_since():
    """Time that passed at once makes older what was there before, not what came after."""
    now = [1000.0]
    clock = Clock(lambda: now[0])
    clock.advance(60)
    now[0] = 1010.0
    assert clock() == 1070.0
    assert clock.age(1000.0) == 70.0
    assert clock.age(1005.0) == 5.0


def test_frames_are_read_up_to_damage(tmp_path):
    """Whole frames of all files are read, in order; what is cut short or damaged ends a file."""
    frames = Frames(tmp_path, "some")
    frames.append(b"one")
    frames.append(b"two")
    (first,) = frames.rotate()
    frames.append(b"three")
    assert list(frames.read()) == [b"one", b"two", b"three"]
    data = first.read_bytes()
    first.write_bytes(data[:-1])
    assert list(frames.read()) == [b"one", b"three"]
    first.write_bytes(data[:10] + b"x" + data[11:])
    assert list(frames.read()) == [b"three"]


def test_frames_go_on_in_a_new_file(tmp_path):
    """Nothing is added behind a file that may have been cut short."""
    Frames(tmp_path, "some").append(b"one")
    again = Frames(tmp_path, "some")
    again.append(b"two")
    assert len(again.rotate()) == 2
    assert list(again.read()) == [b"one", b"two"]
