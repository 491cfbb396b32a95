"""The whole paper, item by item: derived, measured, judged, and set in one document."""

from wideproof.reports.paper.assembly import reproduce
from wideproof.reports.paper.catalogue import ITEMS

__all__ = ["ITEMS", "reproduce"]
