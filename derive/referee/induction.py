"""Formulas for what has no derived closed form: a recurrence in the lag is obeyed, or at one lag it is not.

With m_{j+1} = A m_j, p the characteristic polynomial of A, every read-out of m obeys p(shift) = 0 (Cayley and
Hamilton). So a formula is the read-out at every lag exactly if it obeys it too and agrees at the first lags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from wideproof.derive.algebra.lag_identities import vanishes
from wideproof.derive.calculus.lags import label_pair
from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import Response
from wideproof.derive.language.errors import DeriveError
from wideproof.derive.language.notation import j, k, p
from wideproof.derive.proof.claims import Agreement, Claim, Question, Recurrence, Refutation
from wideproof.derive.proof.rules import Ask, rule
from wideproof.derive.referee.rules import NotDecided, filled, first_difference
from wideproof.derive.referee.values import LAGS

LARGEST = 12
"""Rows of a system that is looked at."""


@dataclass(frozen=True)
class LagSystem:
    """m_{j+1} = step m_j, m_0 = start, and what is read: readout m_j."""

    step: sp.MatrixBase
    start: sp.MatrixBase
    readout: sp.MatrixBase

    def values(self) -> Iterator[sp.Expr]:
        """What is read at lags 0, 1, ..."""
        moments = self.start
        while True:
            yield sp.expand((self.readout * moments)[0])
            moments = (self.step * moments).applyfunc(sp.expand)


def system_of(recurrence: Recurrence, question: Question) -> LagSystem:
    """The linear system of a recurrence in one lag.  Errors: NotDecided for another one."""
    if recurrence.indices != (j,) or not all(isinstance(e.left, Moment) for e in recurrence.equations):
        raise NotDecided("")
    starts = {e.left.args[:2]: e.right for e in recurrence.equations if e.left.args[2] == 0}
    steps = {e.left.args[:2]: e.right for e in recurrence.equations if e.left.args[2] == j + 1}
    if set(starts) != set(steps) or len(steps) > LARGEST:
        raise NotDecided(f"the recurrence is not one of at most {LARGEST} moments")
    pairs = list(steps)
    here = [Moment(*pair, j, j, *recurrence.equations[0].left.args[4:]) for pair in pairs]
    rows = [filled(x, question) for x in (recurrence.right, *(steps[pair] for pair in pairs))]
    table = [[sp.expand(row).coeff(x, 1) for x in here] for row in rows]
    for row, weights in zip(rows, table, strict=True):
        if sp.expand(row - sp.Add(*(w * x for w, x in zip(weights, here, strict=True)))) != 0:
            raise NotDecided("the recurrence has terms beside the moments")
    start = sp.Matrix([filled(sp.sympify(starts[pair], strict=True), question) for pair in pairs])
    return LagSystem(sp.Matrix(table[1:]), start, sp.Matrix([table[0]]))


def stepped(question: Question, ask: Ask) -> Recurrence:
    """The recurrence in one lag that determines a quantity.  Errors: NotDecided where there is none."""
    goal = ask(question.rule, question.about)
    if isinstance(goal, Recurrence) and goal.indices == (j, k) and isinstance(goal.left, Response):
        try:
            y, r, r2, *_ = goal.left.args
            goal = ask.recurrence("lag-recurrence", Response(y, r, r2, j, j, *label_pair(ask.program, p, p)))
        except DeriveError as error:
            raise NotDecided("lags couple, so that the recurrence is over two of them") from error
    if not isinstance(goal, Recurrence):
        raise NotDecided("")
    return goal


@rule(
    "referee-induction",
    source="Cayley and Hamilton; induction on the lag",
    rank=1020,
    says="the formula put forward obeys the recurrence of the characteristic polynomial, and agrees at the first lags:",
)
def referee_induction(subject: Question, ask: Ask) -> Claim:
    """The formula obeys the characteristic recurrence, and is the read-out at as many lags as that has steps."""
    recurrence = stepped(subject, ask)
    system, formula = system_of(recurrence, subject), filled(subject.formula, subject)
    shifts = reversed(system.step.charpoly().all_coeffs())
    if not vanishes(sp.Add(*(c * formula.xreplace({j: j + i}) for i, c in enumerate(shifts)))):
        raise NotDecided("the formula is not seen to obey the recurrence")
    for lag, known in zip(range(system.step.rows), system.values(), strict=False):
        if not vanishes(formula.xreplace({j: sp.Integer(lag)}) - known):
            raise NotDecided(f"the formula is not seen to agree at lag {lag}")
    return Agreement(subject, filled(recurrence.right, subject))


@rule(
    "referee-stepped",
    source="exact values at one point",
    rank=1030,
    says="the formula put forward is refuted by exact numbers, the recurrence stepped from lag 0:",
)
def referee_stepped(subject: Question, ask: Ask) -> Claim:
    """The first lag, and the first point, at which the stepped recurrence has another value than the formula."""
    recurrence = stepped(subject, ask)
    for lag, known in zip(range(LAGS), system_of(recurrence, subject).values(), strict=False):
        found = first_difference(subject, known, (), at={j: sp.Integer(lag)})
        if found is not None:
            read = {x for x in filled(subject.formula, subject).free_symbols if x.is_real}
            point = dict.fromkeys(read, sp.S.One) | found.point | {j: sp.Integer(lag)}
            return Refutation(subject, filled(recurrence.right, subject), tuple(sorted(point.items(), key=str)))
    raise NotDecided(f"no difference at the lags up to {LAGS - 1}")


def read_at(recurrence: Recurrence, question: Question, lag: int) -> sp.Expr:
    """The value of a quantity at a lag, stepped."""
    return next(known for i, known in enumerate(system_of(recurrence, question).values()) if i == lag)
