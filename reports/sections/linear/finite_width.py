"""What the engine knows at every width: exact moments as polynomials in 1/n, drawn and judged against the width."""

from __future__ import annotations

from pathlib import Path

from wideproof.derive import Derivation, moments, ntk_mean, ntk_variance
from wideproof.derive.language.notation import n
from wideproof.derive.latex.displays import display
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Inline, Ref, Text, marked
from wideproof.numeric.core.checks import Check
from wideproof.numeric.core.width_ladder import WIDE, is_wide
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.linear_rnn import KERNEL_LAGS, FiniteWidth, finite_width
from wideproof.reports.document.blocks import Block, Equation, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.run import response
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, concluded, derived
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures, prose
from wideproof.reports.write.picture import placed

SECOND_LAGS, FOURTH_LAGS = tuple(range(2, 7)), tuple(range(3))
"""Lags whose exact second and fourth moments a report states; those of lags 0 and 1 are the limit at every width."""

seconds = derived(lambda program: tuple(moments(program, lag=lag, order=2) for lag in SECOND_LAGS))
fourths = derived(lambda program: tuple(moments(program, lag=lag, order=4) for lag in FOURTH_LAGS))
kernels = derived(lambda program: tuple(of(program, lag) for lag in KERNEL_LAGS for of in (ntk_mean, ntk_variance)))


@concluded("exact moments at narrow widths", record="finite_width")
def finite(run: Making, progress: Progress) -> FiniteWidth:
    """Exact moments judged by random networks of narrow widths."""
    return finite_width(run.program, run.nu, seed=run.seed, progress=progress)


@section("Exact moments at every width", "sec:finite", 50, (response, seconds, fourths, kernels, finite, validation),
         "gives moments that are exact at every width")  # fmt: skip
def exact_moments(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """The exact second and fourth moments, their distance from the limit against n, and verdicts width by width."""
    statements = (*_statement(run, draft.known), *_kernels(run, draft.known))
    return (*statements, _growth(run), *_picture(run, draft.folder), *_verdicts(run[finite].checks))


def _statement(run: ReportRun, known: prose.Known) -> tuple[Block, ...]:
    found = (*run[seconds], *run[fourths])
    shown = tuple(
        Equation(display(x.proof.goal.left, x.formula.expr, program=run.program), f"eq:moment-{k}")  # type: ignore[union-attr]
        for k, x in enumerate(found)
    )
    first = run[seconds][0]
    return (
        *known.theorem(
            first, "finite", "Moments at finite width", (
                Paragraph(
                    (
                        "At every width ", math(n), *marked(" the second moments of an entry of $L_j$"),
                        f" for the lags {SECOND_LAGS[0]} to {SECOND_LAGS[-1]}, and its fourth moments for the lags "
                        f"{FOURTH_LAGS[0]} to {FOURTH_LAGS[-1]}, are",
                    )
                ),
                *shown,
            ),
        ),
        Paragraph(
            (
                f"This is the proof for the second moment of lag {SECOND_LAGS[0]}; the others differ in their words "
                "alone and are proved and checked likewise. At the lags 0 and 1 the second moment is the limit at "
                "every width.",
            )
        ),
    )  # fmt: skip


def _kernels(run: ReportRun, known: prose.Known) -> tuple[Block, ...]:
    """The exact mean and variance of the entries of the empirical tangent kernel."""
    mean = run[kernels][0]
    shown = tuple(
        Equation(display(x.proof.goal.left, x.formula.expr, program=run.program), f"eq:finite-kernel-{k}")  # type: ignore[union-attr]
        for k, x in enumerate(run[kernels])
    )
    return (
        *known.theorem(
            mean, "kernel-mean", "Tangent kernel at finite width", (
                Paragraph(
                    (
                        "At every width ", math(n), " the entry of a lag with itself of the empirical tangent kernel "
                        f"of one input and one output has, for the lags {KERNEL_LAGS[0]} to {KERNEL_LAGS[-1]}, the "
                        "mean and variance",
                    )
                ),
                *shown,
            ),
        ),
        Paragraph(
            (
                f"This is the proof for the mean at lag {KERNEL_LAGS[0]}; the others are proved and checked likewise.",
            )
        ),
    )  # fmt: skip


def _growth(run: ReportRun) -> Paragraph:
    """The relative correction by lag at the widths of the experiments, and from which width a horizon is short."""
    plan = run[validation].measurements.plan
    short, warning = is_wide(plan.width, plan.horizon - 1), "".join(f": {x}" for x in run[validation].warnings)
    parts: list[Inline] = [
        *marked("None of these second moments has a term of order $1/n$: their corrections begin with $1/n^2$ and "
                "grow with the lag, while those of the fourth moments begin with $1/n$. As parts of the limit the "
                "corrections of the second moment are "),
    ]  # fmt: skip
    for k, (lag, derivation) in enumerate(zip(SECOND_LAGS, run[seconds], strict=True)):
        parts += [", " if k else "", value(_relative(run, lag, derivation, plan.width), digits=2), f" at lag {lag}"]
    parts.append(
        f", at the width {plan.width} of the experiments below and above. A horizon is short for a width where "
        f"{WIDE} T² is at most n. " + ("Here it is." if short else f"Here it is not{warning}.")
    )
    return Paragraph(tuple(parts))


def _relative(run: ReportRun, lag: int, derivation: Derivation, width: int) -> float:
    """The exact moment at a width over its limit, less 1; 0 where both vanish."""
    here = float(derivation.formula.compile("numpy")(n=float(width), **run.nu))
    limit = float(run[response].formula.compile("numpy")(j=lag, **run.nu))
    return here / limit - 1 if limit else 0.0


def _picture(run: ReportRun, folder: Path) -> tuple[Block, ...]:
    found = run[finite]
    curves, points, errors = dict[str, list[float]](), dict[str, list[float]](), dict[str, list[float]]()
    for lag in found.lags:
        checks = [c for c in found.of(lag) if c.limit]
        if not checks:
            continue
        limits = [c.limit or 1.0 for c in checks]
        curves[f"lag {lag}"] = [c.prediction / x for c, x in zip(checks, limits, strict=True)]
        points[f"lag {lag}"] = [c.estimate / x for c, x in zip(checks, limits, strict=True)]
        errors[f"lag {lag}"] = [c.stderr / x for c, x in zip(checks, limits, strict=True)]
    if not curves:
        return ()
    drawn = figures.decay(found.widths, curves, "width $n$", "second moment over its limit", errors, points, log=False)
    drawn.axes[0].set_xscale("log", base=2)
    drawn.axes[0].set_xticks(found.widths, [str(width) for width in found.widths])
    return (
        Paragraph((Ref("fig:finite"), " draws them against the width, ", Ref("tab:finite"), " judges them, and ",
                   Ref("tab:finite-kernel"), " the tangent kernel.")),
        placed(
            drawn, folder, "finite-width",
            "Exact second moments over their limits (lines, between the widths drawn straight) and random networks "
            "of each width, with standard errors (marks).",
            "fig:finite",
        ),
    )  # fmt: skip


NAMES = {"ntk-mean": "mean", "ntk-variance": "variance"}


def _verdicts(checks: tuple[Check, ...]) -> tuple[Table, ...]:
    """The checks of second moments, and those of the kernel in a table of their own: no page is one table."""
    first = checks[0]
    heads = ("lag", "width", "exact", "measured", "verdict", "limit", "as the mean here")
    moments = Table(
        heads, tuple(_row(c) for c in checks if c.quantity not in NAMES),
        (*marked("Second moments of an entry of $L_j$, exact at each width, and random networks of that width, "),
         f"{first.trials} each. A true value would be refuted anywhere in this table or the next with probability at "
         f"most {first.false_alarm:g}. The last column says whether the limit ", Ref("eq:variance"),
         ", taken for the value at that width, would be refuted."),
        "tab:finite", "rrrrlrl",
    )  # fmt: skip
    kernels = Table(
        ("of", *heads), tuple((NAMES[c.quantity], *_row(c)) for c in checks if c.quantity in NAMES),
        ("The same of mean and variance of the entry of the tangent kernel of a lag with itself; the limit of the "
         "variance is 0."),
        "tab:finite-kernel", "lrrrrlrl",
    )  # fmt: skip
    return moments, kernels


def _row(c: Check) -> tuple[Text, ...]:
    return (str(c.lag), str(c.width), value(c.prediction), value(c.estimate, c.stderr), c.verdict,
            value(c.limit or 0.0), c.limit_verdict)  # fmt: skip
