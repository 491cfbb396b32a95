"""The figure of a phase diagram: memory horizon as colour, the derived critical line over it."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke

from wideproof.derive.language.notation import parameter
from wideproof.derive.latex.printer import latex
from wideproof.numeric.memory_horizon.phase_diagram import PhaseDiagram
from wideproof.reports.write.picture import STYLE, Picture, canvas, worded

SHORTEST, LONGEST = 0.5, 200.0
"""Steps at the ends of the colour bar; beyond them the colour says so."""


def phase_figure(diagram: PhaseDiagram) -> Picture:
    """Memory horizon in steps over the two variances, ordered below the line chi = 1 and chaotic beyond it.

    Shapes: those of the diagram.  Cells where the variance diverges are grey.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas(height=2.3)
        shown = np.ma.masked_invalid(np.where(np.isposinf(diagram.horizon), 10 * LONGEST, diagram.horizon))
        axes.set_facecolor("0.8")
        mesh = axes.pcolormesh(diagram.across, diagram.up, np.maximum(shown, 0.1 * SHORTEST), shading="nearest",
                               norm=LogNorm(SHORTEST, LONGEST), cmap="viridis", edgecolors="face",
                               linewidth=0.2)  # fmt: skip
        bar = figure.colorbar(mesh, ax=axes, extend="both")
        bar.set_label("memory horizon (steps)")
        bar.set_ticks([1, 10, 100], labels=["1", "10", "100"])
        line = diagram.line
        axes.plot(line[0], line[1], "o--" if line.shape[1] == 1 else "--", color="black", linewidth=1.4,
                  path_effects=[withStroke(linewidth=3.2, foreground="white")])  # fmt: skip
        axes.set_xlim(diagram.across[0], diagram.across[-1])
        axes.set_ylim(diagram.up[0], diagram.up[-1])
        _name(axes, diagram.chi < 1, diagram, "ordered")
        _name(axes, diagram.chi > 1, diagram, "chaotic")
        _name(axes, np.isnan(diagram.chi), diagram, "diverging")
        across, up = (f"${latex(parameter(name))}$" for name in diagram.axes)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        figure.shown.xlabel, figure.shown.ylabel = across, "memory horizon (steps)"
        for value, row in zip(diagram.up, diagram.horizon, strict=True):
            figure.shows(f"{up} = {value:.4g}", diagram.across, row)
        figure.shown.said = _told(diagram, *map(worded, (across, up)))
        return figure


def _told(diagram: PhaseDiagram, across: str, up: str) -> str:
    """The map in words: how much of it each phase takes, and from where to where the critical line runs."""
    parts = {"ordered": diagram.chi < 1, "chaotic": diagram.chi > 1, "diverging": np.isnan(diagram.chi)}
    shares = ", ".join(f"{name} in {np.mean(inside):.0%} of it" for name, inside in parts.items() if inside.any())
    said = f"Map of the memory horizon in steps over {across} and {up}: {shares}"
    if not diagram.line.shape[1]:
        return f"{said}."
    ends = [f"{across} = {x:.3g}, {up} = {y:.3g}" for x, y in (diagram.line[:, 0], diagram.line[:, -1])]
    return f"{said}; the line χ = 1 runs from {ends[0]} to {ends[1]}."


def _name(axes: mpl.axes.Axes, inside: np.ndarray, diagram: PhaseDiagram, word: str) -> None:
    """Write the name of a phase at its middle, where it is large enough to hold it."""
    if np.mean(inside) > 0.06:
        rows, columns = np.nonzero(inside)
        row = int(np.median(rows))
        column = int(np.median(columns[rows == row])) if np.any(rows == row) else int(np.median(columns))
        axes.text(diagram.across[column], diagram.up[row], word, color="white", ha="center", va="center",
                  bbox={"facecolor": "black", "alpha": 0.45, "edgecolor": "none", "pad": 2})  # fmt: skip
