"""Kill long work again and again and compare its bits with those of work that was left alone.

`python -m tests.kills 100 --of validate` kills a validation a hundred times, at moments of chance, with one or two
workers, and says what came out; so for `report`, `reproduce` and `training`. `--of workers` kills the workers of a
Dask cluster of this machine instead, one in each of so many runs. Every run keeps what it does as often as it does for
anybody: a descent each five seconds, so that each of its kills takes so long. What is killed is told as it happens.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from wideproof.derive import models
from wideproof.numeric.runs.crew import Crew
from wideproof.numeric.validation.runs import carry_out, compare, load_run, start
from wideproof.numeric.validation.validate import validate

MAIN = "from wideproof.reports.cli.app import main; main()"
TRAIN = """import sys, numpy as np; from pathlib import Path
from wideproof.derive import models; from wideproof.numeric.networks import training
rng = np.random.default_rng(3)
X, Y = rng.standard_normal((4, 5, 2)), rng.standard_normal((4, 1))
found = training.train_network(models.elman("tanh"), X, Y, 40, steps=int(sys.argv[2]), momentum=0.5, seed=4, nu_W=0.5,
                               nu_F=1.0, nu_b=0.1, nu_C=1.0, checkpoint=Path(sys.argv[1]) / "state.npz")
np.savez(Path(sys.argv[1]) / "found.npz", loss=found.loss, last=found.last, **found.weights)
"""
SECONDS = 7200
WORDS = {
    "validate": lambda times: ("validate", "elman", "--width", 64, "--trials", 30 * times, "--seed", 5),
    "report": lambda times: ("report", "elman", "--width", 16, "--trials", 60 + 10 * times, "--seed", 5),
    "reproduce": lambda times: ("reproduce", "fig3", "--quick", *_few(times)),
}
"""What is killed so often, with as many pieces as that needs."""


def _few(times):
    seeds = ",".join(map(str, range(1, 3 + times // 3)))
    return [x for pair in (f"seeds={seeds}", "width=30", "steps=20", "sequences=8") for x in ("--set", pair)]


def command(*words, main=MAIN):
    """The command line, as another process that hears Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-c", main, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def pieces(folder):
    """The names of the chunks and pieces in a folder, which end with their checksums."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.nc") if not path.name.startswith("."))


def wait_for(child, folder, count):
    """Wait until a folder holds so many pieces, or the process has ended."""
    deadline = time.monotonic() + SECONDS
    while child.poll() is None and time.monotonic() < deadline and len(pieces(folder)) < count:
        time.sleep(0.005)


def killed(folder, words, times, seed=0, most=4):
    """Start a run, kill it so often, and return how often the kill met it alive.

    Every other kill comes within a second of the start, the others after some more pieces, fewer than `most`.
    """
    at, met = random.Random(seed), 0
    for k in range(times):
        begun = (folder / "run.json").exists()
        child = command(*(("runs", "resume", folder) if begun else (*words, "--out", folder)), "--json", "--jobs",
                        1 + k % 2)  # fmt: skip
        if k % 2 and begun:
            time.sleep(at.random())
        else:
            wait_for(child, folder, len(pieces(folder)) + at.randrange(1, most))
            time.sleep(at.random() / 20)
        met += _kill(child)
        _tell(k + 1, times, f"{len(pieces(folder))} pieces")
    return met


def _tell(done, times, kept):
    print(f"killed {done} of {times}: {kept}", file=sys.stderr, flush=True)


def _kill(child):
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=SECONDS)
    return child.returncode == -signal.SIGKILL


def finish(*words):
    """Run a command to its end; a verdict is no failure."""
    child = command(*words)
    said = child.communicate(timeout=SECONDS)
    assert child.returncode in (0, 1, 3), said
    return said


def same(torn, whole):
    """Which parts of two runs are the same, bit by bit."""
    a, b = (json.loads((folder / "run.json").read_text()) for folder in (torn, whole))
    found = {name: a.get(name) == b.get(name) for name in ("verdict", "claims", "results", "checks")}
    found["numbers"] = pieces(torn) == pieces(whole) != []
    found["report.tex"] = all(x.exists() is y.exists() and (not x.exists() or x.read_bytes() == y.read_bytes())
                              for x, y in [(torn / "report.tex", whole / "report.tex")])  # fmt: skip
    return {"identical": all(found.values()), **found}


def kill_run(what, times, place):
    """Kill a run of a verb so often, finish it, and compare."""
    words, whole, torn = WORDS[what](times), place / "whole", place / "torn"
    finish(*words, "--out", whole, "--json")
    met = killed(torn, words, times)
    left, of = len(pieces(torn)), len(pieces(whole))
    finish("runs", "resume", torn, "--json")
    return {"killed": met, "of": times, "pieces kept": left, "pieces": of, **same(torn, whole)}


def kill_training(times, place):
    """Kill a descent so often, each time somewhat later, finish it, and compare."""
    steps, met, at = 6000 * times, 0, random.Random(0)
    for name in ("whole", "torn"):
        (place / name).mkdir()
    for k in range(times):
        child, state = command(place / "torn", steps, main=TRAIN), place / "torn" / "state.npz"
        before, deadline = state.stat().st_mtime_ns if state.exists() else 0, time.monotonic() + SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            if state.exists() and state.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        time.sleep(at.random())
        met += _kill(child)
        _tell(k + 1, times, f"{state.stat().st_size if state.exists() else 0} bytes")
    with np.load(place / "torn" / "state.npz") as file:
        left = len(file["loss"])
    for name in ("whole", "torn"):
        command(place / name, steps, main=TRAIN).communicate(timeout=SECONDS)
    with np.load(place / "torn" / "found.npz") as a, np.load(place / "whole" / "found.npz") as b:
        equal = {name: a[name].tobytes() == b[name].tobytes() for name in b.files}
    return {"killed": met, "of": times, "steps kept": left, "steps": steps, "identical": all(equal.values()), **equal}


def kill_workers(times, place):
    """Kill a worker of a Dask cluster in the middle of each of so many runs, and compare."""
    from distributed import Client, LocalCluster

    options, at, met, equal = {"width": 32, "trials": 400, "seed": 5}, random.Random(0), 0, 0
    whole = place / "whole"
    validate(models.elman(), out=whole, **options)
    for k in range(times):
        begun, moment = set(), at.randrange(1, 20)
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:

            def strike(done, total, begun=begun, moment=moment, cluster=cluster):
                if done >= moment and not begun:
                    begun.add(victim := at.choice([w.pid for w in cluster.workers.values()]))
                    os.kill(victim, signal.SIGKILL)

            experiment = load_run(whole).experiment
            with Client(cluster) as client:
                crew = Crew(client.get_executor(pure=False), 4, None)
                carry_out(experiment, start(place / str(k), experiment), strike, crew)
        met += len(begun)
        equal += compare(load_run(place / str(k)), load_run(whole))["identical"]
        _tell(k + 1, times, f"{equal} runs identical")
    return {"workers killed": met, "of": times, "identical": equal == times, "runs identical": equal}


def main():
    """Kill what is asked for so often, finish it, compare, and end with 1 where a bit differs."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("times", type=int)
    asked.add_argument("--of", choices=[*WORDS, "training", "workers"], default="validate")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as place:
        special = {"training": kill_training, "workers": kill_workers}
        work = special.get(given.of, lambda times, folder: kill_run(given.of, times, folder))
        found = work(given.times, Path(place))
    print(json.dumps(found))
    sys.exit(0 if found["identical"] else 1)


if __name__ == "__main__":
    main()
