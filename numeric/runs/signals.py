"""Ctrl-C and SIGTERM: both end long work where it stands, and what they leave is told."""

from __future__ import annotations

import signal
import threading
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes: 128 and the number of the signal."""


class Stopped(KeyboardInterrupt):
    """An interruption that says what is kept, and the exit code of its signal."""

    def __init__(self, told: str = "", code: int = INTERRUPTED) -> None:
        super().__init__(told)
        self.told, self.code = told, code


def stopped(stop: KeyboardInterrupt, told: str) -> Stopped:
    """Return an interruption of the same signal that says what is kept."""
    return Stopped(told, stop.code if isinstance(stop, Stopped) else INTERRUPTED)


def heed_termination() -> None:
    """From now on SIGTERM ends work as Ctrl-C does, with its own exit code.  In the main thread alone."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: Any) -> NoReturn:
    raise Stopped("", TERMINATED)
