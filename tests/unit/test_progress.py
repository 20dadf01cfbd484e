"""Progress as lines, and paced for bars."""

import io

import pyte

from nextstrain_batch import assemble, prune, sending, snapshot
from nextstrain_batch.progress import TITLES, Lines, Paced
from nextstrain_batch.ui import Ui, for_streams


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_every_phase_has_a_title():
    """What a module calls a phase is told in words."""
    phases = {snapshot.READING, sending.READING_AND_SENDING, sending.SENDING}
    assert TITLES.keys() == phases | {assemble.FETCHING, prune.DELETING}


def told(clock, steps, *, phase="send", total=1000):
    """Return the lines told of steps: seconds later, bytes done."""
    lines = []
    progress = Lines(lines.append, clock)
    for seconds, done in steps:
        clock.now += seconds
        progress(phase, done, total)
    return lines


def test_a_short_phase_is_not_worth_a_line():
    """What is over within ten seconds is not told."""
    assert told(Clock(), [(0, 0), (4, 500), (4, 900), (1, 1000)]) == []


def test_at_most_one_line_in_ten_seconds():
    """However often progress is made, a line is ten seconds from the one before."""
    lines = told(Clock(), [(0, 0), *((0.5, done) for done in range(1, 100))], total=100)
    assert len(lines) == 4


def test_a_line_tells_rate_and_remaining_time():
    """A line tells what is done of how much, how fast, and how long it will take."""
    lines = told(Clock(), [(0, 0), (20, 40_000_000)], total=400_000_000)
    assert lines == ["Sending: 40.0 MB of 400.0 MB (10 %), 2.0 MB/s, about 3 min left"]


def test_nothing_done_yet():
    """Where nothing is done after ten seconds there is no rate to tell."""
    assert told(Clock(), [(0, 0), (11, 0)]) == ["Sending: 0 bytes of 1.0 kB (0 %)"]


def test_each_phase_counts_its_own_time():
    """A phase that begins late is told ten seconds after its own beginning, at its own rate."""
    clock, lines = Clock(), []
    progress = Lines(lines.append, clock)
    progress("read", 0, 100)
    clock.now += 9
    progress("send", 0, 1000)
    clock.now += 9
    progress("send", 100, 1000)
    assert lines == []
    clock.now += 1
    progress("send", 200, 1000)
    assert lines == ["Sending: 200 bytes of 1.0 kB (20 %), 20 bytes/s, about 40 s left"]


def test_lines_go_to_standard_error():
    """Away from a terminal the lines are written where warnings are, so that results stay clean."""
    clock, out, err = Clock(), io.StringIO(), io.StringIO()
    with Ui(out, err, clock=clock).progress() as progress:
        progress("fetch", 0, 100)
        clock.now += 10
        progress("fetch", 50, 100)
    assert out.getvalue() == ""
    assert err.getvalue().startswith("Fetching: 50 bytes of 100 bytes (50 %)")


def test_bars_are_not_redrawn_for_every_file():
    """Of many small steps few are drawn, of each phase the first and the last among them."""
    clock, drawn = Clock(), []
    paced = Paced(lambda *step: drawn.append(step), clock)
    for done in range(1001):
        clock.now += 0.001
        paced("read", done, 1000)
    paced("send", 0, 5)
    assert len(drawn) < 30
    assert drawn[0] == ("read", 0, 1000)
    assert drawn[-2:] == [("read", 1000, 1000), ("send", 0, 5)]


def test_bars_show_rate_and_remaining_time():
    """A bar has the phase's name, how much is done, the rate and the time that is left."""
    err = Terminal()
    with for_streams(io.StringIO(), err, {"TERM": "xterm"}).progress() as progress:
        progress("read", 1_000_000, 2_000_000)
        progress("read", 2_000_000, 2_000_000)
    text = err.getvalue()
    assert "Reading" in text
    assert "2.0/2.0 MB" in text
    assert "/s" in text or "?" in text


def test_what_is_said_meanwhile_stands_above_the_bars():
    """A line on the terminal that the bars are on does not break into them; elsewhere it goes out
    as ever."""
    both, apart, err = Terminal(), io.StringIO(), Terminal()
    ui = for_streams(both, both, {"TERM": "xterm"})
    with ui.progress() as progress:
        progress("send", 1_000_000, 2_000_000)
        ui.say("The bucket [answers] again.")
        shown = rows(both.getvalue())
        assert shown[0] == "The bucket [answers] again."
        assert shown[1].startswith("Sending")
        assert len(shown) == 2
    ui.say("Sent.")
    assert rows(both.getvalue()) == ["The bucket [answers] again.", "Sent."]

    ui = for_streams(apart, err, {"TERM": "xterm"})
    with ui.progress() as progress:
        progress("send", 1_000_000, 2_000_000)
        ui.say("said")
        ui.warn("warned")
    assert apart.getvalue() == "said\n"
    assert rows(err.getvalue()) == ["warning: warned"]


def rows(written):
    """Return the lines that a terminal shows after that was written."""
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(written.replace("\n", "\r\n"))
    return [row.rstrip() for row in screen.display if row.strip()]
