"""Figures in one house style, drawn from plain arrays: no formula is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike
from scipy.special import ndtri

from wideproof.reports.write.picture import HEIGHT, LINE, PALETTE, STYLE, Picture, canvas, grid_of

MARKS = "osD^vP*"
DASHES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (6, 1.5, 1, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (1, 3)),
)  # one for each colour: curves are told apart without it
POINTS = 400  # of a sample in a plot of quantiles
FEWER = 40.0
"""The largest value over the smallest, up to which a logarithmic axis has plain numbers."""
FEW = 8  # points of a curve, up to which each has its error bar
BARS = 4  # of a curve with more


def decay(x: ArrayLike, curves: Mapping[str, ArrayLike], xlabel: str, ylabel: str,
          errors: Mapping[str, ArrayLike] | None = None, points: Mapping[str, ArrayLike] | None = None,
          log: bool = True) -> Picture:  # fmt: skip
    """One line per curve over x; measured `points` of the same names as marks with their standard errors.

    Shapes: every array (len(x),).
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        for i, (name, y) in enumerate(curves.items()):
            color = PALETTE[i % len(PALETTE)]
            axes.plot(x, y, linestyle=DASHES[i % len(DASHES)], color=color, label=name)
            figure.shows(name, x, y)
            if points and name in points:
                bars = None if errors is None else errors.get(name)
                axes.errorbar(x, points[name], bars, fmt=MARKS[i % len(MARKS)], color=color, linestyle="none")
                figure.shows(f"{name}, measured", x, points[name], bars)
        if log:
            axes.set_yscale("log")
        return _finish(figure, axes, xlabel, ylabel)


@dataclass(frozen=True)
class Measured:
    """A line, and marks of what was measured beside it with standard errors.  Shapes: (k,) each."""

    name: str
    x: ArrayLike
    line: ArrayLike
    marks: ArrayLike
    errors: ArrayLike


@dataclass(frozen=True)
class Panel:
    """One picture of several: its axes and what is on them."""

    xlabel: str
    ylabel: str
    curves: tuple[Measured, ...]


def beside(*panels: Panel) -> Picture:
    """Pictures with axes of their own side by side, their curves of one set of names."""
    with mpl.rc_context(STYLE):
        figure, grid = grid_of(1, len(panels), (LINE, HEIGHT))
        for axes, panel in zip(grid[0], panels, strict=True):
            for i, curve in enumerate(panel.curves):
                color, title = PALETTE[i % len(PALETTE)], f"{panel.ylabel} against {panel.xlabel}"
                axes.plot(curve.x, curve.line, linestyle=DASHES[i % len(DASHES)], color=color, label=curve.name)
                axes.errorbar(curve.x, curve.marks, curve.errors, fmt=MARKS[i % len(MARKS)], color=color,
                              linestyle="none")  # fmt: skip
                figure.shows(curve.name, curve.x, curve.line, panel=title)
                figure.shows(f"{curve.name}, measured", curve.x, curve.marks, curve.errors, title)
            axes.set_xlabel(panel.xlabel)
            axes.set_ylabel(panel.ylabel)
        figure.shown.ylabel = "Panels side by side"
        grid[0][0].legend()
        return figure


def gaussian_qq(samples: Mapping[str, ArrayLike], xlabel: str = "standard normal quantile",
                ylabel: str = "sample quantile") -> Picture:  # fmt: skip
    """Quantiles of standardised samples against the standard normal; on the diagonal when they agree.

    Shapes: each sample (n,), divided by its predicted standard deviation; at most 400 points drawn.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas(height=2.5)
        for i, (name, sample) in enumerate(samples.items()):
            ordered = np.sort(np.asarray(sample, dtype=float))
            index = np.unique(np.linspace(0, len(ordered) - 1, min(POINTS, len(ordered))).round().astype(int))
            normal = ndtri((index + 0.5) / len(ordered))
            axes.plot(normal, ordered[index], MARKS[i % len(MARKS)], markersize=3, markerfacecolor="none",
                      markeredgewidth=0.7, label=name)  # fmt: skip
            figure.shows(name, normal, ordered[index])
        ends = axes.get_xlim()
        axes.plot(ends, ends, color="0.5", linewidth=0.8, zorder=0)
        return _finish(figure, axes, xlabel, ylabel)


def power_law(widths: ArrayLike, values: Mapping[str, ArrayLike], xlabel: str, ylabel: str,
              errors: Mapping[str, ArrayLike] | None = None,
              slopes: Mapping[str, tuple[float, float]] | None = None) -> Picture:  # fmt: skip
    """Values against width on double logarithmic axes, each with its fitted power in the legend.

    Shapes: widths (k,), each value (k,) > 0, each error (k,).  The power is that of `slopes` with its standard error
    where one is given, so that a figure shows the number that its text judges; else that of `fitted_power`.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        n = np.asarray(widths, dtype=float)
        for i, (name, y) in enumerate(values.items()):
            logs = np.log(n), np.log(np.asarray(y, dtype=float))
            color, bars = PALETTE[i % len(PALETTE)], None if errors is None else errors.get(name)
            own = fitted_power(n, y, np.zeros(len(n)) if bars is None else bars)
            slope, stderr = (slopes or {}).get(name, own)
            offset = logs[1].mean() - slope * logs[0].mean()
            digits = 1 - int(np.floor(np.log10(stderr))) if stderr else 2  # two of the error
            said = f"{slope:.{digits}f}" + (rf" \pm {stderr:.{digits}f}" if stderr else "")
            axes.errorbar(n, y, bars, fmt=MARKS[i % len(MARKS)], color=color, label=f"{name}: slope ${said}$")
            axes.plot(n, np.exp(offset) * n**slope, color=color, linewidth=0.8, linestyle=DASHES[i % len(DASHES)])
            figure.shows(name, n, y, bars)
            figure.shows(f"{name}, the fitted power", n, np.exp(offset) * n**slope)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(n, [_width(width) for width in n])
        axes.minorticks_off()
        return _finish(figure, axes, xlabel, ylabel)


def fitted_power(widths: ArrayLike, values: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """The power of the width that `power_law` draws, and its standard error, first order in those of the values.

    Shapes: (k,) each, values > 0 -> two scalars.
    """
    x, y = np.log(np.asarray(widths, dtype=float)), np.asarray(values, dtype=float)
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    return float(weights @ np.log(y)), float(np.sqrt(np.sum((weights * np.asarray(errors) / y) ** 2)))


def _width(width: float) -> str:
    """A power of ten as one, any other number as it is."""
    exponent = round(np.log10(width))
    return f"$10^{{{exponent}}}$" if width == 10.0**exponent else f"{width:g}"


def training(curves: Mapping[str, ArrayLike], steps: ArrayLike | None = None) -> Picture:
    """Training curves over each other; later ones are dashed, so that one that coincides shows.

    The names of more than four stand above the picture, where no curve runs through them.
    Shapes: each curve (steps,), `steps` the same where not 0, 1, 2, ...
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas(height=(0.9 if len(curves) <= 4 else 1) * HEIGHT)
        for i, (name, y) in enumerate(curves.items()):
            x = np.arange(len(np.asarray(y))) if steps is None else np.asarray(steps)
            axes.plot(x, y, linestyle=DASHES[i % len(DASHES)], label=name, linewidth=2.2 if i == 0 else 1.2,
                      color=PALETTE[i % len(PALETTE)])  # fmt: skip
            figure.shows(name, x, y)
        axes.set_yscale("log")
        _finish(figure, axes, "step", "mean squared error", legend=len(curves) <= 4)
        if len(curves) > 4:
            _above(figure, axes)
        return figure


def panels(x: ArrayLike, parts: Mapping[str, Mapping[str, ArrayLike]], xlabel: str, ylabel: str,
           errors: Mapping[str, Mapping[str, ArrayLike]] | None = None, low: float = -np.inf,
           steps: bool = False, log: bool = False) -> Picture:  # fmt: skip
    """One small picture per part, the same curves over x in each, with errors; low values are cut off, see `_frame`.

    Shapes: every curve (len(x),).  `steps` draws x on a logarithmic axis, which begins at the first value that is
    shown, at 0 where x does; `log` draws all values so.  Error bars stand beside each other, at the points that are
    shown: none covers another curve's, and none hangs from a point that is cut off.
    """
    columns = min(len(parts), 3)
    rows, places = -(-len(parts) // columns), np.asarray(x, dtype=float)
    first, floor = places.max(), -np.inf
    inches = (LINE, 0.4 * HEIGHT + (0.6 if columns > 1 else 0.8) * HEIGHT * rows)
    with mpl.rc_context(STYLE):
        figure, grid = grid_of(rows, columns, inches, sharex=True)
        for axes, (title, curves) in zip(grid.flat, parts.items(), strict=False):
            floor = -np.inf if log else _frame(axes, curves, low)
            for y in curves.values():
                first = places[np.asarray(y, dtype=float) >= floor].min(initial=first)
            own = {} if errors is None else errors[title]
            _curves(axes, places, curves, own, floor, dodged=not steps)
            for name, y in curves.items():
                figure.shows(name, x, y, own.get(name), title)
            if len(parts) > 1:
                axes.set_title(title, fontsize=9)
            if log:
                axes.set_yscale("log")
        if steps:
            _step_axis(grid.flat[0], float(first), float(places.max()))  # all share it
        for axes in grid.flat[len(parts) :]:
            axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel(xlabel)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
        figure.shown.xlabel, figure.shown.ylabel = xlabel, ylabel
        _above(figure, grid.flat[0])
        return figure


def _above(figure: Picture, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 3))


def _curves(axes: Axes, x: np.ndarray, curves: Mapping[str, ArrayLike], errors: Mapping[str, ArrayLike],
            floor: float, dodged: bool) -> None:  # fmt: skip
    """Lines with marks and error bars; many bars are taken in turn by the curves, few are set side by side."""
    count, room = len(curves), 0.02 * (x.max() - x.min()) if dodged else 0.0
    for i, (name, y) in enumerate(curves.items()):
        place, middle = x + (i - (count - 1) / 2) * room, np.asarray(y, dtype=float)
        style: Any = {"linestyle": DASHES[i % len(DASHES)], "color": PALETTE[i % len(PALETTE)],
                      "linewidth": 2.0 if i == 0 else 1.0}  # fmt: skip
        axes.plot(place, middle, marker=MARKS[i % len(MARKS)], markersize=2.5, label=name, **style)
        if name in errors:
            turn = np.arange(len(x)) % count == i if len(x) > FEW else np.ones(len(x), dtype=bool)
            kept = np.flatnonzero(turn & (middle >= floor))
            kept = kept[:: max(1, -(-len(kept) // BARS))] if len(x) > FEW else kept
            bars = np.asarray(errors[name], dtype=float)[kept]
            axes.errorbar(place[kept], middle[kept], bars, linestyle="none", color=style["color"], capsize=1.5,
                          elinewidth=0.7)  # fmt: skip


def _step_axis(axes: Axes, first: float, last: float) -> None:
    if first:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(first / 1.3, 1.3 * last)
    axes.minorticks_off()


def _frame(axes: Axes, curves: Mapping[str, ArrayLike], low: float) -> float:
    """Limits from `low`, or from the largest value of the lowest curve if less, to the largest; the lower is told."""
    finite = [values[np.isfinite(values)] for values in (np.asarray(y, dtype=float) for y in curves.values())]
    best = [float(values.max()) for values in finite if values.size]
    top, lowest = max(best), min(float(values.min()) for values in finite if values.size)
    bottom = max(lowest, min(low, *best))
    room = 0.08 * max(top - bottom, 0.1)
    axes.set_ylim(bottom - room, top + room)
    return bottom - room


def _short_axis(axes: Axes) -> None:
    """A logarithmic axis of few powers of ten has plain numbers, and not one power between bare marks."""
    low, high = axes.get_ylim()
    if axes.get_yscale() != "log" or high > FEWER * low:
        return
    axes.yaxis.set_major_formatter("${x:g}$")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.yaxis.set_minor_formatter("${x:g}$")


def _finish(figure: Picture, axes: Axes, xlabel: str, ylabel: str, legend: bool = True) -> Picture:
    figure.shown.xlabel, figure.shown.ylabel = xlabel, ylabel
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    _short_axis(axes)
    if legend and axes.get_legend_handles_labels()[1]:
        axes.legend()
    return figure
