"""How the report of a linear recursion begins and ends."""

from __future__ import annotations

import sympy as sp

from wideproof.derive.language.notation import j
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Cite, Ref, Text, marked
from wideproof.numeric.validation.linear_rnn import variances
from wideproof.numeric.validation.linear_rnn.experiment import LinearExperiment
from wideproof.reports.document.numbers import value
from wideproof.reports.sections import opening
from wideproof.reports.sections.kind import Kind
from wideproof.reports.sections.linear.confirmation import distance
from wideproof.reports.sections.linear.finite_width import finite
from wideproof.reports.sections.linear.recordings import compared
from wideproof.reports.sections.linear.run import response, scale
from wideproof.reports.sections.linear.training import descents, gaps
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import ReportRun
from wideproof.reports.write import figures


def _abstract(run: ReportRun) -> Text:
    """Both theorems with their formulas, and the verdict with its numbers."""
    found = run[validation]
    plan = found.measurements.plan
    return (
        f"As its width grows, the impulse response of the recursion {run.program.name} converges to independent "
        "Gaussians of variance ", math(run[response].formula.expr, run.program), " at lag ", math(j), ", and its "
        "tangent kernel to that of a convolution which scales this lag by ", math(run[scale].formula.expr, run.program),
        f"; the proofs have {opening.steps(run[response], run[scale])} steps, replayed and audited by machine. "
        f"{plan.trials} random networks at each of the widths {plan.widths[0]} to {plan.widths[-1]} are confronted "
        f"with both at a joint false-alarm rate of {found.checks[0].false_alarm:g}: "
        f"{opening.tally(found.checks, 'checks')}. The gap between the training curves of network and convolution "
        "falls as the width to the power ", value(run[gaps].slope, run[gaps].slope_stderr), f". {_recorded(run)}"
        f"Together: {found.verdict}.",
    )  # fmt: skip


def _recorded(run: ReportRun) -> str:
    """How many statements about recordings are decided."""
    judged = [j for c in run[compared] for j in c.judged]
    decided = sum(j.verdict != "undecided" for j in judged)
    names = " and ".join(c.recording for c in run[compared])
    return f"On {names}, {decided} of {len(judged)} statements about the bias are decided. " if judged else ""


def _introduction(run: ReportRun) -> tuple[Text, Text, Text]:
    return (
        (f"This report is about the recursion {run.program.name} of ", Ref("sec:model"), *marked(", a recurrent "
                                                                                                 "network without "
                                                                                                 "activations whose "
                                                                                                 "state has the "
                                                                                                 "width $n$. ")),
        (*marked("As $n$ grows, gradient descent on such a network is governed by its tangent kernel "),
         Cite("jacot2018neural"), ", which makes it a convolution that learns some lags faster than others ",
         Cite("emami2021implicit"), ". "),
        (Ref("sec:limit"), " derives the law of the impulse response, the kernel and the convolution from the "
         "definition alone, by proofs ", opening.PROVED, ". "),
    )  # fmt: skip


def _conclusion(run: ReportRun) -> tuple[Text, ...]:
    found, error, gap = run[validation], run[distance], run[gaps]
    exact = run[finite].checks
    return (
        (f"{opening.sentence(opening.tally(found.checks, 'checks at the largest width and in the limit'))} ",
         *opening.undecided(found.checks, "check", "checks")),
        f"{opening.sentence(opening.tally(exact, 'checks of exact moments at narrow widths'))} ",
        ("The tangent kernel of a single network approaches its limit as the width to the power ",
         value(*figures.fitted_power(error.widths, error.error, error.stderr)), ", and the training curves of network "
         "and convolution approach each other as the width to the power ", value(gap.slope, gap.slope_stderr), ". "),
        _recorded(run),
    )  # fmt: skip


def _assumed(run: ReportRun) -> opening.Assumed:
    made = run[descents].setting
    assumed: tuple[Text, ...] = (
        *((math(sp.Symbol(name)), " = ", value(x)) for name, x in variances(run.program, run.nu).items()),
        f"width {run[descents].width} and {made.steps} steps in the training figure",
        f"horizon {made.horizon}",
        f"step size {made.step_fraction:g} of the largest stable one",
    )
    return " Values that the paper leaves unstated and that we assumed:", assumed


LINEAR = Kind(
    __package__, 20_000, LinearExperiment, "The wide-network limit of {}",
    (response, scale, validation, distance, finite, descents, gaps, compared),
    _abstract, _introduction, _conclusion, _assumed, recorded=True,
)  # fmt: skip
