"""The soak as a command: counts by kind, and the number of every case that failed."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.fuzz import api, commands, files, texts, toml_models
from tests.fuzz.runner import Case, soak

KINDS: dict[str, Case] = {
    "files": files.case,
    "toml": toml_models.case,
    "texts": texts.case,
    "api": api.case,
    "commands": commands.case,
}

SHOWN = 40
"""Failures that are told of each kind."""


def main() -> int:
    """Run what is asked for; 0 where nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="repeat one case, with its traceback")
    asked = parser.parse_args()
    if asked.only:
        return _repeat(asked.only[0], asked.seed, int(asked.only[1]))
    files.corpus()  # what it imports may ask the machine what it is: before anything is watched
    failed = 0
    for kind, case in KINDS.items():
        if count := getattr(asked, kind):
            tally = soak(
                kind, case, count, asked.seed, lambda told: print(told.report(SHOWN), file=sys.stderr, flush=True)
            )
            print(tally.report(SHOWN), flush=True)
            failed += len(tally.failures)
    return 1 if failed else 0


def _repeat(kind: str, seed: int, number: int) -> int:
    with TemporaryDirectory() as folder:
        try:
            print(KINDS[kind](np.random.default_rng([seed, number]), Path(folder)))
        except BaseException:
            traceback.print_exc()
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
