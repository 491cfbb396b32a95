"""The whole report of a program of a matrix and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sympy as sp

from wideproof.derive.alternating.terms import MeanSquare
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Cite, Code, Inline, Ref, Text
from wideproof.reports.document.blocks import Document, Paragraph, Section
from wideproof.reports.document.numbers import value
from wideproof.reports.sections import opening
from wideproof.reports.sections.alternating.confirmation import confirmation
from wideproof.reports.sections.alternating.limit import limits, model
from wideproof.reports.sections.alternating.run import LinesRun


def document(run: LinesRun, out_dir: Path) -> Document:
    """The whole report; its figures are drawn into `out_dir`/figures."""
    body = (model(run), limits(run), confirmation(run, out_dir / "figures"))
    sections = (_introduction(run, body), *body, _conclusion(run), provenance(run))
    return Document(f"The wide-matrix limit of {run.program.name}", _abstract(run), sections, "wideproof")


def _abstract(run: LinesRun) -> Text:
    """Both theorems, and the verdict with its numbers."""
    return (
        f"The program {run.program.name} multiplies by one random matrix and by its transpose, line after line. As the "
        "matrix grows, every product becomes a Gaussian part and multiples of earlier vectors, and every mean square "
        f"converges to the value of a state evolution, proved in {opening.steps(run.corrections, run.evolution)} steps "
        "that were replayed and audited by machine. ", *_last(run),
        f"{run.trials} draws at each of the widths {run.measured.widths[0]} to {run.measured.widths[-1]} are "
        f"confronted with the limits at a joint false-alarm rate of {run.checks[0].false_alarm:g}: "
        f"{opening.tally(run.checks, 'mean squares')}. Together: {run.verdict}.",
    )  # fmt: skip


def _last(run: LinesRun) -> tuple[Inline, ...]:
    """The last mean square, its limit and its estimate."""
    (name, limit), check = list(run.errors.items())[-1], run.checks[-1]
    return ("The last of them, ", math(MeanSquare(sp.Symbol(name))), ", has the limit ", value(limit),
            " at the numbers used, and is measured as ", value(check.estimate, check.stderr), ". ")  # fmt: skip


def _introduction(run: LinesRun, body: Sequence[Section]) -> Section:
    return opening.introduction(
        (f"This report is about the program {run.program.name} of ", Ref("sec:program"), ", which applies a Gaussian "
         "matrix and its transpose in turn to vectors of growing size. "),
        ("Each product remembers the earlier ones, which correction terms can undo, and what is left is followed by a "
         "state evolution ", Cite("bayati2011dynamics"), ". "),
        (Ref("sec:limit"), " derives both from the lines of the program alone, by proofs ", opening.PROVED, ". "),
        body,
    )  # fmt: skip


def _conclusion(run: LinesRun) -> Section:
    words: list[Inline] = [f"{opening.sentence(opening.tally(run.checks, 'mean squares'))} "]
    words += opening.undecided(run.checks, "mean square", "mean squares")
    if run.without is not None:
        words += ["Without the correction terms the last mean square at width ", f"{run.without.widths[-1]} is ",
                  value(run.without.means[-1, -1], run.without.stderrs[-1, -1]), " instead of ",
                  value(list(run.errors.values())[-1]), ". "]  # fmt: skip
    return opening.conclusion(run.verdict, tuple(words))


def provenance(run: LinesRun) -> Section:
    """What the numbers depend on."""
    return Section(
        "How this report was made",
        (
            Paragraph(
                (
                    f"The seed is {run.seed}. The file ", Code("run.json"), " beside this report holds the inputs, the "
                    "seed, the versions of all programs, the time, and every number above.",
                )
            ),
        ),
        "sec:provenance",
    )  # fmt: skip
