"""Draws of the matrix beside the derived state evolution, with and without the correction terms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import sympy as sp

from wideproof.derive.alternating.terms import GaussianPart, MeanSquare
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Inline, Latex, Math, Ref, Text
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.validation.alternating import draw_parts
from wideproof.reports.document.blocks import Block, Paragraph, Table
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.alternating.run import evaluated, measurements, program_of, without
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, concluded
from wideproof.reports.sections.section import Draft, section
from wideproof.reports.write import figures
from wideproof.reports.write.picture import placed

PARTS_WIDTH = 2048


@dataclass(frozen=True)
class GaussianParts:
    """Gaussian parts of one wide draw in standard deviations, by line; `plain` without the correction terms."""

    corrected: dict[int, Host]
    plain: dict[int, Host]


@concluded()
def parts(run: Making, progress: Progress) -> GaussianParts:
    """One wide draw with the correction terms, and one without where they matter."""
    draw = partial(draw_parts, program_of(run), run[evaluated].limits, PARTS_WIDTH, run.seed)
    return GaussianParts(draw(**run.nu), {} if run[without] is None else draw(0.0, **run.nu))


@section("Confirmation at finite width", "sec:confirmation", 30, (validation, without, evaluated, measurements, parts),
         "confronts them with random draws of finite width")  # fmt: skip
def confirmation(run: ReportRun, draft: Draft) -> tuple[Block, ...]:
    """Limits and estimates of every mean square, their course over the steps, and the law of the Gaussian parts."""
    first, error = run[validation].checks[0], run[evaluated].error
    drawn = run[measurements]
    widths = ", ".join(map(str, drawn.widths))
    integrals: tuple[Inline, ...] = (
        ("The integrals among the limits have an error that is estimated at ", value(error, digits=1), ". ")
        if error else ()
    )  # fmt: skip
    return (
            Paragraph(
                (
                    f"The matrix and the given vectors were drawn {drawn.trials} times at each of the widths {widths}, "
                    "with the derived coefficients, and the mean squares of the given vectors, whose means are known, "
                    "were regressed out. The theory is a limit: each mean square is fitted in powers of ",
                    Math(Latex("1/n")), " and read off at infinite width. True limits would be refuted anywhere among "
                    f"them with probability at most {first.false_alarm:g}, and one holds only if an error of "
                    f"{first.effect:.0%} would have been seen with probability 0.9. ", *integrals,
                    Ref("tab:errors"), " has the verdicts.",
                )
            ),
            _table(run),
            *_course(run, draft.folder),
            *_parts(run[parts], draft.folder),
    )  # fmt: skip


def _table(run: ReportRun) -> Table:
    rows: list[tuple[Text, ...]] = []
    plain_draws, measured = run[without], run[measurements]
    for k, (name, c) in enumerate(zip(run[evaluated].errors, run[validation].checks, strict=True)):
        plain: tuple[Text, ...] = (value(plain_draws.means[-1, k], plain_draws.stderrs[-1, k]),) if plain_draws else ()
        rows.append(
            (
                math(MeanSquare(sp.Symbol(name))), value(c.prediction),
                value(measured.means[-1, k], measured.stderrs[-1, k]), value(c.estimate, c.stderr),
                value(c.p_value, digits=2), value(c.detectable, digits=2), c.verdict, *plain,
            )
        )  # fmt: skip
    n = Latex(f"n = {measured.widths[-1]}")
    heads: tuple[Text, ...] = ("quantity", "limit", Math(n), Math(Latex(r"n = \infty")), "p", "detects", "verdict")
    tail: tuple[Inline, ...] = ("; last column: no correction terms, ", Math(n)) if plain_draws else ()
    return Table(
        (*heads, "none") if plain_draws else heads, tuple(rows),
        ("Mean squares: the limit of ", Ref("eq:evolution"), ", the widest draws and their extrapolation, with "
         "standard errors in brackets; p: of a deviation as large by chance; detects: the relative error that would be "
         "seen with probability 0.9", *tail, "."),
        "tab:errors", "lrrrrrl" + "r" * bool(plain_draws),
    )  # fmt: skip


def _course(run: ReportRun, folder: Path) -> tuple[Block, ...]:
    """The mean squares over the steps."""
    limits, plain = list(run[evaluated].errors.values()), run[without]
    if len(limits) < 2:
        return ()
    curves = {"limit": limits}
    points, errors = {}, {}
    found = {"corrected": run[measurements]} | ({"not corrected": plain} if plain else {})
    for name, measured in found.items():
        label = f"$n = {measured.widths[-1]}$, {name}"
        curves[label] = points[label] = list(measured.means[-1])
        errors[label] = list(measured.stderrs[-1])
    drawn = figures.decay(range(len(limits)), curves, "step", "mean square", errors, points, log=False)
    drawn.axes[0].set_xticks(range(len(limits)))
    return (
        placed(
            drawn, folder, "course",
            ("The mean squares of ", Ref("tab:errors"), " over the steps: the derived limit, and means over draws of "
             "one width with standard errors; a draw keeps the bias of its width."),
            "fig:course",
        ),
    )  # fmt: skip


def _parts(drawn: GaussianParts, folder: Path) -> tuple[Block, ...]:
    """Quantiles of the last Gaussian part of the transpose in one wide draw."""
    if not drawn.corrected:
        return ()
    last = max(drawn.corrected)
    samples = {"corrected": drawn.corrected[last]} | ({"not corrected": drawn.plain[last]} if drawn.plain else {})
    figure = figures.gaussian_qq(samples, "standard normal quantile", "quantile of one draw")
    words: list[Inline] = []
    for name, sample in samples.items():
        kurtosis = float(np.mean((sample - sample.mean()) ** 4) / np.var(sample) ** 2 - 3)
        error = float((24 / len(sample)) ** 0.5)
        words += ["; " if words else "", f"{name}: mean square ",
                  value(np.mean(sample**2), float(np.std(sample**2) / len(sample) ** 0.5)), ", excess kurtosis ",
                  value(kurtosis, error)]  # fmt: skip
    return (
        Paragraph(
            (
                "Not only mean squares converge: ", Ref("fig:parts"), " shows all entries of the Gaussian part ",
                math(GaussianPart(last)), f" of one draw of width {PARTS_WIDTH}, over the standard deviation that ",
                Ref("eq:evolution"), " predicts (", *words, ").",
            )
        ),
        placed(
            figure, folder, "parts",
            ("Quantiles of the entries of ", math(GaussianPart(last)), " over its predicted deviation against those of "
             "the standard normal law, with and without the correction terms."),
            "fig:parts",
        ),
    )  # fmt: skip
