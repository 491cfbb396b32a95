"""The whole report of a recursion that is not the linear RNN."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import sympy as sp

from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Code, Inline, Latex, Math, Ref, Text
from wideproof.reports.document.blocks import Document, Paragraph, Section
from wideproof.reports.document.numbers import value
from wideproof.reports.sections import opening
from wideproof.reports.sections.nonlinear.confirmation import confirmation, tied, training
from wideproof.reports.sections.nonlinear.limit import gradients, limits, model
from wideproof.reports.sections.nonlinear.memory import remembered
from wideproof.reports.sections.nonlinear.run import KernelRun
from wideproof.reports.write import figures, prose

CODE = re.compile(r"([\w.]+\((?:[^()]|\([^()]*\))*\)|\w+=\w+|\b(?:validate|Kernel)\b)")


def document(run: KernelRun, out_dir: Path) -> Document:
    """The whole report; its figures are drawn into `out_dir`/figures."""
    folder = out_dir / "figures"
    known = prose.Known()
    body = (
        model(run, known),
        limits(run, known),
        gradients(run, known),
        confirmation(run, folder),
        *((tied(run, folder),) if run.untied is not None else ()),
        *((remembered(run, folder, known),) if run.memory is not None else ()),
        training(run, folder),
    )
    sections = (_introduction(run, body), *body, _conclusion(run), provenance(run))
    return Document(f"The wide-network limit of {run.program.name}", _abstract(run), sections, "wideproof")


def _abstract(run: KernelRun) -> Text:
    """Both theorems, and the verdict with its numbers."""
    checks, made = run.validation.checks, run.training
    plan = run.validation.measurements.plan
    return (
        f"As its width grows, the outputs of the recursion {run.program.name} converge to a Gaussian process and its "
        "tangent kernel converges to a deterministic limit; both limits are determined by a system of moments over "
        f"two times, proved in {opening.steps(run.nngp, run.ntk)} steps that were replayed and audited by machine. "
        f"{plan.trials} random networks at each of the widths {plan.widths[0]} to {plan.widths[-1]} are confronted "
        f"with them at a joint false-alarm rate of {checks[0].false_alarm:g}: "
        f"{opening.tally(checks, 'kernel entries')}. The mean square distance of trained outputs from the descent that "
        "the limit predicts, read off at infinite width, is ", value(made.check.estimate, made.check.stderr),
        f" relative to their first error ({made.check.verdict}). Together: {run.verdict}.",
    )  # fmt: skip


def _introduction(run: KernelRun, body: Sequence[Section]) -> Section:
    own = run.program.parameters
    drawn = "one draw each" if all(p.tied for p in own) else "some of them drawn afresh at each step"
    return opening.introduction(
        (f"This report is about the recursion {run.program.name} of ", Ref("sec:model"), ", whose states have the "
         "width ", Math(Latex("n")), f" and whose {len(own)} parameters are random, {drawn}. "),
        opening.KERNEL_THEORY,
        (Ref("sec:limit"), " derives the laws of both from the definition alone, by proofs ", opening.PROVED, ". "),
        body,
    )  # fmt: skip


def _conclusion(run: KernelRun) -> Section:
    checks, error, made = run.validation.checks, run.distance, run.training
    kernels: Text = (
        f"{opening.sentence(opening.tally(checks, 'kernel entries'))} ", *opening.undecided(checks, "entry", "entries"),
        "The kernel of a single network approaches its limit as the width to the power ",
        value(*figures.fitted_power(error.widths, error.error, error.stderr)), ". ",
    )  # fmt: skip
    trained: Text = f"That networks train as the limit says is {made.check.verdict}. "
    if made.check.verdict == "holds":
        trained = ("Networks train as the limit says: ", Ref("tab:training"), " has their distances from it, which "
                   "fall to ", value(made.gaps[-1], made.stderrs[-1]), f" at width {made.widths[-1]}. ")  # fmt: skip
    return opening.conclusion(run.verdict, kernels, _untied(run), _memory(run), trained)


def _untied(run: KernelRun) -> Text:
    if run.untied is None:
        return ()
    apart = run.untied.apart()
    wrong = sum(other.verdict == "refuted" for _, other in apart)
    if not apart:
        return "Parameters drawn afresh at each step would have the same limit. "
    found = f"refuted in {wrong} entries" if wrong else "which these networks do not refute"
    return f"Parameters drawn afresh at each step would have another limit, {found}. "


def _memory(run: KernelRun) -> Text:
    """The memory horizon, or why a recursion that could have one has none here."""
    stable = [point for point in run.analysis.points if point.stable] if run.analysis else []
    if stable:
        return ("At the numbers used, two runs forget how they differed in ", value(stable[0].horizon),
                f" steps ({stable[0].phase} phase). ")  # fmt: skip
    if run.memory is None and run.forgetful:
        parts = tuple(Code(part) if i % 2 else part for i, part in enumerate(CODE.split(run.forgetful)))
        return ("Not derived here is the memory horizon. ", *parts, " ")
    return ()


def provenance(run: KernelRun) -> Section:
    """What the numbers depend on."""
    assumed: list[Inline] = []
    for name, x in run.values.items():
        assumed += [", " if assumed else "", math(sp.Symbol(name)), " = ", value(x)]
    return Section(
        "How this report was made",
        (
            Paragraph(
                (
                    f"The seed is {run.seed}. The file ", Code("run.json"), " beside this report holds the inputs, the "
                    "seed, the versions of all programs, the time, and every number above. Values that were not given "
                    "are our assumptions; in all they were ", *assumed, ".",
                )
            ),
        ),
        "sec:provenance",
    )  # fmt: skip
