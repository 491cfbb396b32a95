"""Figures in one house style, drawn from plain arrays: no formula is computed here."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.special import ndtri

from wideproof.numeric.core.files import write_atomically

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito 2008
MARKS, DASHES = "osD^vP*", ("-", "--", "-.", ":")
WIDTH, HEIGHT = 5.4, 2.8  # inches: the line of an A4 article with 29 mm margins
STYLE: Any = {
    "font.family": "serif", "font.serif": ["cmr10", "DejaVu Serif"], "mathtext.fontset": "cm",
    "font.size": 10,
    "axes.formatter.use_mathtext": True, "axes.unicode_minus": False, "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.6, "axes.prop_cycle": cycler(color=PALETTE),
    "lines.linewidth": 1.2, "lines.markersize": 4, "legend.frameon": False, "legend.fontsize": 9,
    "xtick.labelsize": 9, "ytick.labelsize": 9, "pdf.fonttype": 42, "svg.fonttype": "path",
    "svg.hashsalt": "wideproof", "path.simplify": True, "errorbar.capsize": 2,
    "figure.constrained_layout.use": True,
}  # fmt: skip


def save(figure: Figure, out_dir: Path, stem: str) -> Path:
    """Write `stem`.pdf and `stem`.svg and return the path without suffix; equal figures give equal bytes."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # 'created' timestamp of the subset font
    with mpl.rc_context(STYLE):
        for suffix, date in ((".pdf", "CreationDate"), (".svg", "Date")):
            drawn = io.BytesIO()
            figure.savefig(drawn, format=suffix[1:], metadata={date: None})
            write_atomically(out_dir / (stem + suffix), drawn.getvalue())
    return out_dir / stem


def canvas(columns: int = 1, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, side by side, outside matplotlib's global state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasAgg(figure)
        return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def decay(x: ArrayLike, curves: Mapping[str, ArrayLike], xlabel: str, ylabel: str,
          errors: Mapping[str, ArrayLike] | None = None, points: Mapping[str, ArrayLike] | None = None,
          log: bool = True) -> Figure:  # fmt: skip
    """One line per curve over x; measured `points` of the same names as marks with their standard errors.

    Shapes: every array (len(x),).
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        for i, (name, y) in enumerate(curves.items()):
            color = PALETTE[i % len(PALETTE)]
            axes.plot(x, y, DASHES[i // len(PALETTE) % len(DASHES)], color=color, label=name)
            if points and name in points:
                bars = None if errors is None else errors.get(name)
                axes.errorbar(x, points[name], bars, fmt=MARKS[i % len(MARKS)], color=color, linestyle="none")
        if log:
            axes.set_yscale("log")
        return _finish(figure, axes, xlabel, ylabel)


def gaussian_qq(samples: Mapping[str, ArrayLike], xlabel: str = "standard normal quantile",
                ylabel: str = "sample quantile", most: int = 400) -> Figure:  # fmt: skip
    """Quantiles of standardised samples against the standard normal; on the diagonal when they agree.

    Shapes: each sample (n,), divided by its predicted standard deviation; at most `most` points drawn.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas(height=WIDTH * 0.7)
        for i, (name, sample) in enumerate(samples.items()):
            ordered = np.sort(np.asarray(sample, dtype=float))
            index = np.unique(np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int))
            normal = ndtri((index + 0.5) / len(ordered))
            axes.plot(normal, ordered[index], MARKS[i % len(MARKS)], markersize=2.5, label=name)
        ends = axes.get_xlim()
        axes.plot(ends, ends, color="0.5", linewidth=0.8, zorder=0)
        return _finish(figure, axes, xlabel, ylabel)


def histogram(samples: Mapping[str, ArrayLike], xlabel: str, bins: int = 60) -> Figure:
    """Densities of standardised samples, with the standard normal density over them.  Shapes: each (n,)."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        grid = np.linspace(-4.5, 4.5, 300)
        for name, sample in samples.items():
            axes.hist(np.asarray(sample, dtype=float), bins=bins, range=(-4.5, 4.5), density=True,
                      histtype="step", linewidth=1.1, label=name)  # fmt: skip
        axes.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color="0.4", linewidth=0.9, label="Gaussian")
        return _finish(figure, axes, xlabel, "density")


def power_law(widths: ArrayLike, values: Mapping[str, ArrayLike], xlabel: str, ylabel: str,
              errors: Mapping[str, ArrayLike] | None = None,
              slopes: Mapping[str, tuple[float, float]] | None = None) -> Figure:  # fmt: skip
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
            axes.plot(n, np.exp(offset) * n**slope, color=color, linewidth=0.8)
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


def training(curves: Mapping[str, ArrayLike], xlabel: str = "step", ylabel: str = "mean squared error",
             steps: ArrayLike | None = None, log: bool = True) -> Figure:  # fmt: skip
    """Training curves over each other; later ones are dashed, so that one that coincides shows.

    Shapes: each curve (steps,), `steps` the same where not 0, 1, 2, ...
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        for i, (name, y) in enumerate(curves.items()):
            x = np.arange(len(np.asarray(y))) if steps is None else np.asarray(steps)
            axes.plot(x, y, DASHES[i % len(DASHES)], label=name, linewidth=2.2 if i == 0 else 1.2)
        if log:
            axes.set_yscale("log")
        return _finish(figure, axes, xlabel, ylabel)


def panels(x: ArrayLike, parts: Mapping[str, Mapping[str, ArrayLike]], xlabel: str, ylabel: str,
           errors: Mapping[str, Mapping[str, ArrayLike]] | None = None, low: float = -np.inf,
           steps: bool = False, log: bool = False) -> Figure:  # fmt: skip
    """One small picture per part, the same curves over x in each, with errors; low values are cut off, see `_frame`.

    Shapes: every curve (len(x),).  `steps` draws x on a logarithmic axis, with errors as bands, not bars, which begins
    at the first value that is shown, at 0 where x does; `log` draws all values so.
    """
    columns = min(len(parts), 3)
    rows, places = -(-len(parts) // columns), np.asarray(x, dtype=float)
    first = places.max()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.35 * HEIGHT + (0.6 if columns > 1 else 0.75) * HEIGHT * rows))
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes, (title, curves) in zip(grid.flat, parts.items(), strict=False):
            _curves(axes, x, curves, {} if errors is None else errors[title], band=steps)
            if len(parts) > 1:
                axes.set_title(title, fontsize=9)
            if log:
                axes.set_yscale("log")
            floor = -np.inf if log else _frame(axes, curves, low)
            for y in curves.values():
                first = places[np.asarray(y, dtype=float) >= floor].min(initial=first)
        if steps:
            _step_axis(grid.flat[0], float(first), float(places.max()))  # all share it
        for axes in grid.flat[len(parts) :]:
            axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel(xlabel)
        for axes in grid[:, 0]:
            axes.set_ylabel(ylabel)
        handles, names = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 3))
        return figure


def _curves(axes: Axes, x: ArrayLike, curves: Mapping[str, ArrayLike], errors: Mapping[str, ArrayLike],
            band: bool) -> None:  # fmt: skip
    for i, (name, y) in enumerate(curves.items()):
        bars, middle = errors.get(name), np.asarray(y, dtype=float)
        if band and bars is not None:
            spread = np.asarray(bars, dtype=float)
            axes.fill_between(x, middle - spread, middle + spread, color=PALETTE[i], alpha=0.15, linewidth=0)
        axes.errorbar(x, middle, None if band else bars, linestyle=DASHES[i % len(DASHES)],
                      marker=MARKS[i % len(MARKS)], markersize=2.5, capsize=1.5, linewidth=2.0 if i == 0 else 1.0,
                      elinewidth=0.7, label=name)  # fmt: skip


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


def grouped_bars(groups: Sequence[str], bars: Mapping[str, ArrayLike], ylabel: str,
                 errors: Mapping[str, ArrayLike] | None = None) -> Figure:  # fmt: skip
    """One cluster of bars per group, one colour per name, with standard errors.  Shapes: (len(groups),)."""
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        step = 0.8 / max(len(bars), 1)
        for i, (name, y) in enumerate(bars.items()):
            place = np.arange(len(groups)) + (i - (len(bars) - 1) / 2) * step
            spread = None if errors is None else errors.get(name)
            axes.bar(place, y, step * 0.92, yerr=spread, label=name, error_kw={"linewidth": 0.8})
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_xticks(np.arange(len(groups)), groups)
        return _finish(figure, axes, "", ylabel)


def _finish(figure: Figure, axes: Axes, xlabel: str, ylabel: str) -> Figure:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if axes.get_legend_handles_labels()[1]:
        axes.legend()
    return figure
