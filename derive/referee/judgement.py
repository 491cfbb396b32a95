"""The referee: a formula put to a recursion comes back proved, refuted with numbers, or undecided with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any, Literal, TypeAlias

import sympy as sp

from wideproof.derive.calculus.moments import Moment
from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.language.errors import ParameterError, ProofError
from wideproof.derive.language.notation import T, j
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.language.scalars import check_keywords, exact
from wideproof.derive.language.shown import cut
from wideproof.derive.linear.scale_factor_bounds import LargestRho
from wideproof.derive.proof.claims import Question, Recurrence, Refutation, StillBounded
from wideproof.derive.proof.proof import Drafts, Proof, prove
from wideproof.derive.referee.differences import told, without_value
from wideproof.derive.referee.formulas import read
from wideproof.derive.referee.induction import read_at
from wideproof.derive.referee.quantities import derivations_of
from wideproof.derive.referee.rules import NotDecided, filled, is_bound, with_largest
from wideproof.derive.referee.values import value, value_or_none

TRUE = ("referee-equality", "referee-bound", "referee-induction")
FALSE = ("referee-counterexample", "referee-stepped")
"""Rules in the order in which they are tried."""
SHOWN = 80
"""Characters of an exact value that is shown as it is."""
Given: TypeAlias = int | Fraction | sp.Expr


@dataclass(frozen=True)
class Judgement:
    """What the referee says about a formula: "holds" or "refuted", each with its `proof`, or "undecided".

    `formula` is the one put forward, `derived` the derived one, None where there is no closed form. `point` is where
    they differ, with the values of both there (None: no value). `findings` are proved sentences on how they differ.

    >>> found = wp.check(wp.models.linear_rnn(), "stability", "nu_W")
    >>> found.verdict, found.point, found.findings[0]
    ('refuted', {'nu_W': 1/2}, 'The formula is sqrt(nu_W) times the derived one, everywhere.')
    """

    verdict: Literal["holds", "refuted", "undecided"]
    derivation: Derivation
    formula: sp.Expr
    derived: sp.Expr | None
    reason: str
    proof: Proof | None = None
    point: Mapping[str, sp.Expr] | None = None
    values: tuple[sp.Expr | None, sp.Expr] | None = None
    findings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        about = f"{self.derivation.quantity} of {self.derivation.program.name}"
        return f"Judgement({self.verdict}: {cut(self.formula)} as {about}; {cut(self.reason)})"

    def verify(self) -> None:
        """Replay and audit the proof of the verdict.  Errors: ProofError, also where nothing was decided."""
        if self.proof is None:
            raise ProofError(
                f"check of {self.derivation.quantity}", "a verdict with a proof", self.verdict, self.reason
            )
        self.proof.verify()


def check(recursion: Recursion | Program | Derivation, quantity: str, formula: str, /, **values: Given) -> Judgement:
    """A formula is, is not, or is not known to be the limit that is derived for a quantity of a recursion.

    The formula is read by the grammar of `define`, in the symbols of the recursion and the lag j, or the times t and s
    of a kernel, with sum(expr, i, low, high), sqrt, log, exp, min, max, ceiling, floor, delta(t, s) and the inner
    product of two inputs X(t, s). Numbers for symbols are keywords, such as nu_F=1. For a quantity that is a bound the
    question is whether the formula is one too; in that of the scale factors rho_max is the largest of the first T.
    Shapes: a scalar.  Units: those of the quantity.
    Errors: LanguageError for a text that the grammar or the symbols do not know; ParameterError for an unknown quantity
    or number; those of the derivation.  Source: definition; the proof's rules name theirs.

    >>> wp.check(wp.models.linear_rnn(), "stability", "sqrt(nu_W)").verdict
    'holds'
    """
    known = derivations_of(recursion, quantity)
    derived = known[-1]
    symbols = {x.name: x for each in known for x in (*each.formula.symbols.values(), *each.program.symbols.values())}
    where = f"check of {derived.quantity} of {derived.program.name}"
    named = {"rho_max": LargestRho(T)} if derived.quantity == "scale-factor-bound" else {}
    text = read(formula, named | symbols, where, inputs="t" in symbols and "s" in symbols)
    at = _numbers(where, derived.program.symbols, values)
    reasons, made = list[str](), dict[Program, Drafts]()
    for name, each in [*product(TRUE, known), *product(FALSE, (derived,))]:
        goal = each.proof.steps[-1]
        question = Question(each.quantity, goal.rule, goal.claim.subject, text, at)
        try:
            proof = prove(each.program, name, question, drafts=made.setdefault(each.program, {}))
        except NotDecided as stuck:
            reasons += [str(stuck)] if str(stuck) else []
        else:
            return _judged(each, question, proof)
    return Judgement("undecided", derived, text, _closed(derived, at), _undecided(derived, reasons))


def _numbers(
    where: str, symbols: Mapping[str, sp.Symbol], values: Mapping[str, Given]
) -> tuple[tuple[sp.Symbol, sp.Expr], ...]:
    """The numbers of a question, exact.  Errors: ParameterError, LanguageError."""
    check_keywords(where, values, (), symbols)
    found = {
        symbols[name]: exact(f"{where}: {name}", x, "an int, a Fraction or an exact number")
        for name, x in values.items()
    }
    for symbol, x in found.items():
        if not x.is_number or (symbol.is_nonnegative and x.is_negative):
            raise ParameterError(f"{where}: {symbol}", "a number, for a variance at least 0", x, "For example 1.")
    return tuple(sorted(found.items(), key=str))


def _closed(derived: Derivation, at: tuple[tuple[sp.Symbol, sp.Expr], ...]) -> sp.Expr | None:
    return None if derived.formula.expr is None else derived.formula.expr.xreplace(dict(at))


def _judged(derived: Derivation, question: Question, proof: Proof) -> Judgement:
    goal: Any = proof.goal
    formula, closed = filled(question.formula, question), _closed(derived, question.at)
    if not isinstance(goal, Refutation):
        findings = () if closed is None else tuple(without_value(formula, closed))
        return Judgement(
            "holds", derived, question.formula, closed, _why_it_holds(derived, goal), proof, findings=findings
        )
    at = dict(goal.point)
    values = value_or_none(with_largest(formula, goal.derived, at), at), _derived_value(goal, proof, at)
    indices = sorted((x for x in at if x.is_integer), key=str)
    findings = () if closed is None or goal.relation == "<=" else tuple(told(formula, goal.derived, at, indices))
    point = {x.name: x_value for x, x_value in goal.point}
    reason = "".join(_why_it_fails(goal, values, indices))
    return Judgement("refuted", derived, question.formula, closed, reason, proof, point, values, findings)


def _derived_value(goal: Refutation, proof: Proof, at: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """The derived value at the point, exact or in many digits."""
    if not goal.derived.has(Moment):
        return value(goal.derived, at)
    claims = (step.claim for step in proof.steps if isinstance(step.claim, Recurrence))
    stepped = next(claim for claim in claims if claim.indices == (j,))
    return value(read_at(stepped, goal.question, int(at[j])), at)


def _why_it_holds(derived: Derivation, goal: Any) -> str:
    if isinstance(goal, StillBounded):
        within = f" where {', '.join(map(str, goal.domain))}" if goal.domain else ""
        return f"The formula is a bound{within}: it is at least the derived one."
    if goal.derived.has(Moment):
        return "The formula obeys the derived recurrence, and agrees with it at the first lags."
    same = "The formula is the derived bound" if is_bound(derived.proof.goal) else "The formula is the derived one"
    return f"{same}: their difference has the normal form zero, wherever both have a value."


def _why_it_fails(goal: Refutation, values: tuple[sp.Expr | None, sp.Expr], indices: list[sp.Symbol]) -> Iterator[str]:
    at = dict(goal.point)
    where = ", ".join(f"{x} = {at[x]}" for x in indices)
    numbers = ", ".join(f"{x} = {number}" for x, number in goal.point if x not in indices)
    yield f"At {where}" if where else "At"
    yield f"{', ' if where else ' '}{numbers}" if numbers else ""
    has = "no value" if values[0] is None else f"the value {shown(values[0])}"
    told_of = "what it should bound is" if goal.relation == "<=" else "the derived one is"
    yield f" the formula has {has}, {told_of} {shown(values[1])}."


def shown(number: sp.Expr) -> str:
    """A value as text: exact where it is short, else to 12 digits."""
    text = str(number)
    return text if number.is_Rational and len(text) <= SHOWN else str(sp.N(number, 12))


def _undecided(derived: Derivation, reasons: list[str]) -> str:
    told_once = "; ".join(dict.fromkeys(reasons))
    if derived.formula.expr is None:
        name = f"{derived.quantity} of {derived.program.name}"
        way = (
            "wideproof.Kernel evaluates it on sequences"
            if "s" in derived.formula.symbols
            else "wideproof eval prints it"
        )
        return f"{told_once}. wideproof derive prints what determines {name}, and {way}; compare numbers."
    return f"{told_once}."
