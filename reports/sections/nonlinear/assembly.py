"""The whole report of a recursion that is not the linear RNN."""

from __future__ import annotations

from pathlib import Path

import sympy as sp

from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Code, Inline
from wideproof.reports.document.blocks import Document, Paragraph, Section
from wideproof.reports.document.numbers import value
from wideproof.reports.sections.nonlinear.confirmation import confirmation, tied, training
from wideproof.reports.sections.nonlinear.limit import gradients, limits, model
from wideproof.reports.sections.nonlinear.memory import remembered
from wideproof.reports.sections.nonlinear.run import KernelRun
from wideproof.reports.write import prose


def document(run: KernelRun, out_dir: Path) -> Document:
    """The whole report; its figures are drawn into `out_dir`/figures."""
    folder = out_dir / "figures"
    known = prose.Known()
    sections = (
        model(run, known),
        limits(run, known),
        gradients(run),
        confirmation(run, folder),
        tied(run, folder),
        remembered(run, folder, known),
        training(run, folder),
        provenance(run),
    )
    abstract = (
        f"The recursion {run.program.name} was written once. This report states the infinite-width limits of its "
        "outputs and of its gradients with a proof made and checked by machine, and how random and trained networks of "
        "finite width compare. Every number is derived or measured; measured ones carry their standard error in "
        "brackets after the last digits."
    )
    return Document(f"The wide-network limit of {run.program.name}", abstract, sections, "wideproof")


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
