"""The report of a program that alternates a matrix and its transpose: corrections, state evolution, finite widths."""

from reports.alternating.document import document
from reports.alternating.run import LinesRun, run_lines

__all__ = ["LinesRun", "document", "run_lines"]
