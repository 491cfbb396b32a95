"""The report of a program that alternates a matrix and its transpose: corrections, state evolution, finite widths."""

from wideproof.reports.sections.alternating.assembly import document
from wideproof.reports.sections.alternating.run import LinesRun, run_lines

__all__ = ["LinesRun", "document", "run_lines"]
