"""The paper's experiments: training dynamics beside the scaled convolution, and real recordings."""

from numeric.experiments.comparison import Comparison, compare
from numeric.experiments.delay import DelayCurves, DelaySetting, delay_experiment
from numeric.experiments.dynamics import Dynamics, GapLadder, Setting, dynamics, gap_ladder
from numeric.experiments.protocol import Protocol

__all__ = [
    "Comparison",
    "DelayCurves",
    "DelaySetting",
    "Dynamics",
    "GapLadder",
    "Protocol",
    "Setting",
    "compare",
    "delay_experiment",
    "dynamics",
    "gap_ladder",
]
