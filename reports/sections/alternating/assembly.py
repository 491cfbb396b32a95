"""How the report of a program of a matrix and its transpose begins and ends."""

from __future__ import annotations

import sympy as sp

from wideproof.derive.alternating.terms import MeanSquare
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Cite, Inline, Ref, Text
from wideproof.numeric.validation.alternating import TRIALS
from wideproof.numeric.validation.alternating.experiment import LinesExperiment
from wideproof.reports.document.numbers import value
from wideproof.reports.sections import opening
from wideproof.reports.sections.alternating.run import corrections, evaluated, evolution, measurements, without
from wideproof.reports.sections.kind import Kind
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import ReportRun


def _abstract(run: ReportRun) -> Text:
    """Both theorems, and the verdict with its numbers."""
    checks, measured, steps = run[validation].checks, run[measurements], opening.steps(run[corrections], run[evolution])
    return (
        f"The program {run.program.name} multiplies by one random matrix and by its transpose, line after line. As the "
        "matrix grows, every product becomes a Gaussian part and multiples of earlier vectors, and every mean square "
        f"converges to the value of a state evolution, proved in {steps} steps that were replayed and audited by "
        "machine. ", *_last(run),
        f"{measured.trials} draws at each of the widths {measured.widths[0]} to {measured.widths[-1]} are "
        f"confronted with the limits at a joint false-alarm rate of {checks[0].false_alarm:g}: "
        f"{opening.tally(checks, 'mean squares')}. Together: {run.verdict}.",
    )  # fmt: skip


def _last(run: ReportRun) -> tuple[Inline, ...]:
    """The last mean square, its limit and its estimate."""
    (name, limit), check = list(run[evaluated].errors.items())[-1], run[validation].checks[-1]
    return ("The last of them, ", math(MeanSquare(sp.Symbol(name))), ", has the limit ", value(limit),
            " at the numbers used, and is measured as ", value(check.estimate, check.stderr), ". ")  # fmt: skip


def _introduction(run: ReportRun) -> tuple[Text, Text, Text]:
    return (
        (f"This report is about the program {run.program.name} of ", Ref("sec:program"), ", which applies a Gaussian "
         "matrix and its transpose in turn to vectors of growing size. "),
        ("Each product remembers the earlier ones, which correction terms can undo, and what is left is followed by a "
         "state evolution ", Cite("bayati2011dynamics"), ". "),
        (Ref("sec:limit"), " derives both from the lines of the program alone, by proofs ", opening.PROVED, ". "),
    )  # fmt: skip


def _conclusion(run: ReportRun) -> tuple[Text, ...]:
    checks, plain = run[validation].checks, run[without]
    words: list[Inline] = [f"{opening.sentence(opening.tally(checks, 'mean squares'))} "]
    words += opening.undecided(checks, "mean square", "mean squares")
    if plain is not None:
        words += ["Without the correction terms the last mean square at width ", f"{plain.widths[-1]} is ",
                  value(plain.means[-1, -1], plain.stderrs[-1, -1]), " instead of ",
                  value(list(run[evaluated].errors.values())[-1]), ". "]  # fmt: skip
    return (tuple(words),)


ALTERNATING = Kind(
    __package__, TRIALS, LinesExperiment, "The wide-matrix limit of {}",
    (corrections, evolution, evaluated, validation, measurements, without), _abstract, _introduction, _conclusion,
)  # fmt: skip
