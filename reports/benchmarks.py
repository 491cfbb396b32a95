"""Cost against width: what `numeric.benchmarks` measured, as a figure."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from numeric.benchmarks import Row
from reports.figures import MARKS, PALETTE, STYLE, canvas

CURVES = (
    ("monte-carlo-ntk", "dense NumPy", "NTK, whole matrices"), ("monte-carlo", "dense NumPy", "$L$, whole matrices"),
    ("width-ntk", None, "NTK, without"), ("width", None, "$L$, without"),
)  # fmt: skip
"""Benchmark, the rival whose time is drawn (ours where None), legend."""


def cost_against_width(rows: Sequence[Row]) -> Figure:
    """Draw the CPU time of one Monte Carlo trial against the width, whole matrices and ours.

    Units: seconds of one thread.  Errors: none; benchmarks that were not run are left out.
    """
    with mpl.rc_context(STYLE):
        figure, (axes,) = canvas()
        for i, (name, rival, label) in enumerate(CURVES):
            points = sorted((r.n, r.rival_s if rival else r.ours_s) for r in rows if r.name == name)
            if points:
                widths, costs = np.array(points, dtype=float).T
                axes.loglog(widths, costs, f"{MARKS[i]}-" if rival else f"{MARKS[i]}--", color=PALETTE[i], label=label)
        axes.set_xlabel("width $n$")
        axes.set_ylabel("CPU seconds per trial")
        axes.legend(loc="upper right")
        return figure
