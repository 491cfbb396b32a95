"""The paper's statement about the bias as calibrated tests, counted together over one recording.

"helps" says that a difference of R² is above zero, "vanishes" that it is below MARGIN in size. Each statement has two
one-sided tests, one whose null is the statement and one whose null is its opposite; each family of nulls is corrected
by Holm. So a recording for which the paper is right everywhere is called refuted somewhere, and one for which it is
wrong everywhere is called holding somewhere, each with probability at most FALSE_ALARM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from wideproof.numeric.core.checks import Verdict
from wideproof.numeric.core.statistics import holm

FALSE_ALARM = 0.01
MARGIN = 0.05  # of R²: a smaller difference counts as none
Kind = Literal["helps", "vanishes"]


@dataclass(frozen=True)
class ScoreDifference:
    """A measured difference of R², to be judged: its standard error has `freedom` degrees of freedom.

    `unsettled` names what still improves on either side: a difference of such scores is evidence of nothing.
    """

    regime: str
    first: str
    second: str
    start: str
    output: str
    kind: Kind
    difference: float
    stderr: float
    freedom: float
    unsettled: str = ""


@dataclass(frozen=True)
class JudgedDifferences:
    """A difference with its verdict; both p-values are corrected for all differences judged together."""

    what: ScoreDifference
    p_against: float
    p_for: float
    verdict: Verdict


def judge_differences(found: Sequence[ScoreDifference]) -> tuple[JudgedDifferences, ...]:
    """Refuted, holds or undecided: each of the first two errs anywhere with probability at most FALSE_ALARM.

    Undecided, with p-values of 1, is what has not settled; it counts among all that are judged.

    Shapes: (m,) -> (m,).  Error: of Student's law for the differences.  Source: Holm 1979; Schuirmann 1987.
    """
    against = holm([p_if_true(d) for d in found])
    for_it = holm([p_if_false(d) for d in found])
    judged = zip(found, against, for_it, strict=True)
    return tuple(JudgedDifferences(d, float(a), float(f), _verdict(a, f)) for d, a, f in judged)


def p_if_true(d: ScoreDifference) -> float:
    """The probability of evidence this strong against the statement though it is true, at most."""
    if d.unsettled:
        return 1.0
    if d.kind == "helps":
        return _beyond(d, -d.difference)
    return min(1.0, _beyond(d, abs(d.difference) - MARGIN) + _beyond(d, abs(d.difference) + MARGIN))


def p_if_false(d: ScoreDifference) -> float:
    """The probability of evidence this strong for the statement though it is false, at most."""
    if d.unsettled:
        return 1.0
    return _beyond(d, d.difference if d.kind == "helps" else MARGIN - abs(d.difference))


def _beyond(d: ScoreDifference, gap: float) -> float:
    """The probability of Student's variable beyond gap/stderr."""
    if d.stderr == 0:
        return 0.5 if gap == 0 else float(gap < 0)
    return float(special.stdtr(d.freedom, -gap / d.stderr))


def _verdict(against: float, for_it: float) -> Verdict:
    if against <= FALSE_ALARM:
        return "refuted"
    return "holds" if for_it <= FALSE_ALARM else "undecided"


def combine(values: np.ndarray, replicates: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over K runs, its standard error from test blocks and runs, and that error's degrees of freedom.

    Shapes: values (K, n_y), replicates (B, K, n_y) -> (n_y,) each.  Error: the two sources add as if independent.
    Source: Welch-Satterthwaite, with `blocks` independent blocks in the test part.
    """
    test = replicates.mean(axis=1).var(axis=0, ddof=1)  # (n_y,)
    runs = values.var(axis=0, ddof=1) / len(values)
    total = test + runs
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = total**2 / (test**2 / max(blocks - 1, 1) + runs**2 / (len(values) - 1))
    return values.mean(axis=0), total**0.5, np.where(total > 0, freedom, 1.0)
