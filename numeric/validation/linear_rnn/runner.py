"""Running a plan chunk by chunk: interrupted, resumed and shared out without a changed bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from wideproof.numeric.core.arrays import backend, seed_sequence, stream
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import Chunk, ChunkFolder, Key, Numbers
from wideproof.numeric.runs.crew import ALONE, Crew, read_text
from wideproof.numeric.runs.gathering import Gathered, Progress, Shard, gather
from wideproof.numeric.sampling.linear import draw
from wideproof.numeric.validation.linear_rnn.features import KEPT, entries, kernel_moments, response_moments
from wideproof.numeric.validation.linear_rnn.plan import GROUPS, Plan

LEAST_COUNT = 1000  # a standard error of fewer trials is too rough to stop at
STOPPING = {"response": 1, "kernel": 0}  # the feature whose error decides: second moment, kernel weight


class Measurements(Gathered[Plan]):
    """The moments of every feature at every width of a plan, and some single entries at its largest width.

    Shapes: `Moments` per (group, width, kind of feature); kept (m, T).  Units: of the features.
    Error: in the moments.  Source: `linear_simulate`.
    """

    most = KEPT

    @staticmethod
    def draw(plan: Plan, chunk: Chunk) -> Numbers:
        """Draw one chunk from its own stream, by one thread."""
        with blas_threads(1):
            return _drawn(plan, chunk)

    @staticmethod
    def draw_elsewhere(plan: str, chunk: tuple[str, int, int, int]) -> Numbers:
        """The same from the text of a plan and the fields of a chunk."""
        return Measurements.draw(read_text(Plan.of, plan), Chunk(*chunk))

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


def _drawn(plan: Plan, chunk: Chunk) -> Numbers:
    key = (GROUPS.index(chunk.group), chunk.width, chunk.index)
    source, grams = stream(backend(plan.backend), seed_sequence(plan.seed, *key)), chunk.group == "kernel"
    size, moments, kept = plan.batch_size(chunk.group, chunk.width), dict[str, Any](), []
    for start in range(0, chunk.trials, size):
        count = min(size, chunk.trials - start)
        drawn = draw(plan.setting(chunk.width), count, source, grams, plan.sampler, plan.dtype)
        for kind, more in (kernel_moments(drawn) if grams else response_moments(drawn)).items():
            moments[kind] = moments[kind].merge(more) if kind in moments else more
        kept += [] if grams else [entries(drawn)]
    earlier = chunk.index * plan.chunk_size(chunk.group, chunk.width) * plan.n_x * plan.n_y
    return Numbers(moments, np.concatenate(kept)[: max(0, KEPT - earlier)] if kept else np.empty(0))


def linear_simulate(
    plan: Plan, progress: Progress | None = None, store: ChunkFolder | None = None, crew: Crew = ALONE,
    shard: Shard | None = None,
) -> Measurements:  # fmt: skip
    """Run all chunks of a plan; its bits depend on the plan alone, however often it was interrupted.

    Shapes: as `Measurements`.  Units: as `Measurements`.  Error: as `gather`.  Source: `gather`.
    """
    return gather(Measurements, plan, progress, store, crew, shard)
