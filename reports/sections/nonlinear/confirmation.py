"""Monte Carlo at finite width beside the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive import Derivation
from wideproof.derive.latex.displays import CONTINUED
from wideproof.derive.latex.text import Cite, Inline, Latex, Math, Ref, Text, marked
from wideproof.numeric.core.checks import Check
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.convergence import KernelError
from wideproof.numeric.validation.kernels import (
    Correction,
    KernelCurves,
    KernelPlan,
    corrections_beside,
    kernel_curves,
    kernel_distance,
)
from wideproof.numeric.validation.kernels.experiment import DEFAULT_HORIZON, TRIALS
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, concluded, measured, verify
from wideproof.reports.sections.nonlinear.run import NAMES
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

DISTANCE_WIDTHS = (64, 128, 256, 512, 1024, 2048)
CURVE_WIDTH, CURVE_TRIALS = 512, 200


@measured("kernels against correlation and lag", record="curves")
def curves(run: Making, progress: Progress) -> KernelCurves:
    """The kernels of wide networks against the likeness of two sequences, beside the limits."""
    return kernel_curves(run.program, run.nu, width=CURVE_WIDTH, trials=CURVE_TRIALS, seed=run.seed,
                         progress=progress, tasks=run.tasks)  # fmt: skip


@measured("tangent kernel against width", record="distance")
def distance(run: Making, progress: Progress) -> KernelError:
    """The distance of the tangent kernel of single networks from its limit."""
    inputs = KernelPlan(run.program, run.nu, run.width, TRIALS, DEFAULT_HORIZON, seed=run.seed).inputs
    return kernel_distance(run.program, run.nu, inputs, DISTANCE_WIDTHS, seed=run.seed, progress=progress,
                           tasks=run.tasks)  # fmt: skip


@concluded("coefficients of 1/n", record=lambda found: {"corrections": found[0]})
def corrections(run: Making, progress: Progress) -> tuple[tuple[Correction, ...], tuple[Derivation, ...]]:
    """The coefficients of 1/n measured beside those derived, and the derivations."""
    checked = run[validation]
    found, derivations = corrections_beside(run.program, checked.checks, checked.measurements.plan.inputs, run.nu)
    verify(derivations, progress)
    return found, derivations


@section("Confirmation at finite width", "sec:confirmation", 40, (validation, curves, distance, corrections),
         "confronts them with random draws of finite width")  # fmt: skip
def confirmation(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Limits and measurements of both kernels, their shape, and the error of one network against its width."""
    found, checks = run[validation], run[validation].checks
    plan = found.measurements.plan
    entries = len(checks) // 2
    return (
            Paragraph(
                (
                    f"Random networks of the widths {', '.join(map(str, plan.widths))} were drawn, {plan.trials} at "
                    f"each, and ran on {plan.inputs.shape[0]} random sequences of {plan.horizon} steps. The NNGP "
                    "kernel is the covariance of the outputs given the states, averaged over the networks; the tangent "
                    "kernel is the inner product of the gradients that ", Ref("eq:adjoint"), *marked(" gives. The "
                                                                                                     "theory is a "
                                                                                                     "limit, so each "
                                                                                                     "entry is "
                                                                                                     "fitted in "
                                                                                                     "powers of $1/n$"),
                    " and read off at infinite "
                    f"width. All {entries} entries of each kernel are tested; a true theory would be refuted anywhere "
                    f"among them with probability at most {checks[0].false_alarm:g}, and an entry holds only if an "
                    f"error of {checks[0].effect:.0%} (relative to the diagonal) would have been seen with "
                    "probability 0.9. ",
                    Ref("tab:kernels"), " shows the entries at equal times and ", Ref("tab:verdicts"), " all verdicts.",
                )
            ),
            _entries(checks),
            _verdicts(checks),
            *_corrections(*run[corrections]),
            *_shapes(run[curves], draft.folder),
            *_distance(run[distance], draft.folder),
    )  # fmt: skip


def _entries(checks: tuple[Check, ...]) -> Table:
    rows = tuple(
        (
            step, pair, value(c.prediction), value(c.estimate, c.stderr), c.verdict,
            value(d.prediction), value(d.estimate, d.stderr), d.verdict,
        )
        for step, pair, c, d in _equal_times(checks)
    )  # fmt: skip
    return Table(
        ("step", "inputs", "NNGP", "measured", "verdict", "NTK", "measured", "verdict"), rows,
        ("Both kernels at equal times: the limits ", Ref("eq:nngp"), " and ", Ref("eq:ntk"),
         " and the measurements extrapolated in the width."),
        "tab:kernels", "rlrrlrrl",
    )  # fmt: skip


def _equal_times(checks: tuple[Check, ...]) -> Iterator[tuple[str, Math, Check, Check]]:
    """Step, inputs, and the checks of both kernels there, of the entries at equal times with the first sequence."""
    by_place = {(c.quantity, c.lag): c for c in checks}
    for (quantity, lag), c in by_place.items():
        if quantity == "nngp" and isinstance(lag, tuple) and lag[1] == lag[3] and lag[0] == 0:
            yield str(lag[1]), Math(Latex("x, x" if lag[2] == 0 else "x, x'")), c, by_place["ntk", lag]


def _corrections(corrections: Sequence[Correction], derivations: Sequence[Derivation]) -> tuple[Block, ...]:
    """The coefficients of 1/n at equal times, derived and measured; nothing where no ladder was long enough."""
    if not corrections:
        return ()
    derived = [c for c in corrections if c.derived is not None]
    said = _reasons(corrections)
    told: tuple[Inline, ...] = marked(" gives the first correction of the finite width, the coefficient of $1/n$. "
                                      "The measured one is fitted on the ladder of widths, through the derived "
                                      "limit. ")  # fmt: skip
    if derived:
        worst = max(abs(c.z or 0.0) for c in derived)
        told += (
            f"The derived one, in {len(derived)} entries, is the expansion about infinite width of ",
            Cite("yaida2020nongaussian"), ", ", Cite("roberts2022principles"), ", ", Cite("hanin2024fully"), " and, "
            "for weights that are used again, ", Cite("segadlo2022unified"), ", derived for this recursion and checked "
            f"step by step; z is the distance of the two in standard errors, at most {worst:.1f} here. ",
        )  # fmt: skip
    if said:
        where = "Where none is derived, the coefficient" if derived else "It"
        told += (f"{where} is measured only ({said}).",)
    coefficients = _coefficients(corrections, bool(derived))
    return (Paragraph((Ref("tab:corrections"), *told)), coefficients, *_equations(derivations))


def _coefficients(corrections: Sequence[Correction], derived: bool) -> Table:
    """The coefficients of 1/n; without columns for what is `derived` where nothing is."""
    rows = tuple(
        (
            NAMES[c.quantity], str(c.step), Math(Latex("x, x" if c.sequences[1] == 0 else "x, x'")),
            *((("measured only" if c.derived is None else value(_rounded(c.derived, c.stderr))),) if derived else ()),
            value(c.measured, c.stderr),
            *(("" if c.z is None else Math(Latex(f"{c.z:.1f}")),) if derived else ()),
        )
        for c in corrections
    )  # fmt: skip
    heads = ("kernel", "step", "inputs", "derived", "measured", "z") if derived else (
        "kernel", "step", "inputs", "measured")  # fmt: skip
    how = "derived, and measured with standard errors." if derived else "measured, with standard errors."
    return Table(heads, rows, (*marked("Coefficients of $1/n$ of both kernels at equal times: "), how),
                 "tab:corrections", "lrlrrr" if derived else "lrlr")  # fmt: skip


def _reasons(corrections: Sequence[Correction]) -> str:
    """Why corrections are not derived, each reason once with the kernels that it is about."""
    about: dict[str, list[str]] = {}
    for c in corrections:
        if c.reason:
            names = about.setdefault(c.reason, [])
            names += [] if NAMES[c.quantity] in names else [NAMES[c.quantity]]
    return "; ".join(f"{' and '.join(names)}: {reason}" for reason, names in about.items())


def _rounded(derived: float, stderr: float) -> float:
    """A coefficient that is nothing but rounding beside the error of the measurement is zero."""
    return derived if abs(derived) > 1e-9 * stderr else 0.0


def _equations(derivations: Sequence[Derivation]) -> tuple[Block, ...]:
    """The derived equations of the NNGP correction that is derived first, of all symbols what they mean."""
    shown = next((d for d in derivations if d.formula.recurrence and d.formula.recurrence.equations), None)
    if shown is None:
        return ()
    blocks: list[Block] = [
        Paragraph(
            marked(r"With $Q$ the limit of the overlap of two vectors, $Q^{(1)}$ its coefficient of $1/n$, $\Gamma$ "
                   "and $V$ the covariances of two overlaps times $n$, given those before them and in all, $R$ the "
                   r"response of one to another, and $v$ and $\Sigma$ the variance of $u$ and the covariances of "
                   "$u_1, u_2, \\ldots$, row by row, the first of these is")
        )
    ]  # fmt: skip
    first, *rest = shown.formula.displays()
    blocks.append(Equation(first))
    for part in rest:
        blocks += [Equation(part)] if part.startswith(CONTINUED) else [Paragraph(("and",)), Equation(part)]
    return tuple(blocks)


def _verdicts(checks: tuple[Check, ...]) -> Table:
    rows: list[tuple[Text, ...]] = []
    for quantity, name in NAMES.items():
        own = [c for c in checks if c.quantity == quantity]
        counts = {verdict: sum(c.verdict == verdict for c in own) for verdict in ("holds", "undecided", "refuted")}
        said = ", ".join(f"{verdict} {count}" for verdict, count in counts.items() if count)
        rows.append(
            (
                name, str(len(own)), value(min(c.p_value for c in own), digits=2),
                value(max(c.detectable for c in own), digits=2), said,
            )
        )  # fmt: skip
    return Table(
        ("kernel", "entries", "smallest p", "detects", "verdicts"), tuple(rows),
        "All entries, between all steps of both sequences. The p-values are corrected for the number of entries; "
        "detects: the error, relative to the diagonal, that would be seen with probability 0.9 in every entry.",
        "tab:verdicts", "lrrrl",
    )  # fmt: skip


def _shapes(curves: KernelCurves, folder: Path) -> tuple[Any, ...]:
    """The kernels against the correlation of the inputs, and against the lag of one changed input."""
    pairs = [[c.limit for c in found.values()] for found in (curves.correlation, curves.lag)]
    same = all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)
    drawn = figures.beside(
        _panel("cosine between the inputs of all steps", "$K(x, x') / K(x, x)$", curves.correlation),
        _panel("lag of the changed input", "$1 - K(x, x') / K(x, x)$", curves.lag),
    )
    note = (
        f"Lines: the limit. Marks: means over {curves.trials} networks of width {curves.width}, with standard errors; "
        "they keep the bias of that width."
    ) + same * " Both limits are one curve: relative to their diagonals the kernels agree."
    return (
        Paragraph(
            (
                Ref("fig:correlation"), " draws the kernels of the last output for sequences of "
                f"{curves.horizon} unit vectors: what makes two sequences alike, and how far back a changed input is "
                "still seen.",
            )
        ),
        placed(drawn, folder, "correlation",
               ("Both kernels against the correlation of the two sequences (left), and how much they fall when the "
                "input a number of steps ago is replaced by an orthogonal one (right). ", note), "fig:correlation"),
    )  # fmt: skip


def _panel(xlabel: str, ylabel: str, curves: Mapping[str, Any]) -> figures.Panel:
    return figures.Panel(
        xlabel, ylabel,
        tuple(figures.Measured(NAMES[q], c.x, c.limit, c.measured, c.stderr) for q, c in curves.items()),
    )  # fmt: skip


def _distance(error: KernelError, folder: Path) -> tuple[Any, ...]:
    name = "$|K_n - K| / |K|$"
    drawn = figures.power_law(error.widths, {name: error.error}, "width $n$", "relative error", {name: error.stderr})
    return (
        placed(
            drawn, folder, "kernel-error",
            (f"Distance of the tangent kernel of single networks from its limit, root mean square over {error.trials} "
             "networks."),
            "fig:kernel",
        ),
        Paragraph(
            (
                Ref("fig:kernel"), " shows how the kernel of a single network approaches the limit: the fitted power "
                "of the width is ", value(*figures.fitted_power(error.widths, error.error, error.stderr)),
                *marked(", where averages of independent entries have $-1/2$."),
            )
        ),
    )  # fmt: skip
