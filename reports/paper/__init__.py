"""The whole paper, item by item: derived, measured, judged, and set in one document."""

from reports.paper.document import paper_report, reproduce
from reports.paper.items import ITEMS

__all__ = ["ITEMS", "paper_report", "reproduce"]
