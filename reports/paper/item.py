"""An item of the paper: what it is called there, and how it becomes a section with judged claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import sympy as sp

from wideproof.derive import Derivation, Program, Recursion, models
from wideproof.derive.latex.displays import display
from wideproof.derive.latex.printer import math
from wideproof.derive.latex.text import Inline, Text, inlines
from wideproof.derive.proof.claims import Counterexample, Equation as EquationClaim, Inequality, Limit, MatrixEquation
from wideproof.numeric.core.checks import Check, Verdict
from wideproof.numeric.linear_rnn.training_choice import Announce
from wideproof.numeric.paper.experiments import DrawSizes, Variances
from wideproof.numeric.recordings import RECORDINGS, Recording, load_recording
from wideproof.numeric.runs.stages import Stage
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.validate import validated
from wideproof.reports.document.blocks import Block, Equation, Kind, Paragraph, Section, Table, Theorem
from wideproof.reports.document.numbers import value
from wideproof.reports.paper.certificates import FOLDER, certified
from wideproof.reports.paper.settings import USED, assumptions, setting_of
from wideproof.reports.write import prose
from wideproof.reports.write.inline_math import mathematical

Kinds = TypeVar("Kinds")


@dataclass(frozen=True)
class PaperClaim:
    """One judged sentence about an item; stderr is None where the claim is exact."""

    text: str
    verdict: Verdict
    estimate: float | None = None
    stderr: float | None = None
    prediction: float | None = None


@dataclass(frozen=True)
class Result:
    """What an item says in the report, and its claims; `listed` where the blocks hold these already."""

    blocks: tuple[Block, ...]
    claims: tuple[PaperClaim, ...]
    listed: bool = False


@dataclass
class Context:
    """What items share: sizes, seed, progress, the folder of figures, and runs that several of them read.

    `known`, `shown` and `stands` say what stands where: proofs, choices, and what else is told once, by labels.
    `tasks` keep the pieces of what is measured and say who works; `draws` are the options of `validate` for it.
    """

    stage: Stage
    folder: Path
    quick: bool = False
    seed: int = 0
    data: tuple[str, ...] = tuple(RECORDINGS)
    columns: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    method: str = "auto"
    announce: Announce | None = None
    rnn: Recursion = field(default_factory=models.linear_rnn)
    known: prose.Known = field(default_factory=prose.Known)
    shown: dict[type, str] = field(default_factory=dict)
    stands: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    tasks: Tasks = NOTHING_KEPT
    draws: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def recordings(self) -> tuple[Recording, ...]:
        """The recordings of figure 4 and table 1; `columns` names those of the user's own file."""
        return tuple(load_recording(name, **self.columns) for name in self.data)

    def setting(self, kind: type[Kinds]) -> Kinds:
        """The setting of one experiment at the size and with the changes asked for."""
        return setting_of(kind, self.quick, self.changes)

    def assumptions(self, item: str) -> tuple[Block, ...]:
        """Every choice that an item reads: a table of those not shown before, and where the others stand."""
        return assumptions(item, self.quick, self.changes, self.shown)

    @property
    def variances(self) -> dict[str, Any]:
        """Those of the networks that theorem 3.3 and the lemmas draw, by the names of their symbols."""
        return asdict(self.setting(Variances))

    @cached_property
    def validation(self) -> Validation:
        """The Monte Carlo run that judges the laws of the impulse response and of the kernel."""
        sizes = self.setting(DrawSizes)
        with self.stage("Monte Carlo over a ladder of widths") as progress:
            return validated(self.rnn, sizes.widest, sizes.trials, self.seed, progress, self.draws, self.variances)


def laws(context: Context) -> Validation:
    """The Monte Carlo run of several items, as one of their measurements."""
    return context.validation


@dataclass(frozen=True)
class Item:
    """`name` on the command line, its place in the paper, a title, what makes its section, how it may train.

    `measures` are its measurements in pieces that are kept: a part of a run does its share of them and nothing else.
    `settings` are the kinds of choices that it reads: listed in the report, and settable by name.
    """

    name: str
    place: str
    title: str
    make: Callable[[Context], Result]
    methods: tuple[str, ...] = ()
    measures: tuple[Callable[[Context], object], ...] = ()
    settings: tuple[type, ...] = ()

    def __post_init__(self) -> None:
        USED[self.name] = self.settings


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Refuted if any is, else undecided if any is or there is none, else holds."""
    if "refuted" in verdicts:
        return "refuted"
    return "holds" if verdicts and set(verdicts) == {"holds"} else "undecided"


def verified(text: str, derivation: Derivation) -> PaperClaim:
    """A claim that holds because its proof was replayed and audited just now."""
    derivation.proof.verify()
    return PaperClaim(f"{text}: {len(derivation.proof.steps)} steps verified", "holds")


def theorem(
    context: Context, name: str, title: str, derivation: Derivation, lead: Text, kind: Kind = "theorem",
    tail: Text = (), first: tuple[Block, ...] = (),
) -> tuple[Block, ...]:  # fmt: skip
    """Statement, proof, what the proof rests on, and its certificate; `first` opens the statement."""
    statement: tuple[Block, ...] = (*first, Paragraph(lead), *goal(derivation, f"eq:{name}"))
    return (
        Theorem((*statement, *((Paragraph(tail),) if tail else ())), kind, title, f"thm:{name}"),
        context.known.proof(derivation.proof, name),
        checked(context, name, derivation),
    )


def checked(context: Context, name: str, derivation: Derivation) -> Paragraph:
    """How a proof was checked, what it rests on, and its certificate."""
    told = context.known.premises_line(derivation.proof).text
    made = certified(context.folder.parent / FOLDER, {name: derivation.proof}, asked=not context.quick)
    return Paragraph((*inlines(told), " ", *made))


def goal(derivation: Derivation, label: str) -> tuple[Block, ...]:
    """What a derivation concludes, as a displayed formula with its domain."""
    claim, program = derivation.proof.goal, derivation.program
    relation = r"\leq" if isinstance(claim, Inequality) else ">" if isinstance(claim, Counterexample) else "="
    if not isinstance(claim, EquationClaim | Limit | MatrixEquation | Inequality | Counterexample):
        return (Equation(derivation.formula.latex(), label),)
    shown = Equation(display(claim.left, claim.right, relation=relation, program=program), label)
    if isinstance(claim, Inequality):
        return shown, Paragraph(("wherever ", *_facts(claim.domain, program), "."))
    if isinstance(claim, Counterexample):
        return shown, Paragraph(("at ", *_facts([sp.Eq(*at, evaluate=False) for at in claim.point], program), "."))
    return (shown,)


def _facts(facts: Sequence[sp.Expr], program: Program) -> list[Inline]:
    words: list[Inline] = []
    for fact in facts:
        words += [", " if words else "", math(fact, program)]
    return words


def from_checks(checks: Sequence[Check]) -> tuple[PaperClaim, ...]:
    """Monte Carlo checks as claims; a distance of distribution functions is never zero, and has its p-value."""
    return tuple(
        PaperClaim(
            f"distance of the distributions at lag {c.lag}, p = {c.p_value:.2g}", c.verdict, c.estimate, c.stderr
        )
        if c.quantity == "distribution"
        else PaperClaim(f"{c.quantity.replace('-', ' ')} at lag {c.lag}", c.verdict, c.estimate, c.stderr, c.prediction)
        for c in checks
    )


def table_of(claims: Sequence[PaperClaim], caption: Text, label: str) -> Table:
    """Claims with their verdicts, and their numbers where there are any."""
    predicted, measured = (any(getattr(c, name) is not None for c in claims) for name in ("prediction", "estimate"))
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            mathematical(claim.text),
            *((("" if claim.prediction is None else value(claim.prediction)),) if predicted else ()),
            *((("" if claim.estimate is None else value(claim.estimate, claim.stderr, digits=3)),) if measured else ()),
            claim.verdict,
        )
        for claim in claims
    )
    heads: tuple[Text, ...] = (
        "claim", *(("predicted",) if predicted else ()), *(("measured",) if measured else ()), "verdict",
    )  # fmt: skip
    return Table(heads, rows, caption, label, "X" + "r" * (len(heads) - 2) + "l")


def section(item: Item, result: Result) -> Section:
    """The section of an item: its blocks, then its claims unless the blocks hold them."""
    stem, blocks = item.name.replace(".", "-"), result.blocks
    if not result.listed:
        caption = f"Claims about {item.place}, with their verdicts."
        blocks = (*blocks, table_of(result.claims, caption, f"tab:{stem}"))
    return Section(f"{item.place}: {item.title}", blocks, f"sec:{stem}")
