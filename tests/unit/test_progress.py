"""The time that is left, as long work says it."""

import heapq
import io
import random

import pytest

from music_flamingo.core import progress
from music_flamingo.core.progress import Progress


def test_the_loading_of_tools_does_not_count_towards_the_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    work = Progress("facts", 100, "tracks", io.StringIO(), _started=0.0)
    now[0] = 60.0
    work.advance()
    assert work.line() == "facts  1/100 tracks  1:00 so far, ? left"
    now[0] = 70.0
    work.advance(10)
    assert work.line() == "facts  11/100 tracks  1/s  1:29 left"
    now[0] = 159.0
    work.advance(89)
    assert work.line() == "facts  100/100 tracks  0.629/s  2:39 in all"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_tqdms_bar_and_no_lines():
    terminal = Terminal()
    with Progress("facts", 3, "tracks", terminal) as work:
        for _ in range(3):
            work.advance()
    assert "3/3" in terminal.getvalue() and "in all" not in terminal.getvalue()


def test_elsewhere_the_end_is_said_once():
    log = io.StringIO()
    with Progress("facts", 1, "tracks", log) as work:
        work.advance()
    assert log.getvalue().count("1/1 tracks") == 1


@pytest.mark.parametrize("loading_s", [0.0, 60.0, 600.0], ids=["at once", "a minute", "ten minutes"])
@pytest.mark.parametrize("workers", [1, 4, 8])
@pytest.mark.parametrize("seed", range(6))
def test_after_a_tenth_the_time_left_is_right_within_a_factor_of_2(monkeypatch, loading_s, workers, seed):
    """Songs whose costs differ tenfold, on workers whose tools take a while to load; the last songs in hand aside."""
    draw = random.Random(seed)
    costs = [draw.lognormvariate(0, 0.8) for _ in range(200)]
    free = [loading_s] * workers
    ends = sorted(heapq.heapreplace(free, free[0] + cost) + cost for cost in costs)
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    work = Progress("facts", len(ends), "tracks", io.StringIO(), _started=0.0)
    wrong = {}
    for done, end in enumerate(ends, start=1):
        now[0] = end
        work.advance()
        if len(ends) / 10 <= done <= len(ends) * 0.75:
            said, left = work.seconds_left(), ends[-1] - end
            assert said is not None
            if not left / 2 <= said <= left * 2:
                wrong[done] = (round(said), round(left))
    assert wrong == {}
