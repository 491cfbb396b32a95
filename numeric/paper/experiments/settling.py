"""Whether training has settled: only then is its score one of the model, and not of the number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.linear_rnn.closed_descent import ClosedPath
from wideproof.numeric.paper.experiments.bias_verdicts import MARGIN

SETTLED = MARGIN / 10
"""Validation R² that a settled run may still gain: a tenth of the difference that counts as one."""


@dataclass(frozen=True)
class Improving:
    """The runs of one model that still improve: how many of all, after how many steps, and the most they may gain.

    `gain` is in validation R²: over the last half of the steps, or of the scaled convolution after as much training.
    """

    model: str
    start: str
    runs: int
    of: int
    step: int
    gain: float

    def __str__(self) -> str:
        return (
            f"{self.model}, {self.start} start: {self.runs} of {self.of} runs still improving at step {self.step} "
            f"(validation score by {self.gain:.2g})"
        )


def to_gain(losses: Host, step_size: float, wide: ClosedPath) -> float:
    """What training may still gain in the judged loss, by two witnesses; 0 where both say that it is over.

    The one is how much the least loss fell over the last half of the steps. The other is what the convolution whose
    descent is that of the network at infinite width still gains after as much training; it sees past a plateau.
    Shapes: losses (steps + 1,).  Units: of the loss.  Error: the second is off by what finite width does.
    Source: emami2021implicit, Theorem 3.3 for the second.
    """
    steps = len(losses) - 1
    own = float(np.min(losses[: steps // 2 + 1]) - np.min(losses))
    return max(own, wide.still_to_gain(step_size * steps))


def improving(model: str, start: str, gains: Sequence[float], steps: Sequence[int]) -> Improving | None:
    """The runs of a model that may still gain more than SETTLED of R²; None where all have settled."""
    open_ = [k for k, gain in enumerate(gains) if gain > SETTLED]
    if not open_:
        return None
    return Improving(model, start, len(open_), len(gains), max(steps[k] for k in open_), max(gains[k] for k in open_))
