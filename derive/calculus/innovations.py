"""The innovations form (72a-h) of Lemma C.1: every new product W z_t, conditioned on the earlier ones.

For each matrix, Z_t are its arguments at step t, one column each. Given the products at the earlier steps, the
new one is their linear prediction plus fresh Gaussian noise: R_t = sum_i R_{t-i} F_{t,i} + N(0, P_t), with the
predictor F from the normal equations and P the variance it leaves. The covariance form needs no inverse; the two
give one law, which the unrolled rule checks entry by entry. Where the Gram matrix is singular (the paper claims it
never is, E7) columns that add nothing are left out of the predictor, which is a generalised inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST
from wideproof.derive.calculus.recursion_rules import StateMoments, ask_body, calculus, theorem, values_at, without
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import t
from wideproof.derive.language.program import MatVec, Parameter, Program
from wideproof.derive.proof.claims import Claim, Equation, Recurrence
from wideproof.derive.proof.rules import Ask, rule

STEP, NORMAL = sp.symbols("i k", integer=True, positive=True)
"""How many steps back a predictor reads, and the number of its normal equation."""


Column = tuple[int, sp.Expr]


class InnovationsForm(sp.Function):
    """The whole form; the argument is the horizon, or the symbol t for a generic step."""

    nargs = (1,)


class Predictor(sp.Function):
    """F_{t,i}, the weight of column a at step t - i in the prediction of column b at t: arguments M, a, b, t, i."""

    nargs = (5,)


class Innovation(sp.Function):
    """P_t, the variance left after prediction, between the columns a and b: arguments M, a, b, t."""

    nargs = (4,)


class ProductCov(sp.Function):
    """Cov of M applied to column a at s and to column b at t: arguments M, a, b, s, t."""

    nargs = (5,)


def columns(program: Program) -> list[tuple[Parameter, tuple[sp.Expr, ...]]]:
    """Each square matrix with the vectors it multiplies."""
    found: dict[Parameter, list[sp.Expr]] = {}
    for _, term in program.terms:
        if isinstance(term, MatVec) and term.matrix.role == "matrix":
            found.setdefault(term.matrix, []).append(term.vector)
    return [(matrix, tuple(sorted(vectors, key=str))) for matrix, vectors in found.items()]


def second_moment(program: Program, u: sp.Expr, v: sp.Expr, first: sp.Expr, second: sp.Expr) -> sp.Expr:
    """E[u_s v_t] of two columns of one sequence."""
    return calculus(program, FIRST).moment(u, v, first, second, FIRST, FIRST)


def centred(program: Program, u: sp.Expr, v: sp.Expr, first: sp.Expr, second: sp.Expr) -> sp.Expr:
    """(72c): Cov of two columns, their means taken out."""
    mean = [second_moment(program, sp.S.One, x, at, at) for x, at in ((u, first), (v, second))]
    return second_moment(program, u, v, first, second) - mean[0] * mean[1]


@rule(
    "innovations",
    source="emami2021implicit, (72a)-(72h)",
    rank=160,
    says=(
        "condition every new product on the earlier ones. It is their linear prediction plus fresh noise: "
        "the predictor solves the normal equations, and the noise has the variance it leaves,"
    ),
)
def innovations(subject: Any, ask: Ask) -> Claim:
    """For a generic step: normal equations of the predictor (72d), variance left (72e), law of the product."""
    program = ask.program
    ask(theorem(program), theorem(program))
    for state in program.bodies:
        ask_body(program, ask, state)
    claim = ask.vanishing("zero-moments", StateMoments(t))
    zeros = set(claim.members)
    equations = [
        Equation(without(e.left, zeros), without(e.right, zeros))
        for matrix, vectors in columns(program)
        for b in vectors
        for a in vectors
        for e in _generic(program, matrix, sp.Symbol(matrix.name), vectors, a, b)
    ]
    return Recurrence(subject, sp.Tuple(*(e.left for e in equations)), tuple(equations), (t,))


def _generic(
    program: Program, matrix: Parameter, name: sp.Symbol, vectors: tuple[sp.Expr, ...], a: sp.Expr, b: sp.Expr
) -> list[Equation]:
    """(72d) as the k-th normal equation, k = 1 ... t, and (72e)."""
    if not matrix.tied:
        return [Equation(Innovation(name, a, b, t), matrix.variance * centred(program, a, b, t, t))]
    lag = NORMAL

    def predicted(at: sp.Expr, column: sp.Expr) -> sp.Expr:
        return sp.Add(
            *(
                sp.Sum(centred(program, column, c, at, t - STEP) * Predictor(name, c, b, t, STEP), (STEP, 1, t))
                for c in vectors
            )
        )

    return [
        Equation(predicted(t - lag, a), centred(program, a, b, t - lag, t)),
        Equation(Innovation(name, a, b, t), matrix.variance * (centred(program, a, b, t, t) - predicted(t, a))),
    ]


@rule(
    "innovations-unrolled",
    source="emami2021implicit, (72a)-(72h); pseudo-inverse where the Gram matrix is singular",
    rank=170,
    says="solving the normal equations step by step gives",
)
def innovations_unrolled(subject: InnovationsForm, ask: Ask) -> Claim:
    """Predictors and variances at the times 0 ... T-1, and that they rebuild the covariance form."""
    program = ask.program
    ask(theorem(program), theorem(program))
    written = values_at(program, ask)
    equations = []
    for matrix, vectors in columns(program):
        equations += _Conditioning(program, matrix, vectors, int(subject.args[0]), written).equations()
    law = [e for e in equations if isinstance(e.left, ProductCov)]
    return Recurrence(subject, sp.Tuple(*(e.left for e in law)), tuple(equations), ())


def cancelled(expr: sp.Expr) -> sp.Expr:
    """sp.cancel with every mean, inner product and other node that is not rational as one letter.

    SymPy's own choice of letters keeps a nested mean and its parts as if they were independent, and misses zeros.
    """
    letters: dict[sp.Expr, sp.Dummy] = {}

    def lettered(node: sp.Expr) -> sp.Expr:
        if isinstance(node, sp.Add | sp.Mul):
            return node.func(*map(lettered, node.args))
        if isinstance(node, sp.Pow) and node.exp.is_Integer:
            return lettered(node.base) ** node.exp
        return node if node.is_Atom else letters.setdefault(node, sp.Dummy())

    plain = sp.cancel(lettered(sp.sympify(expr, strict=True)))
    return plain.xreplace({letter: node for node, letter in letters.items()})


class _Conditioning:
    """One matrix, its columns at all steps below the horizon, conditioned one step after the other."""

    def __init__(
        self,
        program: Program,
        matrix: Parameter,
        vectors: tuple[sp.Expr, ...],
        horizon: int,
        written: Callable[[sp.Expr], sp.Expr],
    ) -> None:
        self.matrix, self.vectors, self.horizon = matrix, vectors, horizon
        self.name = sp.Symbol(matrix.name)
        self.index = [(i, v) for i in range(horizon) for v in vectors]
        self.mean = {
            x: written(second_moment(program, sp.S.One, x[1], *map(sp.Integer, (x[0], x[0])))) for x in self.index
        }
        self.gram: dict[tuple[Column, Column], sp.Expr] = {}
        for k, x in enumerate(self.index):
            for y in self.index[k:]:  # one expression for both orders: a mean of two variables has no canonical order
                value = cancelled(written(centred(program, x[1], y[1], sp.Integer(x[0]), sp.Integer(y[0]))))
                self.gram[x, y] = self.gram[y, x] = value

    def equations(self) -> list[Equation]:
        """Predictors, variances left, and the covariance of the products they generate."""
        found: list[Equation] = []
        law: dict[tuple[Column, Column], sp.Expr] = {}
        for step in range(self.horizon):
            past = [x for x in self.index if x[0] < step] if self.matrix.tied else []
            now = [x for x in self.index if x[0] == step]
            weights = {x: self._predictor(past, x) for x in now}
            for x in now:
                found += [
                    Equation(Predictor(self.name, y[1], x[1], step, step - y[0]), f) for y, f in weights[x].items()
                ]
                for y in now:
                    left = cancelled(self.gram[y, x] - sum(self.gram[y, z] * f for z, f in weights[x].items()))
                    found.append(Equation(Innovation(self.name, y[1], x[1], step), self.matrix.variance * left))
                    law[y, x] = self.matrix.variance * left
            self._extend(law, past, now, weights)
        return found + [
            Equation(ProductCov(self.name, x[1], y[1], x[0], y[0]), self._checked(x, y, value))
            for (x, y), value in law.items()
            if self.index.index(x) <= self.index.index(y)
        ]

    def _predictor(self, past: list[Column], x: Column) -> dict[Column, sp.Expr]:
        """Solve the normal equations on a largest set of independent columns; the others get weight zero."""
        basis: list[Column] = []
        for y in past:
            trial = sp.Matrix([[self.gram[a, b] for b in (*basis, y)] for a in (*basis, y)])
            if cancelled(trial.det()) != 0:
                basis.append(y)
        if not basis:
            return dict.fromkeys(past, sp.S.Zero)
        gram = sp.Matrix([[self.gram[a, b] for b in basis] for a in basis])
        solved = gram.LUsolve(sp.Matrix([self.gram[a, x] for a in basis]))
        return dict.fromkeys(past, sp.S.Zero) | dict(zip(basis, map(cancelled, solved), strict=True))

    def _extend(
        self,
        law: dict[tuple[Column, Column], sp.Expr],
        past: list[Column],
        now: list[Column],
        weights: dict[Column, dict[Column, sp.Expr]],
    ) -> None:
        """Cov of R_t = sum R_{t-i} F + noise with the earlier products and with itself."""
        for x in now:
            for y in past:
                law[y, x] = law[x, y] = sp.Add(*(law[y, z] * f for z, f in weights[x].items()))
        fresh = {(y, x): law[y, x] for y in now for x in now}
        for (y, x), noise in fresh.items():
            law[y, x] = noise + sp.Add(*(law[z, x] * f for z, f in weights[y].items()))

    def _checked(self, x: Column, y: Column, value: sp.Expr) -> sp.Expr:
        """Add the mean's part (72g); must equal the covariance form nu E[Z Z'] at equal steps or tied."""
        mean = self.matrix.variance * self.mean[x] * self.mean[y]
        target = self.matrix.variance * self.gram[x, y] + mean
        if not self.matrix.tied and x[0] != y[0]:
            mean = target = sp.S.Zero
        if cancelled(value + mean - target) != 0:
            raise ProofError("innovations form", target, value + mean, "It does not rebuild the covariance form.")
        return sp.expand(target)
