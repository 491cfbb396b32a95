"""Reports: document model, figures, rendering and the command line."""

from reports.report import Report, report

__all__ = ["Report", "report"]
