"""A line a minute by a clock of ours: what is done, what is left, the standard errors so far."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.runs import heartbeat
from wideproof.numeric.runs.gathering import Watching, standard_errors
from wideproof.numeric.runs.heartbeat import Heartbeat, beating, duration


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self):
        return self.now


def test_a_line_says_what_is_done_what_is_left_and_the_errors_so_far():
    clock = Clock()
    heart = Heartbeat("Monte Carlo", clock)
    assert heart.line == "… Monte Carlo: 0 s so far"
    heart(0, 480)
    clock.now += 60
    assert heart.line == "… Monte Carlo: 0 of 480 done, 60 s so far"
    heart(120, 480)
    clock.now += 60
    heart.errors(lambda: "second-moment 0.02")
    assert heart.line == ("… Monte Carlo: 120 of 480 done, 2 min so far, about 6 min left, "
                          "standard errors so far: second-moment 0.02")  # fmt: skip
    heart(480, 480)
    assert "left" not in heart.line


def test_errors_are_asked_for_a_few_times_a_minute_and_no_more():
    clock, asked = Clock(), []
    heart = Heartbeat("x", clock)
    for _ in range(600):
        clock.now += 0.2
        heart.errors(lambda: asked.append(1) or "e")
    assert len(asked) == 120 / (heartbeat.EVERY / 6)
    assert isinstance(heart, Watching)


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (150, "2 min"), (7260, "2 h 01 min")])
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_a_line_comes_every_so_often_while_the_work_says_nothing_and_none_after_it(monkeypatch):
    monkeypatch.setattr(heartbeat, "EVERY", 0.01)
    said = []
    with beating(Heartbeat("enclosures"), said.append):
        deadline = time.monotonic() + 20
        while len(said) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(said) >= 3
    assert said[0].startswith("… enclosures: 0 s so far")
    count = len(said)
    time.sleep(0.05)
    assert len(said) == count


def test_nobody_reads_the_lines_and_the_work_goes_on(monkeypatch):
    monkeypatch.setattr(heartbeat, "EVERY", 0.005)

    def closed(line):
        raise BrokenPipeError

    with beating(Heartbeat("x"), closed):
        time.sleep(0.05)


def test_the_standard_error_is_that_of_the_mean():
    x = np.random.default_rng(0).standard_normal((400, 3)) * [1.0, 3.0, 2.0]
    found = SimpleNamespace(moments={("entry", 8): Moments.of(x[:10]), ("entry", 64): Moments.of(x)})
    want = x[:, 1].std(ddof=1) / 20
    assert standard_errors(found) == f"entry {want:.2g} at width 64 (400 trials)"
