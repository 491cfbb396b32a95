"""Monte Carlo and training at finite width beside the limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from wideproof.derive.latex.text import Cite, Inline, Latex, Math, Ref, Text
from wideproof.numeric.core.checks import Check
from wideproof.numeric.validation.kernels import Correction
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Section, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.nonlinear.run import SEEN, SEQUENCES, STEPS, KernelRun
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

NAMES = {"nngp": "NNGP kernel", "ntk": "tangent kernel"}


def confirmation(run: KernelRun, folder: Path) -> Section:
    """Limits and measurements of both kernels, their shape, and the error of one network against its width."""
    found, checks = run.validation, run.validation.checks
    plan = found.measurements.plan
    entries = len(checks) // 2
    return Section(
        "Confirmation at finite width",
        (
            Paragraph(
                (
                    f"Random networks of the widths {', '.join(map(str, plan.widths))} were drawn, {plan.trials} at "
                    f"each, and ran on {plan.inputs.shape[0]} random sequences of {plan.horizon} steps. The NNGP "
                    "kernel is the covariance of the outputs given the states, averaged over the networks; the tangent "
                    "kernel is the inner product of the gradients that ", Ref("eq:adjoint"), " gives. The theory is a "
                    "limit, so each entry is fitted in powers of ", Math(Latex("1/n")), " and read off at infinite "
                    f"width. All {entries} entries of each kernel are tested; a true theory would be refuted anywhere "
                    f"among them with probability at most {checks[0].false_alarm:g}, and an entry holds only if an "
                    f"error of {checks[0].effect:.0%} (relative to the diagonal) would have been seen with "
                    "probability 0.9. ",
                    Ref("tab:kernels"), " shows the entries at equal times and ", Ref("tab:verdicts"), " all verdicts.",
                )
            ),
            _entries(checks),
            _verdicts(checks),
            *_corrections(run),
            *_shapes(run, folder),
            *_distance(run, folder),
        ),
        "sec:confirmation",
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


def _corrections(run: KernelRun) -> tuple[Block, ...]:
    """The coefficients of 1/n at equal times, derived and measured; nothing where no ladder was long enough."""
    if not run.corrections:
        return ()
    derived = [c for c in run.corrections if c.derived is not None]
    said = _reasons(run)
    told: tuple[Inline, ...] = (
        " gives the first correction of the finite width, the coefficient of ", Math(Latex("1/n")),
        ". The measured one is fitted on the ladder of widths, through the derived limit. ",
    )  # fmt: skip
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
    return (Paragraph((Ref("tab:corrections"), *told)), _coefficients(run.corrections, bool(derived)), *_equations(run))


def _coefficients(corrections: Sequence[Correction], derived: bool) -> Table:
    """The coefficients of 1/n; without columns for what is `derived` where nothing is."""
    rows = tuple(
        (
            NAMES[c.quantity], str(c.step), Math(Latex("x, x" if c.sequences[1] == 0 else "x, x'")),
            *((("measured only" if c.derived is None else value(_rounded(c.derived, c.stderr))),) if derived else ()),
            value(c.measured, c.stderr),
            *(("" if c.z is None else f"{c.z:.1f}",) if derived else ()),
        )
        for c in corrections
    )  # fmt: skip
    heads = ("kernel", "step", "inputs", "derived", "measured", "z") if derived else (
        "kernel", "step", "inputs", "measured")  # fmt: skip
    how = "derived, and measured with standard errors." if derived else "measured, with standard errors."
    return Table(heads, rows, ("Coefficients of ", Math(Latex("1/n")), f" of both kernels at equal times: {how}"),
                 "tab:corrections", "lrlrrr" if derived else "lrlr")  # fmt: skip


def _reasons(run: KernelRun) -> str:
    """Why corrections are not derived, each reason once with the kernels that it is about."""
    about: dict[str, list[str]] = {}
    for c in run.corrections:
        if c.reason:
            names = about.setdefault(c.reason, [])
            names += [] if NAMES[c.quantity] in names else [NAMES[c.quantity]]
    return "; ".join(f"{' and '.join(names)}: {reason}" for reason, names in about.items())


def _rounded(derived: float, stderr: float) -> float:
    """A coefficient that is nothing but rounding beside the error of the measurement is zero."""
    return derived if abs(derived) > 1e-9 * stderr else 0.0


def _equations(run: KernelRun) -> tuple[Block, ...]:
    """The derived equations of the NNGP correction that is derived first, of all symbols what they mean."""
    shown = next((d for d in run.corrected if d.formula.recurrence and d.formula.recurrence.equations), None)
    if shown is None:
        return ()
    blocks: list[Block] = [
        Paragraph(
            (
                "With ", Math(Latex("Q")), " the limit of the overlap of two vectors, ", Math(Latex("Q^{(1)}")),
                " its coefficient of ", Math(Latex("1/n")), ", ", Math(Latex(r"\Gamma")), " and ", Math(Latex("V")),
                " the covariances of two overlaps times ", Math(Latex("n")), ", given those before them and in all, "
                "and ", Math(Latex("R")), " the response of one to another, the first of these is",
            )
        )
    ]  # fmt: skip
    return (*blocks, *(Equation(part) for part in shown.formula.displays()))


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


def _shapes(run: KernelRun, folder: Path) -> tuple[Any, ...]:
    """The kernels against the correlation of the inputs, and against the lag of one changed input."""
    curves = run.curves
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


def _distance(run: KernelRun, folder: Path) -> tuple[Any, ...]:
    error, name = run.distance, "$|K_n - K| / |K|$"
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
                ", where averages of independent entries have ", Math(Latex("-1/2")), ".",
            )
        ),
    )  # fmt: skip


def tied(run: KernelRun, folder: Path) -> Section:
    """Where the independent-weights approximation differs from the truth, derived and measured."""
    found = run.untied
    assert found is not None
    apart = found.apart()
    refuted = [pair for pair in apart if pair[1].verdict == "refuted"]
    elsewhere = [c for c in found.other if c.verdict == "refuted" and all(c is not b for _, b in apart)]
    equal = all(a.lag[1] != a.lag[3] for a, _ in apart if isinstance(a.lag, tuple))
    start: tuple[Inline, ...] = (
        "A common approximation draws every parameter that feeds a state afresh at each step. The same rules derive "
        "its limit from the same definition, with ",
        Math(Latex(r"\mathbb{E}[W_t W_s] = 0")), " between different steps. ",
    )  # fmt: skip
    if not apart:
        same = "For the kernels measured here both limits coincide."
        return Section("Tied and untied weights", (Paragraph((*start, same)),), "sec:untied")
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
    return Section(
        "Tied and untied weights",
        (
            Paragraph((*start, told, Ref("tab:untied"), " lists the largest differences, ",
                       Ref("fig:tied"), " shows them over the steps.")),
            Table(
                ("kernel", "steps, inputs", "tied limit", "untied limit", "measured", "tied", "untied"), tuple(rows),
                "The largest differences between the limit of the recursion and that of its untied twin, and what "
                "random networks with tied weights say of both.", "tab:untied", "llrrrll",
            ),
            *_row_of_times(run, folder),
        ),
        "sec:untied",
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


def _row_of_times(run: KernelRun, folder: Path) -> tuple[Any, ...]:
    """One row of the tangent kernel: the last step of a sequence against its earlier ones."""
    assert run.untied is not None
    last = run.validation.measurements.plan.horizon - 1
    rows = {a.lag: (a, b) for a, b in zip(run.untied.truth, run.untied.other, strict=True) if a.quantity == "ntk"}
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


def training(run: KernelRun, folder: Path) -> Section:
    """Networks descend as the limiting kernel says, ever more so with the width."""
    made = run.training
    curves = {"limit": made.predicted, **{f"$n = {n}$": loss for n, loss in zip(made.widths, made.losses, strict=True)}}
    drawn = figures.training(curves)
    drawn.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    rows = [(str(width), value(gap, stderr))
            for width, gap, stderr in zip(made.widths, made.gaps, made.stderrs, strict=True)]  # fmt: skip
    check = made.check
    return Section(
        "Training",
        (
            Paragraph(
                (
                    f"At each width {made.networks} networks learn {SEQUENCES} random targets from the last outputs by "
                    f"{STEPS} steps of full-batch gradient descent on the mean square error, with the step size ",
                    value(made.step_size, digits=3),
                    ", half the largest stable one of the limit. The limit predicts the outputs by ",
                    Math(Latex(r"f \leftarrow f - \frac{2 \eta}{N} K (f - y)")),
                    " from the outputs of each network at its start. ", Ref("tab:training"), " gives the distance of "
                    "the outputs after training from this prediction, relative to their first distance from the "
                    "targets. Its mean square, fitted in powers of ", Math(Latex("1/n")), " and read off at infinite "
                    "width, is ", value(check.estimate, check.stderr), f", where the limit says zero: {check.verdict}. "
                    f"A true limit would be refuted with probability at most {check.false_alarm:g}, and it holds only "
                    f"if a distance of {SEEN:.0%} would have been seen with probability 0.9. ",
                    Ref("fig:training"), " shows how the errors fall.",
                )
            ),
            Table(
                ("width", "distance"), tuple(rows),
                f"Distance of trained outputs from those of the limit, root mean square over {made.networks} networks.",
                "tab:training", "rr",
            ),
            placed(drawn, folder, "training",
                   "Mean square error of one network of each width, and of the limiting descent from the start of the "
                   "widest one. Each network has its own start.", "fig:training"),
        ),
        "sec:training",
    )  # fmt: skip
