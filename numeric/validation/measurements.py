"""What the measurements of all Monte Carlo runs share: a chunk is drawn batch by batch from its own stream."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np

from wideproof.numeric.core.arrays import Stream, backend, seed_sequence, stream
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import Chunk, Numbers
from wideproof.numeric.runs.crew import read_text
from wideproof.numeric.runs.gathering import Gathered
from wideproof.numeric.validation.plan import LadderPlan

P = TypeVar("P", bound=LadderPlan)


class LadderMeasurements(Gathered[P]):
    """The moments of every feature at every width of a plan, and some single numbers at its largest width.

    Shapes, units: as `Gathered`.  Error: in the moments; the bias of a finite width stays.  Source: `gather`.
    """

    plan_class: ClassVar[type[LadderPlan]]

    @classmethod
    def draw(cls, plan: Any, chunk: Chunk) -> Numbers:
        """Draw one chunk from its own stream.

        Threads of linear algebra wait for each other, on a busy machine twenty times longer than the products take,
        and would change the last bits with their number: one draws, and more chunks at a time are the way to use more.
        """
        source = stream(backend(plan.backend), seed_sequence(plan.seed, *plan.stream_key(chunk)))
        found = cls.draw_batches(plan, chunk.group, chunk.width, chunk.trials, source)
        earlier = chunk.index * plan.chunk_size(chunk.group, chunk.width)
        return Numbers(found.moments, found.kept[: max(0, cls.most(plan) - earlier)])

    @classmethod
    def draw_batches(cls, plan: Any, group: str, width: int, trials: int, source: Stream) -> Numbers:
        """Draw trials from a stream, so many at once as the plan says."""
        size, moments, kept = plan.batch_size(group, width), dict[str, Moments](), []
        with blas_threads(1):
            for start in range(0, trials, size):
                batch = cls.draw_batch(plan, group, width, min(size, trials - start), source)
                for name, more in batch.moments.items():
                    moments[name] = moments[name].merge(more) if name in moments else more
                kept.append(batch.kept)
        return Numbers(moments, np.concatenate(kept))

    @staticmethod
    @abstractmethod
    def draw_batch(plan: Any, group: str, width: int, trials: int, source: Stream) -> Numbers:
        """Draw some trials at once: the moments of their features, and single numbers of each."""

    @classmethod
    def draw_elsewhere(cls, plan: str, chunk: tuple[str, int, int, int]) -> Numbers:
        """The same from the text of a plan and the fields of a chunk."""
        return cls.draw(read_text(cls.plan_class.of, plan), Chunk(*chunk))
