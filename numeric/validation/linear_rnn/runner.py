"""What one batch of trials of the linear recursion gives, and when a width is precise enough."""

from __future__ import annotations

import numpy as np

from wideproof.numeric.core.arrays import Stream
from wideproof.numeric.runs.chunks import Chunk, Key, Numbers
from wideproof.numeric.sampling.linear import draw
from wideproof.numeric.validation.linear_rnn.features import KEPT, entries, kernel_moments, response_moments
from wideproof.numeric.validation.linear_rnn.plan import Plan
from wideproof.numeric.validation.measurements import LadderMeasurements

LEAST_COUNT = 1000  # a standard error of fewer trials is too rough to stop at
STOPPING = {"response": 1, "kernel": 0}  # the feature whose error decides: second moment, kernel weight


class Measurements(LadderMeasurements[Plan]):
    """The moments of every feature at every width of a plan, and some single entries at its largest width.

    Shapes: `Moments` per (group, width, kind of feature); kept (m, T).  Units: of the features.
    Error: in the moments.  Source: `gather`.
    """

    plan_class = Plan

    @staticmethod
    def most(plan: Plan) -> int:
        """So many trials that their entries are `KEPT`."""
        return KEPT // (plan.n_x * plan.n_y)

    @staticmethod
    def draw_batch(plan: Plan, group: str, width: int, trials: int, source: Stream) -> Numbers:
        """Draw the factors of all lags, and for the kernel their Gram matrices."""
        grams = group == "kernel"
        drawn = draw(plan.setting(width), trials, source, grams, plan.sampler, plan.dtype)
        return Numbers(kernel_moments(drawn)) if grams else Numbers(response_moments(drawn), entries(drawn))

    def key(self, chunk: Chunk, name: str) -> Key:
        """(group, width, kind of feature)."""
        return (chunk.group, chunk.width, name)

    def reached(self, group: str, width: int) -> bool:
        """Whether the target of the plan is reached: a function of the moments alone, so of the plan."""
        target, moments = self.plan.target, self.moments.get((group, width, "lag"))
        if target is None or moments is None or moments.count < LEAST_COUNT:
            return False
        estimate = moments.feature(STOPPING[group])
        return bool(np.all(estimate.stderr <= target * np.abs(estimate.mean)))

    def trials(self, group: str, kind: str) -> int:
        """The least number of trials that any width had."""
        return min(self.moments[group, width, kind].count for width in self.plan.widths)
