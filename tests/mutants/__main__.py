"""make mutants: try them, print the table, write docs/mutants.md."""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from tests.mutants.report import page, table
from tests.mutants.runner import Outcome, measured, run, sample


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="how many, spread over rooms and functions; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--only", default="", help="those whose id contains this text")
    parser.add_argument("--write", metavar="FILE", help="write the page to a file")
    given = parser.parse_args()
    start = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is ended early shows what it has
    known = measured()
    print(f"{len(known)} quantities and oracles measured in {time.monotonic() - start:.0f} s", flush=True)
    chosen = [x for x in sample(0 if given.only else given.count, given.seed) if given.only in x.id]
    done: list[Outcome] = []

    def progress(outcome: Outcome) -> None:
        done.append(outcome)
        if outcome.result in ("survivor", "timeout"):
            print(f"{outcome.result}: {outcome.mutant.id}\n    {outcome.mutant.change}", flush=True)
            print(*(f"    {x}" for x in outcome.changed), sep="\n", flush=True)
        if len(done) % 25 == 0:
            print(f"{len(done)} of {len(chosen)}, {time.monotonic() - start:.0f} s", flush=True)

    outcomes = run(chosen, known, progress)
    seconds = time.monotonic() - start
    print(table(outcomes), f"\n{len(outcomes)} mutants, {seconds / 60:.1f} minutes, two processes")
    if given.write:
        path = Path(given.write)
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        path.write_text(page(outcomes, given.count, given.seed, seconds, before), encoding="utf-8")


main()
