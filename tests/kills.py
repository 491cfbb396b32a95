"""Kill a validation again and again and compare its bits with those of one that was left alone.

`python -m tests.kills 100` kills a hundred times, at moments of chance, with one or two workers, and says what came
out.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wideproof.derive import models
from wideproof.numeric.runs.crew import ALONE
from wideproof.numeric.validation.runs import compare, load_run, resume
from wideproof.numeric.validation.validate import validate

MAIN = "from wideproof.reports.cli.app import main; main()"
SECONDS = 300


def command(*words):
    """The command line, as another process that hears Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def chunks(folder):
    """How many chunks a folder holds."""
    return len(list((folder / "chunks").glob("*.nc")))


def wait_for(child, folder, count):
    """Wait until a folder holds so many chunks, or the process has ended."""
    deadline = time.monotonic() + SECONDS
    while child.poll() is None and time.monotonic() < deadline and chunks(folder) < count:
        time.sleep(0.005)


def killed(folder, words, times, seed=0, most=4):
    """Start a run, kill it so often, and return how often the kill met it alive.

    Every other kill comes within a second of the start, the others after some more chunks, fewer than `most`.
    """
    at, met = random.Random(seed), 0
    for k in range(times):
        begun = (folder / "run.json").exists()
        child = command(*(("runs", "resume", folder) if begun else (*words, "--out", folder)), "--json", "--jobs",
                        1 + k % 2)  # fmt: skip
        if k % 2 and begun:
            time.sleep(at.random())
        else:
            wait_for(child, folder, chunks(folder) + at.randrange(1, most))
            time.sleep(at.random() / 20)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=SECONDS)
        met += child.returncode == -signal.SIGKILL
    return met


def main(times):
    """Kill a run so often, finish it, and compare."""
    options = {"width": 64, "trials": 30 * times, "seed": 5}
    words = ("validate", "elman", *(x for name, value in options.items() for x in (f"--{name}", value)))
    with tempfile.TemporaryDirectory() as place:
        whole, torn = Path(place) / "whole", Path(place) / "torn"
        validate(models.elman(), out=whole, **options)
        met = killed(torn, words, times)
        left = load_run(torn)
        print(f"killed {met} of {times} times; {left.done} of {len(left.wanted)} chunks kept")
        resume(torn, ALONE)
        print(compare(load_run(torn), load_run(whole)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
