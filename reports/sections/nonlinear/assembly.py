"""How the report of a recursion that is not the linear RNN begins and ends."""

from __future__ import annotations

import re

import sympy as sp

from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Code, Inline, Ref, Text, marked
from wideproof.numeric.validation.kernels import LimitComparison
from wideproof.numeric.validation.kernels.experiment import TRIALS, KernelExperiment
from wideproof.reports.document.numbers import value
from wideproof.reports.sections import opening
from wideproof.reports.sections.kind import Kind
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import ReportRun
from wideproof.reports.sections.nonlinear.confirmation import distance
from wideproof.reports.sections.nonlinear.memory import Remembered, remembered
from wideproof.reports.sections.nonlinear.run import nngp, ntk
from wideproof.reports.sections.nonlinear.tied import comparison
from wideproof.reports.sections.nonlinear.training import descents
from wideproof.reports.write import figures

CODE = re.compile(r"([\w.]+\((?:[^()]|\([^()]*\))*\)|\w+=\w+|\b(?:validate|Kernel)\b)")


def _abstract(run: ReportRun) -> Text:
    """Both theorems, and the verdict with its numbers."""
    checks, made = run[validation].checks, run[descents]
    plan = run[validation].measurements.plan
    return (
        f"As its width grows, the outputs of the recursion {run.program.name} converge to a Gaussian process and its "
        "tangent kernel converges to a deterministic limit; both limits are determined by a system of moments over "
        f"two times, proved in {opening.steps(run[nngp], run[ntk])} steps that were replayed and audited by machine. "
        f"{plan.trials} random networks at each of the widths {plan.widths[0]} to {plan.widths[-1]} are confronted "
        f"with them at a joint false-alarm rate of {checks[0].false_alarm:g}: "
        f"{opening.tally(checks, 'kernel entries')}. The mean square distance of trained outputs from the descent that "
        "the limit predicts, read off at infinite width, is ", value(made.check.estimate, made.check.stderr),
        f" relative to their first error ({made.check.verdict}). Together: {run.verdict}.",
    )  # fmt: skip


def _introduction(run: ReportRun) -> tuple[Text, Text, Text]:
    own = run.program.parameters
    drawn = "one draw each" if all(p.tied for p in own) else "some of them drawn afresh at each step"
    return (
        (f"This report is about the recursion {run.program.name} of ", Ref("sec:model"), *marked(", whose states "
                                                                                                 "have the width $n$"),
        f" and whose {len(own)} parameters are random, {drawn}. "),
        opening.KERNEL_THEORY,
        (Ref("sec:limit"), " derives the laws of both from the definition alone, by proofs ", opening.PROVED, ". "),
    )  # fmt: skip


def _conclusion(run: ReportRun) -> tuple[Text, ...]:
    checks, error, made = run[validation].checks, run[distance], run[descents]
    kernels: Text = (
        f"{opening.sentence(opening.tally(checks, 'kernel entries'))} ", *opening.undecided(checks, "entry", "entries"),
        "The kernel of a single network approaches its limit as the width to the power ",
        value(*figures.fitted_power(error.widths, error.error, error.stderr)), ". ",
    )  # fmt: skip
    trained: Text = f"That networks train as the limit says is {made.check.verdict}. "
    if made.check.verdict == "holds":
        trained = ("Networks train as the limit says: ", Ref("tab:training"), " has their distances from it, which "
                   "fall to ", value(made.gaps[-1], made.stderrs[-1]), f" at width {made.widths[-1]}. ")  # fmt: skip
    return kernels, _untied(run[comparison]), _memory(run[remembered]), trained


def _untied(found: LimitComparison | None) -> Text:
    if found is None:
        return ()
    apart = found.apart()
    wrong = sum(other.verdict == "refuted" for _, other in apart)
    if not apart:
        return "Parameters drawn afresh at each step would have the same limit. "
    said = f"refuted in {wrong} entries" if wrong else "which these networks do not refute"
    return f"Parameters drawn afresh at each step would have another limit, {said}. "


def _memory(found: Remembered) -> Text:
    """The memory horizon, or why a recursion that could have one has none here."""
    stable = [point for point in found.analysis.points if point.stable] if found.analysis else []
    if stable:
        return ("At the numbers used, two runs forget how they differed in ", value(stable[0].horizon),
                f" steps ({stable[0].phase} phase). ")  # fmt: skip
    if found.reason:
        parts = tuple(Code(part) if i % 2 else part for i, part in enumerate(CODE.split(found.reason)))
        return ("Not derived here is the memory horizon. ", *parts, " ")
    return ()


def _assumed(run: ReportRun) -> opening.Assumed:
    numbers: list[Inline] = []
    for name, x in run.nu.items():
        numbers += [", " if numbers else "", math(sp.Symbol(name)), " = ", value(x)]
    return (" Values that were not given are our assumptions; in all they were ", *numbers, "."), ()


NONLINEAR = Kind(
    __package__, TRIALS, KernelExperiment, "The wide-network limit of {}",
    (nngp, ntk, validation, distance, comparison, remembered, descents),
    _abstract, _introduction, _conclusion, _assumed,
)  # fmt: skip
