"""Running a plan batch by batch: progress, interruption and resumption without a changed bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wideproof.numeric.core.arrays import backend, seed_sequence, stream
from wideproof.numeric.core.batched_moments import Gathered, Progress, gather
from wideproof.numeric.sampling.linear import draw
from wideproof.numeric.validation.linear_rnn.features import KEPT, entries, kernel_moments, response_moments
from wideproof.numeric.validation.linear_rnn.plan import GROUPS, Batch, Plan

LEAST_COUNT = 1000  # a standard error of fewer trials is too rough to stop at
STOPPING = {"response": 1, "kernel": 0}  # the feature whose error decides: second moment, kernel weight


class Measurements(Gathered[Plan]):
    """The moments of every feature at every width of a plan, and some single entries at its largest width.

    Shapes: `Moments` per (group, width, kind of feature); kept (m, T).  Units: of the features.
    Error: in the moments.  Source: `linear_simulate`.
    """

    def add(self, batch: Batch) -> None:
        """Draw one batch from its own stream and merge its moments, unless its width is precise enough already."""
        if self.reached(batch.group, batch.width):
            return
        key = (GROUPS.index(batch.group), batch.width, batch.index)
        source = stream(backend(self.plan.backend), seed_sequence(self.plan.seed, *key))
        grams = batch.group == "kernel"
        drawn = draw(self.plan.setting(batch.width), batch.trials, source, grams, self.plan.sampler, self.plan.dtype)
        found = kernel_moments(drawn) if grams else response_moments(drawn)
        for kind, moments in found.items():
            self.merge((batch.group, batch.width, kind), moments)
        if not grams and batch.width == self.plan.width:
            self.keep(entries(drawn), KEPT)

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


def linear_simulate(plan: Plan, progress: Progress | None = None, checkpoint: Path | None = None) -> Measurements:
    """Run all batches of a plan; its bits depend on the plan alone, however often it was interrupted.

    Shapes: as `Measurements`.  Units: as `Measurements`.
    Error: ParameterError if the checkpoint is of another plan.  Source: `gather`.
    """
    return gather(Measurements, plan, progress, checkpoint)
