"""The readings of the paper's formulas that are errata, put to the referee."""

from __future__ import annotations

from collections.abc import Callable

from wideproof.derive import models
from wideproof.derive.linear.errata import ERRATA
from wideproof.derive.linear.finite_width import moments
from wideproof.derive.referee.judgement import Judgement, check

LAG = 2
"""The lag of the second moment: the first at which width matters."""
QUESTIONS: dict[str, Callable[[str], Judgement]] = {
    "E1": lambda formula: check(models.linear_rnn(), "stability", formula),
    "E2": lambda formula: check(moments(models.linear_rnn(), lag=LAG), "moments", formula),
    "E3": lambda formula: check(models.linear_rnn(), "scale-factor-bound", formula),
}
"""How the readings of an erratum are put."""


def judged_readings(item: str) -> tuple[Judgement, ...]:
    """What the referee says of each reading of an erratum; none where its formula was not read.

    Shapes: one judgement for each of `printed`.  Source: derive.linear.errata.
    """
    (erratum,) = (x for x in ERRATA if x.item == item)
    return tuple(QUESTIONS[item](formula) for formula in erratum.printed)
