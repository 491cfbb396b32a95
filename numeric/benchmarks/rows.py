"""A timed case as a row."""

from __future__ import annotations

from dataclasses import dataclass

from wideproof.numeric.benchmarks.records import Case, Floor, Row
from wideproof.numeric.core.timing import Timing


@dataclass(frozen=True)
class Note:
    """What was left out, and why."""

    text: str


Outcome = Row | Note


def row(name: str, rival: str, case: Case, timing: Timing, unit: str, least: Floor, agreement: str) -> Row:
    """Put case, times and floor beside each other.  Units: the times are of one `unit`."""
    return Row(
        name, rival, case.n, case.T, case.n_x, case.n_y, case.N, case.trials, case.dtype,
        timing.ratio, timing.low, timing.high, timing.pairs, unit, timing.ours_s, timing.rival_s, least, agreement,
    )  # fmt: skip
