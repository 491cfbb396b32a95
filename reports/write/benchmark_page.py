"""What `numeric.benchmarks` measured, as a figure and as the table of docs/benchmarks/README.md.

`wideproof bench --json > docs/benchmarks/results-DATE.json`, then `python -m wideproof.reports.write.benchmark_page` on
that file, writes both anew from its rows.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from wideproof.numeric.benchmarks import Row
from wideproof.numeric.benchmarks.runner import revive
from wideproof.reports.write.figures import MARKS
from wideproof.reports.write.picture import PALETTE, STYLE, Picture, canvas

CURVES = (
    ("monte-carlo-ntk", "dense NumPy", "NTK, whole matrices"), ("monte-carlo", "dense NumPy", "$L$, whole matrices"),
    ("width-ntk", None, "NTK, without"), ("width", None, "$L$, without"),
)  # fmt: skip
"""Benchmark, the rival whose time is drawn (ours where None), legend."""


def cost_against_width(rows: Sequence[Row]) -> Picture:
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


HEAD = """| benchmark | rival | n | T | n_x → n_y | N | dtype | ratio (quartiles) | ours | rival | reached |
|---|---|--:|--:|---|--:|---|---|--:|--:|--:|"""


def table(rows: Sequence[Row]) -> str:
    """Return all rows as a Markdown table, the part of the floor that ours reaches last.

    Units: seconds with prefixes.
    """
    lines = [
        f"| {r.name} | {r.rival} | {width(r.n)} | {r.T} | {r.n_x} → {r.n_y} | {r.N or '–'} | {r.dtype} | "
        f"**{ratio(r.ratio)}** ({ratio(r.ratio_low)}–{ratio(r.ratio_high)}) | {time(r.ours_s)} | {time(r.rival_s)} | "
        f"{100 * r.fraction:.2g} % |"
        for r in rows
    ]
    return "\n".join([HEAD, *lines])


def width(n: int) -> str:
    """A width as one reads it: 0 is the limit."""
    if n == 0:
        return "∞"
    power = len(str(n)) - 1
    return f"10^{power}" if n == 10**power and power > 3 else str(n)


def ratio(value: float) -> str:
    """Three digits, no exponent."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def time(seconds: float) -> str:
    """Three digits with the prefix that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def main(arguments: Sequence[str]) -> None:
    """Write table and figure of a results file into the page beside it."""
    results = Path(arguments[0])
    rows = tuple(revive(fields) for fields in json.loads(results.read_text(encoding="utf-8"))["rows"])
    page = results.parent / "README.md"
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"\| benchmark \| rival .*?\n(?=\n|$)", lambda _: table(rows) + "\n", text, count=1, flags=re.DOTALL)
    page.write_text(re.sub(r"results-[0-9-]+\.json", results.name, text), encoding="utf-8")
    with mpl.rc_context({**STYLE, "svg.hashsalt": "wideproof"}):
        cost_against_width(rows).savefig(results.parent / "cost-against-width.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(sys.argv[1:])
