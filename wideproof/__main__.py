"""`python -m wideproof` is the command `wideproof`."""

from __future__ import annotations

import os
import signal

WORDS = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n"}


def _stop(number: int, frame: object) -> None:
    os.write(2, WORDS[signal.Signals(number)])
    os._exit(128 + number)


def main() -> None:
    """Run the command line; stopped while it still loads, it ends with 130 or 143 and one line too."""
    for number in WORDS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell starts its background jobs
            signal.signal(number, _stop)
    from wideproof.reports.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
