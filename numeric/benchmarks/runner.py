"""Every benchmark in a process of its own that takes one thread, or what it says, whatever this one took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from wideproof.derive.language.errors import ParameterError, meant
from wideproof.numeric.benchmarks import machine
from wideproof.numeric.benchmarks.records import BenchResult, DisagreementError, Floor, Row
from wideproof.numeric.benchmarks.registry import BENCHMARKS, Benchmark
from wideproof.numeric.benchmarks.rows import Note

Progress = Callable[[int, int], None]
FAILED = 3
"""The exit status of a process whose programs disagree."""


def bench(
    names: str | Sequence[str] | None = None, progress: Progress | None = None, quick: bool = False
) -> BenchResult:
    """Run the named benchmarks, by default all: medians of paired CPU-time ratios, rival over ours, one thread.

    A rival that is not installed is left out with a note.  `quick` takes the main problems and fewer pairs.
    `progress` is told how many of the benchmarks are done.
    Errors: ParameterError for an unknown name; DisagreementError where a rival computes something else.
    """
    chosen = select(names)
    rows: list[Row] = []
    notes: list[str] = []
    date, here = datetime.now(UTC).isoformat(timespec="seconds"), machine.describe()
    for done, benchmark in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        found = apart(benchmark, quick)
        rows += [revive(fields) for fields in found["rows"]]
        notes += [note for note in found["notes"] if note not in notes]
    if progress is not None:
        progress(len(chosen), len(chosen))
    return BenchResult(tuple(rows), tuple(notes), here | {"quick": quick, "load_after": machine.load()}, date)


def select(names: str | Sequence[str] | None) -> tuple[Benchmark, ...]:
    """The benchmarks of these names, in the order of the registry."""
    wanted = {names} if isinstance(names, str) else {benchmark.name for benchmark in BENCHMARKS} & set(names or [])
    known = [benchmark.name for benchmark in BENCHMARKS]
    for name in [names] if isinstance(names, str) else names or []:
        if name not in known:
            raise ParameterError(
                "bench", f"one of {', '.join(known)}", name, f"{meant(name, known)}Without a name all are run."
            )
    return tuple(b for b in BENCHMARKS if names is None or b.name in wanted)


def apart(benchmark: Benchmark, quick: bool) -> dict[str, Any]:
    """Run one benchmark in a new interpreter and read what it prints last.

    Errors: DisagreementError as there; CalledProcessError, with its last words, where it dies.
    """
    command = [sys.executable, "-m", "wideproof.numeric.benchmarks", benchmark.name, *(["--quick"] if quick else [])]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | machine.environment(benchmark.threads) | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, FAILED):
        sys.stderr.write(ended.stderr[-2000:])
        raise subprocess.CalledProcessError(ended.returncode, command, ended.stdout, ended.stderr)
    said = json.loads(ended.stdout.splitlines()[-1])
    if ended.returncode == FAILED:
        raise DisagreementError(*said["error"])
    return dict(said)


def measure(benchmark: Benchmark, quick: bool) -> dict[str, Any]:
    """Run one benchmark in this process.  Plain lists and dictionaries, as JSON has them."""
    outcomes = list(benchmark.run(quick))
    rows = tuple(outcome for outcome in outcomes if isinstance(outcome, Row))
    notes = tuple(outcome.text for outcome in outcomes if isinstance(outcome, Note))
    return BenchResult(rows, notes, {}, "").to_dict()


def revive(fields: dict[str, Any]) -> Row:
    """The row whose fields these are."""
    known = {name: value for name, value in fields.items() if name != "fraction"}
    return Row(**(known | {"floor": Floor(**fields["floor"])}))


def main(arguments: Sequence[str]) -> int:
    """Print one benchmark's rows and notes as one line of JSON; the exit status tells whether all agree."""
    (benchmark,) = select(arguments[0])
    try:
        said = measure(benchmark, "--quick" in arguments[1:])
    except DisagreementError as error:
        print(json.dumps({"error": [error.where, error.expected, str(error.got), error.hint]}))
        return FAILED
    print(json.dumps(said))
    return 0
