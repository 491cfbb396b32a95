"""Lemmas of a certificate, and the table of rules that can be written as one.

An exporter gets a step, its claim and what the certificate holds so far, and returns the statement of that claim with
a proof that reads the premises only. It derives nothing that it states: a wrong claim is a lemma that coqc refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_type_hints

import sympy as sp

from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import offsets
from wideproof.derive.certificate.hypotheses import for_all_sequences
from wideproof.derive.certificate.terms import Writer, natural
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import j, p, q
from wideproof.derive.language.program import Program
from wideproof.derive.proof.claims import Claim
from wideproof.derive.proof.proof import Step


@dataclass(frozen=True)
class Lemma:
    """A named statement and its proof script; `word` is Lemma or Theorem, or Hypothesis where it has no proof."""

    name: str
    statement: str
    script: str
    word: str = "Lemma"

    def text(self) -> str:
        """The lemma as it stands in the file."""
        if not self.word:
            return self.statement
        if self.word == "Definition":
            return f"Definition {self.name} {self.statement}."
        head = f"{self.word} {self.name} :\n  {self.statement}."
        return head if not self.script else f"{head}\nProof.\n  {self.script}\nQed."


@dataclass
class Context:
    """One proof on its way into Coq: its terms, its steps, and the lemma of each step that is written."""

    writer: Writer
    steps: tuple[Step, ...]
    written: dict[tuple[str, Any], str] = field(default_factory=dict)
    diagonals: dict[sp.Expr, sp.Expr] = field(default_factory=dict)
    superposed: dict[Any, tuple[str, int]] = field(default_factory=dict)

    @property
    def program(self) -> Program:
        """The recursion, or its tangent where the proof is about that."""
        return self.writer.program

    def name(self, rule: str, *about: str) -> str:
        """An identifier for a lemma of a rule."""
        wanted = "_".join((rule.replace("-", "_"), *about))
        return self.writer.names(("lemma", rule, about), wanted)

    def lemma(self, rule: str, subject: Hashable) -> str:
        """The lemma of an earlier step.  Errors: NotCertified where there is none."""
        if (rule, subject) not in self.written:
            raise NotCertified(f"step by {rule}", "a lemma about this subject", subject, "The premise is not written.")
        return self.written[rule, subject]

    def premises(self, step: Step, rule: str) -> list[Claim]:
        """The claims of the premises of a step that come by one rule."""
        return [self.steps[i].claim for i in step.premises if self.steps[i].rule == rule]

    def premise(self, step: Step, rule: str) -> Any:
        """The one premise by a rule."""
        found = self.premises(step, rule)
        if not found:
            raise NotCertified(f"step by {step.rule}", f"a premise by {rule}", "none", "The proof has another shape.")
        return found[0]

    def diagonal_step(self, pair: Any, at: tuple[sp.Expr, sp.Expr]) -> dict[Any, sp.Expr]:
        """The coefficients by which a moment at the next lag reads those at this one."""
        right = sp.expand(self.diagonals[Moment(*pair, j + 1, j + 1, *at)])
        return {x.args[:2]: right.coeff(x) for x in sorted(right.atoms(Moment), key=str)}

    @property
    def apart(self) -> bool:
        """Whether equal and different impulse times are told apart: a matrix is redrawn."""
        return len(offsets(self.program)) > 1

    @property
    def pair(self) -> str:
        """The binder of two sequences; nothing where they are variables of the section."""
        return "forall x x' : sequence, given x -> given x' -> " if for_all_sequences(self.program) else ""

    @property
    def of_pair(self) -> str:
        """The names that such a binder introduces, and the arguments of a lemma with one."""
        return "x x' G G' " if self.pair else ""

    @property
    def kernel(self) -> str:
        """The kernel of a network of finite width, of two sequences."""
        return "kernel x x'" if self.pair else "kernel"

    def impulses(self, a: sp.Expr, b: sp.Expr) -> tuple[str, str]:
        """Binder and premise for the times of the impulses of two labels."""
        if a == b:
            return "p", ""
        return "p q", "p <> q -> " if self.apart else ""

    def given(self, a: sp.Expr, b: sp.Expr) -> str:
        """The arguments that instantiate such a lemma inside a proof that has introduced them."""
        return "p" if a == b else "p q H" if self.apart else "p q"


Export = Callable[[Context, Step, Any], Iterable[Lemma]]
Hypotheses = Callable[[Writer, str | None], str]


@dataclass(frozen=True)
class Exporter:
    """How the steps of one rule are written, and what of such a step is believed rather than proved.

    `about` is the class of the claims, as the function declares it.
    """

    rule: str
    about: Any
    write: Export
    believes: str
    registry: ClassVar[dict[str, Exporter]] = {}

    def __call__(self, context: Context, step: Step) -> Iterable[Lemma]:
        """The lemmas of a step.  Errors: NotCertified for a claim of another class."""
        if self.about is not Any and not isinstance(step.claim, self.about):
            got = type(step.claim).__name__
            raise NotCertified(
                f"step by {step.rule}", f"a claim of the kind {self.about.__name__}", got, "It is another."
            )
        return self.write(context, step, step.claim)


def exports(*rules: str, believes: str = "") -> Callable[[Export], Export]:
    """Register the decorated function as the exporter of some rules, for claims of the class in its signature."""

    def register(write: Export) -> Export:
        about = get_type_hints(write)["claim"]
        for rule in rules:
            assert rule not in Exporter.registry, f"two exporters for {rule}"
            Exporter.registry[rule] = Exporter(rule, about, write, believes)
        return write

    return register


@dataclass(frozen=True)
class Setting:
    """What the section of a certificate holds before its steps, and the rules whose claims it states itself."""

    hypotheses: Callable[[Writer, str | None], str]
    stated: tuple[str, ...]
    registry: ClassVar[dict[str, Setting]] = {}


def setting(*goals: str, stated: tuple[str, ...] = ()) -> Callable[[Hypotheses], Hypotheses]:
    """Register the decorated function as what proofs with such a goal rest on, instead of the limit of wide vectors."""

    def register(write: Hypotheses) -> Hypotheses:
        for goal in goals:
            Setting.registry[goal] = Setting(write, stated)
        return write

    return register


def is_impulse(labels: tuple[sp.Expr, sp.Expr]) -> bool:
    """Whether two labels are times of impulses, and not sequences."""
    return labels[0] in (p, q)


def name_of(context: Context, process: sp.Expr) -> str:
    """A word for a process, in the name of a lemma."""
    if process in context.program.bodies:
        return context.writer.state(process)
    return "one" if process == 1 else context.writer.names(("process", process), getattr(process, "label", "process"))


def pair_name(context: Context, moment: Moment) -> tuple[str, str]:
    """Words for the two processes of a moment."""
    return name_of(context, moment.args[0]), name_of(context, moment.args[1])


def binder(context: Context, subject: sp.Expr, times: Iterable[sp.Expr]) -> str:
    """`forall` over impulses, rows and lags of a subject in the view of its labels, with its premise."""
    symbols = sorted({x for time in times for x in time.free_symbols}, key=str)
    names = [natural(x) for x in symbols]
    lags = f"forall {' '.join(names)} : nat, " if names else ""
    a, b = subject.args[-2:]
    if is_impulse((a, b)):
        impulses, premise = context.impulses(a, b)
        return f"forall {impulses} : nat, {premise}{lags}"
    return f"{context.pair}{lags}"


def taken_apart(proof: str, names: list[str]) -> str:
    """A script that names the parts of a conjunction."""
    pattern = names[-1]
    for name in names[-2::-1]:
        pattern = f"[{name} {pattern}]"
    return f"destruct {proof} as {pattern}." if len(names) > 1 else f"pose proof {proof} as {names[0]}."
