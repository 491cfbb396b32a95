"""Alternating programs against their derived state evolution: a plan, its measurements and their verdict."""

from wideproof.numeric.validation.alternating.claims import TRIALS, judge_lines, lines_plan, lines_validation
from wideproof.numeric.validation.alternating.drawing import draw_parts
from wideproof.numeric.validation.alternating.plan import LinesPlan
from wideproof.numeric.validation.alternating.runner import LineMeasurements

__all__ = ["TRIALS", "LineMeasurements", "LinesPlan", "draw_parts", "judge_lines", "lines_plan", "lines_validation"]
