"""What is narrated of a proof, as blocks of a report."""

from __future__ import annotations

from collections.abc import Sequence

from wideproof.derive import Program, Proof
from wideproof.derive.latex import narration
from wideproof.derive.latex.narration import Passage, Said, Stated, Told
from wideproof.derive.latex.printer import Term
from wideproof.reports.document import blocks as doc


def proof(proved: Proof, name: str, told: Told | None = None, stated: Stated = ((), "")) -> doc.Proof:
    """The steps of a proof as sentences with displays; see `narration.narrated`."""
    return doc.Proof(tuple(map(_block, narration.narrated(proved, name, told, stated))))


def displays(pairs: Sequence[tuple[Term, Term]], program: Program | None = None, label: str = "") -> list[doc.Block]:
    """Equations as one display, or as several joined by a word; the first has the label."""
    return list(map(_block, narration.displays(pairs, program, label)))


def premises_line(proved: Proof) -> doc.Paragraph:
    """How the proof was checked, and what it rests on."""
    return doc.Paragraph(narration.premises_line(proved).text)


def _block(passage: Passage) -> doc.Block:
    return doc.Paragraph(passage.text) if isinstance(passage, Said) else doc.Equation(passage.body, passage.label)
