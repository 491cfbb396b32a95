"""The independent audit of conditioning: exact rational matrices, means entry by entry, laws by solving for vec(W)."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.alternating.conditioning import (
    Columns,
    Freedom,
    GaussianLaw,
    Mean,
    ProductLaw,
    Rows,
    Trace,
    Value,
)
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World

SIZES = ((3, 1, 2), (4, 2, 1))
"""n, right queries, left queries."""


def orthonormal(world: World, size: int) -> sp.Matrix:
    """A random orthogonal matrix with rational entries, by Cayley's transform of a skew one."""
    skew = sp.zeros(size, size)
    for i in range(size):
        for k in range(i):
            skew[i, k] = sp.Rational(world.rational())
            skew[k, i] = -skew[i, k]
    return (sp.eye(size) - skew) * (sp.eye(size) + skew).inv()


def letters(world: World) -> dict[str, sp.Matrix]:
    """The matrix of every letter in a world."""
    if "letters" not in world.memo:
        n, k, m = world.random.choice(SIZES)
        right, left = orthonormal(world, n), orthonormal(world, n)
        values = {"V": right[:, :k], "v": right[:, k], "U": left[:, :m]}
        shapes = {"W": (n, n), "A": (n, n), "B": (n, n), "D": (n, n), "a": (k, 1), "b": (m, 1)}
        values |= {x: sp.Matrix(*shape, lambda *_: sp.Rational(world.rational())) for x, shape in shapes.items()}
        values["Z"] = values["W"].T * values["U"]
        world.memo["letters"] = values | {name + "'": value.T for name, value in values.items()}
    return world.memo["letters"]


def _words(expr: sp.Expr) -> list[tuple[sp.Expr, list[sp.Symbol]]]:
    """The terms of an expression: a scalar, and letters in order."""
    found = []
    for term in sp.Add.make_args(sp.expand(expr)):
        scalars, noncommuting = term.args_cnc()
        word = [base for base, power in (x.as_base_exp() for x in noncommuting) for _ in range(int(power))]
        found.append((sp.Mul(*scalars), word))
    return found


def matrix(world: World, expr: sp.Expr, at: Any, weight: sp.Matrix | None = None) -> Any:
    """The value of words; with `weight`, that matrix stands for W."""
    values = letters(world)
    if weight is not None:
        values = values | {"W": weight, "W'": weight.T}
    total: Any = 0
    for c, word in _words(expr):
        term: Any = world.number(c, at)
        for letter in word:
            term = term * values[letter.name] if isinstance(term, sp.MatrixBase) else values[letter.name] * term
        if not word and term != 0:
            term = term * sp.eye(values["W"].rows)
        total = term if isinstance(total, int) else total if term == 0 else total + term
    return total


def _units(world: World) -> list[sp.Matrix]:
    n = letters(world)["W"].rows
    return [sp.Matrix(n, n, lambda x, y, i=i, k=k: int((x, y) == (i, k))) for i in range(n) for k in range(n)]


def _mean(world: World, expr: sp.Expr, at: Any) -> Any:
    """Every entry is independent of variance nu: a quadratic form's mean is nu times the sum over unit matrices."""
    word, nu = expr.args
    first, *rest = (matrix(world, word, at, unit) for unit in _units(world))
    return _as_zero(world.number(nu, at) * sum(rest, start=first))


def _law(world: World, expr: sp.Expr, at: Any) -> Any:
    """Mean and covariance of W v given the known products: the regression of vec(W), by brute force."""
    *terms, nu = expr.args
    rows = [sp.Matrix.hstack(*(matrix(world, x, at, unit).vec() for unit in _units(world))) for x in terms]
    new, known = rows[0], sp.Matrix.vstack(*rows[1:])
    independent = list(known.T.rref()[1])
    known = known.extract(independent, list(range(known.cols)))
    seen = sp.Matrix.vstack(*(matrix(world, x, at).vec() for x in terms[1:])).extract(independent, [0])
    gain = new * known.T * (known * known.T).inv()
    return sp.Matrix.hstack(gain * seen, world.number(nu, at) * (new * new.T - gain * known * new.T)).as_immutable()


def _freedom(world: World, expr: sp.Expr, at: Any) -> Any:
    """The rank of the projection that leaves what the basis does not see."""
    basis = letters(world)[expr.args[0].name]
    rest = sp.eye(basis.rows) - basis * basis.T
    assert rest * rest == rest
    return rest.rank()


def _as_zero(value: Any) -> Any:
    """A zero matrix of any shape is 0, and an identity from queries alone is 1."""
    if isinstance(value, sp.MatrixBase):
        if not any(value):
            return sp.S.Zero
        if value == sp.eye(value.rows):
            return sp.S.One
        return value.as_immutable()
    return value


MEANINGS[Value] = lambda world, expr, at: _as_zero(matrix(world, _traced(world, expr.args[0], at), at))
MEANINGS[Mean] = _mean
MEANINGS[ProductLaw] = _law
MEANINGS[GaussianLaw] = lambda world, expr, at: sp.Matrix.hstack(
    *(matrix(world, x, at) for x in expr.args)
).as_immutable()
MEANINGS[Trace] = lambda world, expr, at: matrix(world, expr.args[0], at).trace()
MEANINGS[Freedom] = _freedom
MEANINGS[Rows] = lambda world, expr, at: letters(world)[expr.args[0].name].rows
MEANINGS[Columns] = lambda world, expr, at: letters(world)[expr.args[0].name].cols


def _traced(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    return expr.replace(Trace, lambda word: world.number(Trace(word), at))
