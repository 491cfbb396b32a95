"""What long work says where there is no terminal to draw bars on: a line a minute, whatever it does meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 60.0
"""Seconds from one line to the next."""


class Heartbeat:
    """One stage of long work, as its callback (done, total) tells it; `errors` is offered the standard errors so far.

    The offer is taken up in the thread that works, and only about as often as a line is due.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock, self._began = name, clock, clock()
        self._done, self._total, self._errors, self._asked = 0, 0, "", 0.0

    def __call__(self, done: int, total: int) -> None:
        """Keep how much is done."""
        self._done, self._total = done, total

    def errors(self, so_far: Callable[[], str]) -> None:
        """Ask for the standard errors so far, unless they were asked for a moment ago."""
        if self._clock() - self._began - self._asked >= EVERY / 6:
            self._asked = self._clock() - self._began
            self._errors = so_far()

    @property
    def line(self) -> str:
        """What is done, what is left, and the standard errors so far."""
        spent = self._clock() - self._began
        words = [f"{duration(spent)} so far"]
        if self._total > 0:
            words.insert(0, f"{self._done} of {self._total} done")
        if 0 < self._done < self._total:
            words.append(f"about {duration(spent * (self._total - self._done) / self._done)} left")
        if self._errors:
            words.append(f"standard errors so far: {self._errors}")
        return f"… {self._name}: {', '.join(words)}"


@contextmanager
def beating(heart: Heartbeat, say: Callable[[str], None]) -> Iterator[Heartbeat]:
    """Say the line of a stage once a minute until the stage ends, or nobody reads it any more."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(EVERY):
            try:
                say(heart.line)
            except (OSError, ValueError):  # closed: the work goes on, and its own output tells
                return

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield heart
    finally:
        ended.set()
        thread.join()


def duration(seconds: float) -> str:
    """A time as one reads it: seconds up to two minutes, then minutes, then hours and minutes."""
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
