"""The report of a linear recursion: run everything once, then tell it."""

from wideproof.reports.sections.linear.assembly import document
from wideproof.reports.sections.linear.run import LinearRun, run_linear

__all__ = ["LinearRun", "document", "run_linear"]
