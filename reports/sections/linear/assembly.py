"""The whole report of a linear recursion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sympy as sp

from wideproof.derive.language.notation import j
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Cite, Code, Latex, Math, Ref, Text
from wideproof.reports.document.blocks import Document, Itemize, Paragraph, Section
from wideproof.reports.document.numbers import value
from wideproof.reports.sections import opening
from wideproof.reports.sections.linear.confirmation import confirmation, training
from wideproof.reports.sections.linear.finite_width import finite_width
from wideproof.reports.sections.linear.limit import formulas, limit, model
from wideproof.reports.sections.linear.recordings import recordings
from wideproof.reports.sections.linear.run import LinearRun
from wideproof.reports.write import figures, prose


def document(run: LinearRun, out_dir: Path) -> Document:
    """The whole report; its figures are drawn into `out_dir`/figures."""
    folder = out_dir / "figures"
    known = prose.Known()
    body = (
        model(run, known),
        limit(run, known),
        formulas(run, folder),
        confirmation(run, folder),
        finite_width(run, folder, known),
        training(run, folder),
        *((recordings(run, folder),) if run.recordings else ()),
    )
    sections = (_introduction(run, body), *body, _conclusion(run), provenance(run))
    return Document(f"The wide-network limit of {run.program.name}", _abstract(run), sections, "wideproof")


def _abstract(run: LinearRun) -> Text:
    """Both theorems with their formulas, and the verdict with its numbers."""
    found = run.validation
    plan = found.measurements.plan
    return (
        f"As its width grows, the impulse response of the recursion {run.program.name} converges to independent "
        "Gaussians of variance ", math(run.response.formula.expr, run.program), " at lag ", math(j), ", and its "
        "tangent kernel to that of a convolution which scales this lag by ", math(run.scale.formula.expr, run.program),
        f"; the proofs have {opening.steps(run.response, run.scale)} steps, replayed and audited by machine. "
        f"{plan.trials} random networks at each of the widths {plan.widths[0]} to {plan.widths[-1]} are confronted "
        f"with both at a joint false-alarm rate of {found.checks[0].false_alarm:g}: "
        f"{opening.tally(found.checks, 'checks')}. The gap between the training curves of network and convolution "
        "falls as the width to the power ", value(run.gaps.slope, run.gaps.slope_stderr), f". {_recorded(run)}"
        f"Together: {found.verdict}.",
    )  # fmt: skip


def _recorded(run: LinearRun) -> str:
    """How many statements about recordings are decided."""
    judged = [j for c in run.recordings for j in c.judged]
    decided = sum(j.verdict != "undecided" for j in judged)
    names = " and ".join(c.recording for c in run.recordings)
    return f"On {names}, {decided} of {len(judged)} statements about the bias are decided. " if judged else ""


def _introduction(run: LinearRun, body: Sequence[Section]) -> Section:
    return opening.introduction(
        (f"This report is about the recursion {run.program.name} of ", Ref("sec:model"), ", a recurrent network "
         "without activations whose state has the width ", Math(Latex("n")), ". "),
        ("As ", Math(Latex("n")), " grows, gradient descent on such a network is governed by its tangent kernel ",
         Cite("jacot2018neural"), ", which makes it a convolution that learns some lags faster than others ",
         Cite("emami2021implicit"), ". "),
        (Ref("sec:limit"), " derives the law of the impulse response, the kernel and the convolution from the "
         "definition alone, by proofs ", opening.PROVED, ". "),
        body,
    )  # fmt: skip


def _conclusion(run: LinearRun) -> Section:
    found, error, gaps = run.validation, run.kernel, run.gaps
    exact = run.finite.checks
    return opening.conclusion(
        found.verdict,
        (f"{opening.sentence(opening.tally(found.checks, 'checks at the largest width and in the limit'))} ",
         *opening.undecided(found.checks, "check", "checks")),
        f"{opening.sentence(opening.tally(exact, 'checks of exact moments at narrow widths'))} ",
        ("The tangent kernel of a single network approaches its limit as the width to the power ",
         value(*figures.fitted_power(error.widths, error.error, error.stderr)), ", and the training curves of network "
         "and convolution approach each other as the width to the power ", value(gaps.slope, gaps.slope_stderr), ". "),
        _recorded(run),
    )  # fmt: skip


def provenance(run: LinearRun) -> Section:
    """What the numbers depend on."""
    made = run.training.setting
    assumed: tuple[Text, ...] = (
        *((math(sp.Symbol(name)), " = ", value(x)) for name, x in run.nu.items()),
        f"width {run.training.width} and {made.steps} steps in the training figure",
        f"horizon {made.horizon}",
        f"step size {made.step_fraction:g} of the largest stable one",
    )
    return Section(
        "How this report was made",
        (
            Paragraph(
                (
                    f"The seed is {run.seed}. The file ",
                    Code("run.json"),
                    " beside this report holds the inputs, the seed, "
                    "the versions of all programs, the time, and every number above. Values that the paper "
                    "leaves unstated "
                    "and that we assumed:",
                )
            ),
            Itemize(assumed),
        ),
        "sec:provenance",
    )
