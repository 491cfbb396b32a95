"""The whole report of a linear recursion."""

from __future__ import annotations

from pathlib import Path

import sympy as sp

from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Code, Text
from wideproof.reports.document.blocks import Document, Itemize, Paragraph, Section
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.linear.confirmation import confirmation, training
from wideproof.reports.sections.linear.finite_width import finite_width
from wideproof.reports.sections.linear.limit import formulas, limit, model
from wideproof.reports.sections.linear.recordings import recordings
from wideproof.reports.sections.linear.run import LinearRun
from wideproof.reports.write import prose


def document(run: LinearRun, out_dir: Path) -> Document:
    """The whole report; its figures are drawn into `out_dir`/figures."""
    folder = out_dir / "figures"
    known = prose.Known()
    sections = (
        model(run, known),
        limit(run, known),
        formulas(run, folder),
        confirmation(run, folder),
        finite_width(run, folder, known),
        training(run, folder),
        *((recordings(run, folder),) if run.recordings else ()),
        provenance(run),
    )
    abstract = (
        f"The recursion {run.program.name} was written once. This report states its infinite-width limit with "
        "a proof made and checked by machine, the functions derived from it, and how random networks of finite "
        "width, trained networks and real recordings compare. Every number is derived or measured; measured "
        "ones carry their standard error in brackets after the last digits."
    )
    return Document(f"The wide-network limit of {run.program.name}", abstract, sections, "wideproof")


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
