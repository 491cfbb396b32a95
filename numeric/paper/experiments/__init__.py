"""The paper's experiments: training dynamics beside the scaled convolution, and real recordings."""

from numeric.experiments.choice import Choice, choices, chosen
from numeric.experiments.comparison import Comparison, compare
from numeric.experiments.delay import DelayCurves, DelaySetting, delay_experiment
from numeric.experiments.dynamics import Dynamics, GapLadder, Setting, Sizes, dynamics, gap_ladder
from numeric.experiments.linearised import Ladder, LinearisedGaps, linearised_gaps
from numeric.experiments.protocol import Protocol
from numeric.experiments.sizes import (
    BoundSizes,
    DrawSizes,
    KernelSizes,
    MomentSizes,
    RadiusSizes,
    RankSizes,
    RealizationSizes,
    ResponseSizes,
    StartSizes,
    StateSizes,
    Variances,
)

__all__ = [
    "BoundSizes",
    "Choice",
    "Comparison",
    "DelayCurves",
    "DelaySetting",
    "DrawSizes",
    "Dynamics",
    "GapLadder",
    "KernelSizes",
    "Ladder",
    "LinearisedGaps",
    "MomentSizes",
    "Protocol",
    "RadiusSizes",
    "RankSizes",
    "RealizationSizes",
    "ResponseSizes",
    "Setting",
    "Sizes",
    "StartSizes",
    "StateSizes",
    "Variances",
    "choices",
    "chosen",
    "compare",
    "delay_experiment",
    "dynamics",
    "gap_ladder",
    "linearised_gaps",
]
