"""The report of a linear recursion: run everything once, then tell it."""

from reports.linear.document import document
from reports.linear.run import LinearRun, Stage, run_linear

__all__ = ["LinearRun", "Stage", "document", "run_linear"]
