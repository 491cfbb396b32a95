"""The paper's experiments: training dynamics beside the scaled convolution, and real recordings."""

from wideproof.numeric.paper.experiments.assumptions import Assumption, choices, chosen
from wideproof.numeric.paper.experiments.delay_sweep import DelayCurves, DelaySetting, delay_experiment
from wideproof.numeric.paper.experiments.linearisation import Ladder, LinearisedGaps, linearised_gaps
from wideproof.numeric.paper.experiments.recording_comparison import RecordingComparison, compare
from wideproof.numeric.paper.experiments.recording_protocol import Protocol
from wideproof.numeric.paper.experiments.sizes import (
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
from wideproof.numeric.paper.experiments.training_dynamics import (
    Dynamics,
    GapLadder,
    Setting,
    Sizes,
    dynamics,
    gap_ladder,
)

__all__ = [
    "Assumption",
    "BoundSizes",
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
    "RecordingComparison",
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
