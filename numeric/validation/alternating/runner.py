"""Mean squares of the vectors of an alternating program, measured at every width of a plan."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from wideproof.numeric.core.arrays import Host, Stream
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.runs.chunks import Numbers
from wideproof.numeric.validation.alternating.drawing import simulate_lines
from wideproof.numeric.validation.alternating.plan import LinesPlan
from wideproof.numeric.validation.measurements import LadderMeasurements

MEAN_SQUARE = "mean_square"


class LineMeasurements(LadderMeasurements[LinesPlan]):
    """The moments of the mean squares of the named vectors, then of the sources, at every width of a plan.

    Shapes: `Moments` per ("mean_square", width), mean (1, vectors + sources).  Units: of the squares.
    Error: in the moments; the bias of a finite width stays.  Source: `simulate_lines`.
    """

    plan_class = LinesPlan

    @staticmethod
    def draw_batch(plan: LinesPlan, group: str, width: int, trials: int, source: Stream) -> Numbers:
        """Draw matrices, one at a time."""
        drawn = [simulate_lines(plan.program, plan.limits, width, source, plan.onsager, **plan.values)
                 for _ in range(trials)]  # fmt: skip
        return Numbers({MEAN_SQUARE: Moments.of(np.asarray(drawn)[:, None, :])})

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the plan."""
        return self.plan.widths

    @property
    def trials(self) -> int:
        """Draws at each width."""
        return self.plan.trials

    @cached_property
    def estimates(self) -> tuple[Host, Host]:
        """Means and standard errors of the named vectors, the sources regressed out.  Shapes: (widths, vectors)."""
        plan = self.plan
        numbers = {x: plan.values[name] for name, x in plan.program.symbols.items()}
        known = [float(sp.Add(*(w * v for w, v in source.law)).subs(numbers)) for _, source in plan.program.sources]
        found = [_controlled(self.moments[MEAN_SQUARE, width], known) for width in plan.widths]
        means, stderrs = (np.asarray(x) for x in zip(*found, strict=True))
        return means, stderrs

    @property
    def means(self) -> Host:
        """Shapes: (widths, vectors)."""
        return self.estimates[0]

    @property
    def stderrs(self) -> Host:
        """Shapes: (widths, vectors)."""
        return self.estimates[1]

    def record(self) -> dict[str, Any]:
        """The numbers as plain data."""
        return {"widths": self.widths, "trials": self.trials, "means": self.means, "stderrs": self.stderrs}


def _controlled(moments: Moments, known: list[float]) -> tuple[Host, Host]:
    """Means and standard errors of the first features, the last regressed out, whose means are known.

    Source: least squares from the moments alone; the intercept at the known means.
    """
    mean, products, size = moments.mean[0], moments.comoment[0], moments.mean.shape[1] - len(known)
    inverse = np.linalg.pinv(products[size:, size:], hermitian=True)
    slopes, away = inverse @ products[size:, :size], mean[size:] - known
    residual = np.diagonal(products)[:size] - np.sum(products[size:, :size] * slopes, axis=0)
    spread = np.maximum(residual, 0.0) / (moments.count - 1 - len(known))
    return mean[:size] - away @ slopes, np.sqrt(spread * (1.0 / moments.count + away @ inverse @ away))
