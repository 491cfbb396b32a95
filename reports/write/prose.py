"""What is narrated of a proof, as blocks of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from wideproof.derive import Derivation, Program, Proof
from wideproof.derive.latex import narration
from wideproof.derive.latex.narration import Passage, Said, Stated, Told
from wideproof.derive.latex.printer import Term
from wideproof.derive.proof.rules import GIVEN
from wideproof.reports.document import blocks as doc


@dataclass
class Known:
    """What a document has told so far, claims of proofs and displayed equations, each with the label of its display.

    `checked` once it has said how proofs are checked.
    """

    told: Told = field(default_factory=dict)
    stated: dict[tuple[Term, Term], str] = field(default_factory=dict)
    checked: bool = False

    def declares(self, derivation: Derivation) -> None:
        """The laws of the parameters stand in a table: no proof repeats them."""
        self.told |= {step.claim: "" for step in derivation.proof.steps if step.rule == GIVEN}

    def states(self, pairs: Sequence[tuple[Term, Term]], label: str) -> None:
        """Equations are displayed under a label; proofs refer to them."""
        self.stated |= {pair: self.stated.get(pair, label) for pair in pairs}

    def proof(self, proved: Proof, name: str) -> doc.Proof:
        """A proof, without what is known; what it tells is known after it."""
        return proof(proved, name, self.told, self.stated)

    def premises_line(self, proved: Proof) -> doc.Paragraph:
        """How the proof was checked, told in full once, and what it rests on."""
        again, self.checked = self.checked, True
        return doc.Paragraph(narration.premises_line(proved, again).text)

    def theorem(self, derivation: Derivation, name: str, title: str, body: Sequence[doc.Block],
                after: Sequence[doc.Block] = ()) -> tuple[doc.Block, ...]:  # fmt: skip
        """A derivation as a theorem, what follows from it at once, its proof, and how that was checked."""
        stated = doc.Theorem(tuple(body), title=title, label=f"thm:{name}")
        return (stated, *after, self.proof(derivation.proof, name), self.premises_line(derivation.proof))


def proof(proved: Proof, name: str, told: Told | None = None, stated: Stated | None = None) -> doc.Proof:
    """The steps of a proof as sentences with displays; see `narration.narrated`."""
    return doc.Proof(tuple(map(_block, narration.narrated(proved, name, told, stated))))


def displays(pairs: Sequence[tuple[Term, Term]], program: Program | None = None, label: str = "") -> list[doc.Block]:
    """Equations as one display, or as several joined by a word; the first has the label."""
    return list(map(_block, narration.displays(pairs, program, label)))


def _block(passage: Passage) -> doc.Block:
    return doc.Paragraph(passage.text) if isinstance(passage, Said) else doc.Equation(passage.body, passage.label)
