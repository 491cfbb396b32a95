"""How objects show themselves: one line of text, and a page in a notebook."""

from __future__ import annotations

import importlib

LINE = 200
"""Letters of one part of a line, such as an update, beyond which it is cut."""
NOTEBOOK = "wideproof.derive.latex.notebook"
"""What writes HTML, by name: it prints mathematics, and this room reads no printer."""


def cut(text: object, most: int = LINE) -> str:
    """The text on one line, its end left out where it is longer than `most` letters."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


class InNotebooks:
    """Shows itself in a notebook as `derive.latex.notebook` writes it."""

    def _repr_html_(self) -> str:
        text: str = importlib.import_module(NOTEBOOK).written(self)
        return text
