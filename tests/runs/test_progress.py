"""Progress lines."""

import io

import pytest

from lop.runs.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (18600, "5 h 10 min"), (183600, "2 d 3 h")]
)
def test_durations_are_shown_in_two_units(seconds, text):
    assert duration(seconds) == text


def test_line_shows_progress_speed_and_time_left():
    progress = Progress("rl/ant/std seed 0", 2000, "steps", stream=io.StringIO())
    progress.begin(500)
    text = progress.line(1000, 10.0, "mean return 12")
    assert text == "rl/ant/std seed 0  50% | 1,000 of 2,000 steps | 50 steps/s | mean return 12 | 20 s left"
    assert "unknown time left" in progress.line(500, 10.0, "")


def test_lines_are_printed_at_most_every_given_interval():
    stream = io.StringIO()
    progress = Progress("a", 10, "steps", every=1000, stream=stream)
    progress.begin(0)
    progress.update(5)
    assert stream.getvalue() == ""
    progress.last -= 2000
    progress.update(6)
    progress.update(7)
    progress.end("done")
    assert stream.getvalue().count("\n") == 2


def test_long_run_prints_a_line_per_percent_or_every_ten_minutes():
    stream = io.StringIO()
    progress = Progress("a", 1000, "steps", every=1, stream=stream)
    progress.begin(0)
    for step, silent, lines in ((5, 20, 0), (10, 20, 1), (12, 20, 1), (13, 700, 2)):
        progress.last -= silent
        progress.update(step)
        assert stream.getvalue().count("\n") == lines
        progress.last += silent


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_line_on_a_terminal_is_redrawn_every_second():
    stream = Terminal()
    progress = Progress("a", 1000, "steps", every=60, stream=stream)
    progress.begin(10)
    for step, silent in ((11, 0.5), (12, 1.5)):
        progress.last -= silent
        progress.update(step)
    progress.end("done")
    first, line, last = stream.getvalue().removeprefix("\r\x1b[K").split("\r\x1b[K")
    assert (first, last) == ("a: continues from 10 of 1,000 steps\n", "a: done\n")
    assert line.startswith("a   1% | 12 of 1,000 steps | ")
    assert not line.endswith("\n")
