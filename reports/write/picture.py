"""A figure with the numbers it shows: saved as PDF, SVG and CSV, told in words, and placed in a document."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from wideproof.derive.latex.text import Text
from wideproof.numeric.core.files import write_atomically
from wideproof.reports.document import blocks as doc

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito 2008
LINE, WIDTH, HEIGHT = 5.98, 3.6, 2.0
"""Inches: the line of an A4 article with 29 mm margins, and a picture, which also fits a column of a journal."""
STYLE: Any = {
    "font.family": "serif", "font.serif": ["cmr10", "DejaVu Serif"], "mathtext.fontset": "cm",
    "font.size": 9,
    "axes.formatter.use_mathtext": True, "axes.unicode_minus": False, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.6, "axes.prop_cycle": cycler(color=PALETTE),
    "lines.linewidth": 1.2, "lines.markersize": 4, "legend.frameon": False, "legend.fontsize": 8,
    "legend.handlelength": 2.6, "xtick.labelsize": 8, "ytick.labelsize": 8, "pdf.fonttype": 42, "svg.fonttype": "path",
    "svg.hashsalt": "wideproof", "path.simplify": True, "errorbar.capsize": 2,
    "figure.constrained_layout.use": True,
}  # fmt: skip
MOST = 3  # panels that are told in words
NAMES = {"ell": "ℓ", "nu": "ν", "rho": "ρ", "chi": "χ", "infty": "∞", "theta": "θ", "alpha": "α"}


@dataclass(frozen=True)
class Curve:
    """Numbers that a figure shows: of one panel, under one name, with standard errors where they have any.

    Shapes: x, y (k,); error (k,) or None.
    """

    panel: str
    name: str
    x: Sequence[Any]
    y: Sequence[float]
    error: Sequence[float] | None = None


@dataclass
class Shown:
    """What is on the axes of a figure, and its curves."""

    xlabel: str = ""
    ylabel: str = ""
    curves: list[Curve] = field(default_factory=list)
    said: str = ""
    """In words, where the courses of the curves do not tell it."""


class Picture(Figure):
    """A matplotlib figure that knows the numbers it shows."""

    shown: Shown

    def shows(self, name: str, x: ArrayLike, y: ArrayLike, error: ArrayLike | None = None, panel: str = "") -> None:
        """Remember a curve of `len(x)` numbers."""
        errors = None if error is None else [float(e) for e in np.asarray(error, dtype=float)]
        values = [float(v) for v in np.asarray(y, dtype=float)]
        self.shown.curves.append(Curve(panel, name, list(np.asarray(x).tolist()), values, errors))


def canvas(height: float = HEIGHT) -> tuple[Picture, list[Axes]]:
    """An empty figure and its axes, outside matplotlib's global state."""
    figure, grid = grid_of(1, 1, (WIDTH, height))
    return figure, list(grid[0])


def grid_of(rows: int, columns: int, inches: tuple[float, float], sharex: bool = False) -> tuple[Picture, Any]:
    """An empty figure of that many inches and its axes by row and column."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=inches)
        figure.shown = Shown()
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, squeeze=False, sharex=sharex)


def save(figure: Picture, out_dir: Path, stem: str) -> Path:
    """Write `stem`.pdf, .svg and .csv and return the path without suffix; equal figures give equal bytes."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # 'created' timestamp of the subset font
    with mpl.rc_context(STYLE):
        for suffix, date in ((".pdf", "CreationDate"), (".svg", "Date")):
            drawn = io.BytesIO()
            figure.savefig(drawn, format=suffix[1:], metadata={date: None})
            write_atomically(out_dir / (stem + suffix), drawn.getvalue())
    write_atomically(out_dir / f"{stem}.csv", data(figure))
    return out_dir / stem


def data(figure: Picture) -> str:
    """The numbers of a figure as CSV, a line for each point; an error that is not known is left empty."""
    text, shown = io.StringIO(), figure.shown
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("panel", "curve", worded(shown.xlabel) or "x", worded(shown.ylabel) or "y", "standard error"))
    for curve in shown.curves:
        errors = [""] * len(curve.y) if curve.error is None else list(map(repr, curve.error))
        for x, y, error in zip(curve.x, curve.y, errors, strict=True):
            lines.writerow((worded(curve.panel), worded(curve.name), x, repr(y), error))
    return text.getvalue()


def described(figure: Picture) -> str:
    """What a figure shows, in words, from its numbers: the axes, and where each curve begins, ends, and turns."""
    shown = figure.shown
    if shown.said:
        return shown.said
    panels = list(dict.fromkeys(curve.panel for curve in shown.curves))
    axes = f"{worded(shown.ylabel)} against {worded(shown.xlabel)}" if shown.xlabel else worded(shown.ylabel)
    said = [axes[:1].upper() + axes[1:] if axes[:1].isascii() else axes]
    for panel in panels[:MOST]:
        curves = [_course(curve) for curve in shown.curves if curve.panel == panel]
        said.append((f"{worded(panel)}: " if panel else "") + "; ".join(filter(None, curves)))
    more = len(panels) - MOST
    return ". ".join([*said, *([f"{more} more panels"] if more > 0 else [])]) + "."


def _course(curve: Curve) -> str:
    """One curve: its first and last value, and the extremes between them that exceed both."""
    points = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if np.isfinite(y)]
    if not points:
        return ""
    (first, start), (last, end) = points[0], points[-1]
    name = worded(curve.name)
    if len(points) == 1 or isinstance(first, str):
        return f"{name} " + ", ".join(f"{y:.3g} at {_place(x)}" for x, y in points)
    verb = "rises" if end > start else "falls" if end < start else "stays"
    said = f"{name} {verb} from {start:.3g} at {_place(first)} to {end:.3g} at {_place(last)}"
    for extreme, word in ((max, "largest"), (min, "smallest")):
        place, value = extreme(points, key=lambda point: point[1])
        if value not in (start, end):
            said += f", {word} {value:.3g} at {_place(place)}"
    return said


def _place(x: Any) -> str:
    return x if isinstance(x, str) else f"{x:.3g}"


def worded(label: str) -> str:
    """A label without its LaTeX: `$\\nu_W = 0.3$` is ν_W = 0.3."""
    plain = re.sub(r"\\([a-z]+) ?", lambda found: NAMES.get(found[1], found[1]), label)
    return re.sub(r"[${}\\]", "", plain.replace("^2", "²"))


def placed(figure: Picture, folder: Path, stem: str, caption: Text, label: str) -> doc.Figure:
    """Save a figure and return it as a block, at its own size, told in words by its numbers."""
    width = float(figure.get_size_inches()[0])
    return doc.Figure(save(figure, folder, stem), caption, described(figure), label, round(width / LINE, 2))
