"""How results show themselves: one line of text, and in notebooks a verdict with its table and picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from html import escape
from typing import Any

from wideproof.derive.language.shown import cut
from wideproof.derive.latex.notebook import heading, table
from wideproof.numeric.core.decimals import measured

ROWS = 12
"""Rows of a table in a notebook; the text says how many more there are."""
COLOUR = {"holds": "#2a7f3f", "refuted": "#b3261e", "undecided": "#8a6d00"}
DASHED = ' stroke-dasharray="3"'
SCORES, HEIGHT, STEP = 5.0, 90, 7  # standard errors from the middle to an edge; pixels; pixels between two checks


class InOneLine:
    """A dataclass of arrays whose line of text says their shapes, not their entries."""

    def __repr__(self) -> str:
        parts = (f"{field.name}={brief(getattr(self, field.name))}" for field in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(parts)})"


def brief(value: Any) -> str:
    """A value on one line: an array as its type and shape, a dictionary or a sequence by its entries."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}" if value.shape else f"{value:.6g}"
    if isinstance(value, dict):
        return f"{{{cut(', '.join(f'{name}: {brief(entry)}' for name, entry in value.items()))}}}"
    return cut(repr(value))


def counted(checks: Sequence[Any]) -> str:
    """How many checks there are of each verdict."""
    count = Counter(check.verdict for check in checks)
    return f"{len(checks)} checks, " + ", ".join(f"{count[kind]} {kind}" for kind in COLOUR if count[kind])


def judged_html(title: str, verdict: str, checks: Sequence[Any]) -> str:
    """The verdict, the picture of all checks, and those furthest from holding as a table."""
    order = {"refuted": 0, "undecided": 1, "holds": 2}
    worst = sorted(checks, key=lambda check: (order[check.verdict], check.p_value))[:ROWS]
    rows = [(check.quantity, str(check.lag), f"{check.prediction:.6g}",
             *measured(check.estimate, check.stderr), check.verdict, check.note) for check in worst]  # fmt: skip
    said = f'<div><strong style="color:{COLOUR[verdict]}">{verdict}</strong>: {escape(title)}; {counted(checks)}</div>'
    heads = ("quantity", "at", "prediction", "estimate", "s.e.", "verdict", "note")
    more = f"<div>and {len(checks) - ROWS} more</div>" if len(checks) > ROWS else ""
    return said + picture(checks) + table(heads, rows) + more


def picture(checks: Sequence[Any]) -> str:
    """Each check's distance from its prediction in standard errors, as SVG; shapes differ as well as colours."""
    judged = [check for check in checks if check.stderr > 0][:120]
    width, middle, unit = 40 + STEP * max(len(judged), 10), HEIGHT / 2, HEIGHT / 2 / SCORES
    lines = "".join(
        f'<line x1="30" x2="{width}" y1="{middle - z * unit:.1f}" y2="{middle - z * unit:.1f}" stroke="currentColor" '
        f'stroke-opacity="{0.8 if z == 0 else 0.3}"{dash}/>'
        f'<text x="2" y="{middle - z * unit + 3:.1f}" font-size="9" fill="currentColor">{said}</text>'
        for z, said, dash in ((2, "+2", DASHED), (0, "0", ""), (-2, "−2", DASHED))
    )
    marks = "".join(_mark(check, 36 + STEP * i, middle, unit) for i, check in enumerate(judged))
    name = f"distances of {len(judged)} estimates from their predictions in standard errors; dashed: two"
    return (f'<svg role="img" aria-label="{name}" width="{width}" height="{HEIGHT}" '
            f'style="max-width:100%"><title>{name}</title>{lines}{marks}</svg>')  # fmt: skip


def _mark(check: Any, x: float, middle: float, unit: float) -> str:
    score = max(-SCORES, min(SCORES, (check.estimate - check.prediction) / check.stderr))
    y, colour = middle - score * unit, COLOUR[check.verdict]
    if check.verdict == "refuted":
        return f'<path d="M{x - 3} {y - 3:.1f}l6 6m0 -6l-6 6" stroke="{colour}" stroke-width="2"/>'
    fill = "none" if check.verdict == "undecided" else colour
    return f'<circle cx="{x}" cy="{y:.1f}" r="2.5" fill="{fill}" stroke="{colour}"/>'


def described(title: str, heads: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """A title above names and values."""
    return heading(title) + table(heads, rows)
