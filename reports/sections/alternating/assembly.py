"""The whole report of a program of a matrix and its transpose."""

from __future__ import annotations

from pathlib import Path

from wideproof.derive.latex.text import Code
from wideproof.reports.document.blocks import Document, Paragraph, Section
from wideproof.reports.sections.alternating.confirmation import confirmation
from wideproof.reports.sections.alternating.limit import limits, model
from wideproof.reports.sections.alternating.run import LinesRun


def document(run: LinesRun, out_dir: Path) -> Document:
    """The whole report; its figures are drawn into `out_dir`/figures."""
    abstract = (
        f"The program {run.program.name} multiplies by one random matrix and by its transpose. This report states what "
        "its vectors converge to as the matrix grows, correction terms and state evolution, with a proof made and "
        "checked by machine, and how draws of finite size compare. Every number is derived or measured; measured ones "
        "carry their standard error in brackets after the last digits."
    )
    sections = (model(run), limits(run), confirmation(run, out_dir / "figures"), provenance(run))
    return Document(f"The wide-matrix limit of {run.program.name}", abstract, sections, "wideproof")


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
