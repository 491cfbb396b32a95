"""Where weights that are drawn afresh at each step would have another limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wideproof.derive.language.variants import untied
from wideproof.derive.latex.text import Inline, Latex, Math, Ref, marked
from wideproof.numeric.core.checks import Check
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.kernels import LimitComparison, compare_limits
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, concluded
from wideproof.reports.sections.nonlinear.run import NAMES
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed


@concluded("tied against untied", record=lambda found: {"untied": found and found.other})
def comparison(run: Making, progress: Progress) -> LimitComparison | None:
    """The independent-weights limit on the same networks; None where nothing is shared between steps."""
    twin, found = untied(run.program), run[validation]
    return None if twin == run.program else compare_limits(found.measurements, found.checks, twin)


@section("Tied and untied weights", "sec:untied", 50, (validation, comparison),
         "with parameters drawn afresh at each step")  # fmt: skip
def tied(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Where the independent-weights approximation differs from the truth, derived and measured."""
    found = run[comparison]
    if found is None:
        return ()
    apart = found.apart()
    refuted = [pair for pair in apart if pair[1].verdict == "refuted"]
    elsewhere = [c for c in found.other if c.verdict == "refuted" and all(c is not b for _, b in apart)]
    equal = all(a.lag[1] != a.lag[3] for a, _ in apart if isinstance(a.lag, tuple))
    start: tuple[Inline, ...] = marked("A common approximation draws every parameter that feeds a state afresh at "
                                       "each step. The same rules derive its limit from the same definition, with "
                                       r"$\mathbb{E}[W_t W_s] = 0$ between different steps. ")  # fmt: skip
    if not apart:
        same = "For the kernels measured here both limits coincide."
        return (Paragraph((*start, same)),)
    rows = [
        (
            NAMES[a.quantity], _place(a), value(a.prediction), value(_zeroed(b, a)), value(a.estimate, a.stderr),
            a.verdict, b.verdict,
        )
        for a, b in _shown(apart)
    ]  # fmt: skip
    where = "all of them between different times; at equal times they agree" if equal else "also at equal times"
    told = (
        f"The two limits differ in {len(apart)} of {len(found.truth)} entries, {where}. On the networks measured above "
        f"the untied limit is refuted in {len(refuted) or 'none'} of these entries"
        f"{'' if elsewhere or not refuted else ' and nowhere else'}. "
    )
    if equal:
        told += (
            "So it is exact for what reads equal times only, such as the kernel of the last outputs of sequences of "
            "one length, and wrong for averages over time and for sequences of different lengths. "
        )
    return (
            Paragraph((*start, told, Ref("tab:untied"), " lists the largest differences, ",
                       Ref("fig:tied"), " shows them over the steps.")),
            Table(
                ("kernel", "steps, inputs", "tied limit", "untied limit", "measured", "tied", "untied"), tuple(rows),
                "The largest differences between the limit of the recursion and that of its untied twin, and what "
                "random networks with tied weights say of both.", "tab:untied", "llrrrll",
            ),
            *_row_of_times(found, run[validation].measurements.plan.horizon, draft.folder),
    )  # fmt: skip


def _zeroed(check: Check, beside: Check) -> float:
    """A limit that is rounding beside another one is zero."""
    return check.prediction if abs(check.prediction) > 1e-12 * abs(beside.prediction) else 0.0


def _shown(apart: tuple[tuple[Check, Check], ...], most: int = 4) -> list[tuple[Check, Check]]:
    """Of each kernel the entries that differ most."""
    found: list[tuple[Check, Check]] = []
    for quantity in NAMES:
        own = [pair for pair in apart if pair[0].quantity == quantity]
        found += sorted(own, key=lambda pair: -abs(pair[0].prediction - pair[1].prediction))[:most]
    return found


def _place(check: Check) -> Math:
    assert isinstance(check.lag, tuple)
    a, t, b, s = check.lag
    names = ("x", "x'")
    return Math(Latex(f"K_{{{t},{s}}}({names[a]}, {names[b]})"))


def _row_of_times(found: LimitComparison, horizon: int, folder: Path) -> tuple[Any, ...]:
    """One row of the tangent kernel: the last step of a sequence against its earlier ones."""
    last = horizon - 1
    rows = {a.lag: (a, b) for a, b in zip(found.truth, found.other, strict=True) if a.quantity == "ntk"}
    pairs = [rows[0, t, 0, last] for t in range(last, -1, -1)]
    lags = list(range(last + 1))
    curves = {"tied limit": [a.prediction for a, _ in pairs], "untied limit": [b.prediction for _, b in pairs]}
    points = {"tied limit": [a.estimate for a, _ in pairs]}
    drawn = figures.decay(
        lags, curves, "steps before the last", "tangent kernel", {"tied limit": [a.stderr for a, _ in pairs]}, points,
        log=False,
    )  # fmt: skip
    drawn.axes[0].set_xticks(lags)
    return (
        placed(
            drawn, folder, "tied",
            "The tangent kernel between the last step of a sequence and its earlier steps. Marks: tied networks, "
            "extrapolated in the width, with standard errors.",
            "fig:tied",
        ),
    )  # fmt: skip
