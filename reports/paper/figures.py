"""Figures 1 to 4 and Table 1 of the paper."""

from __future__ import annotations

from reports.paper.item import Item

FIGURE_ITEMS: tuple[Item, ...] = ()
