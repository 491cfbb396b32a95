"""Which pages of a PDF hold little text: `python -m tests.reports.pages report/*/report.pdf`, exit 1 where one does.

A page counts in strips of the height of a line; a strip with text on it is filled. Pictures hold no text. The last page
may end anywhere.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pypdf

LEAST = 1 / 3
MARGIN, LINE = 82.2, 13.6  # points: 29 mm, and the distance of lines


def fills(pdf: Path) -> list[float]:
    """The filled part of each page but the last.  Units: of the height between the margins."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # pictures that are taken away are missed
    return [_fill(page) for page in pypdf.PdfReader(pdf).pages[:-1]]


def _fill(page: pypdf.PageObject) -> float:
    page["/Resources"][pypdf.generic.NameObject("/XObject")] = pypdf.generic.DictionaryObject()  # no pictures
    low, high = MARGIN, float(page.mediabox.top) - MARGIN
    strips = round((high - low) / LINE)
    filled = set()

    def visit(text: str, matrix: list[float], own: list[float], *_: object) -> None:
        height = matrix[5] + own[5] * matrix[3]
        if text.strip() and low <= height <= high:
            filled.add(int((height - low) / (high - low) * strips))

    page.extract_text(visitor_text=visit)
    return len(filled) / strips


def sparse(pdf: Path, least: float = LEAST) -> list[tuple[int, float]]:
    """The pages, counted from 1, of which less than this part is text, with that part."""
    return [(number, part) for number, part in enumerate(fills(pdf), 1) if part < least]


def main(names: list[str]) -> int:
    """Print the sparse pages of each file."""
    found = {name: sparse(Path(name)) for name in names}
    for name, pages in found.items():
        print(f"{name}: {', '.join(f'page {k} {part:.0%}' for k, part in pages) or 'every page is filled'}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
