"""The independent audit of transposed products: exact polynomials in Gaussian variables, regressions, small matrices.

A correction coefficient is what a regression of the query on the Gaussian parts gives, by sums over pairings and
without derivatives; the law given known products is a regression of vec(A), A rectangular, at random rationals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from mpmath import mp

from wideproof.derive.alternating.line_limits import OfRamps
from wideproof.derive.alternating.terms import (
    BD,
    BE,
    BG,
    BK,
    BQ,
    BS,
    BX,
    BY,
    BZ,
    SCALE,
    Average,
    Be,
    BKt,
    BlockLaw,
    Blocks,
    Bq,
    Bqt,
    Br,
    Bx,
    BZt,
    Coefficient,
    Covariance,
    GaussianPart,
    Image,
    KnownLaw,
    LineLimits,
    MeanSquare,
    Pairing,
    Query,
    Tape,
)
from wideproof.derive.audit.auditor import WANTED, check
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.memory_horizon import ACCURACY, against_normal, numerically
from wideproof.derive.audit.world import World
from wideproof.derive.expectation.truncated_moments import Ramp
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.program import Coordinate
from wideproof.derive.proof.claims import Equation

ROWS, COLUMNS, RIGHT, LEFT = 3, 4, 2, 1


class ExactTape:
    """The polynomials of all lines in one world: Gaussian variables are symbols, activations polynomials."""

    def __init__(self, world: World) -> None:
        assert isinstance(world.program, AlternatingProgram)
        self.world, self.program = world, world.program
        self.images: list[sp.Expr] = []
        self.queries: list[sp.Expr] = []
        self.cov: dict[tuple[int, int], sp.Expr] = {}
        self.factors: dict[tuple[int, int], sp.Expr] = {}
        for index in range(len(self.program.lines)):
            self._add(index)

    def _add(self, index: int) -> None:
        line = self.program.lines[index][1]
        self.queries.append(self.polynomial(line.vector))
        scale = self.scale(line.side)
        for other in range(index + 1):
            same = self.program.lines[other][1].side == line.side
            product = self.queries[other] * self.queries[index] if same else sp.S.Zero
            self.cov[other, index] = self.cov[index, other] = scale * self.mean(product)
        earlier = [k for k in range(index) if self.program.lines[k][1].side != line.side]
        image: sp.Expr = self.program.gaussian(index)
        if earlier:
            gram = sp.Matrix(len(earlier), len(earlier), lambda i, k: self.cov[earlier[i], earlier[k]])
            pairs = sp.Matrix([self.pairing(other, index) for other in earlier])
            for other, factor in zip(earlier, scale * gram.LUsolve(pairs), strict=True):
                self.factors[index, other] = factor
                image += 0 if line.corrected else factor * self.queries[other]
        self.images.append(sp.expand(image))

    def scale(self, side: str) -> sp.Expr:
        """The variance of a product with a vector of mean square 1: rows of A have n entries, its columns m."""
        assert self.program.matrix is not None
        return self.scalar(self.program.matrix.variance * (self.program.aspect if side == "n" else 1))

    def pairing(self, other: int, index: int) -> sp.Expr:
        """E of a Gaussian part times a query."""
        return self.mean(self.program.gaussian(other) * self.queries[index])

    def scalar(self, expr: sp.Expr) -> sp.Expr:
        """The value of an expression in the symbols of the program."""
        return expr.xreplace({x: sp.Rational(value) for x, value in self.world.parameters.items()})

    def polynomial(self, expr: sp.Expr) -> sp.Expr:
        """An expression in lines, Gaussian parts and sources as a polynomial."""
        place = {c: self.images[line.index] for c, line in self.program.lines if line.index < len(self.images)}
        known = {x: self.factors[pair(x)] for x in expr.atoms(Coefficient)}
        expr = self.scalar(expr.xreplace(place).xreplace(known))
        return sp.expand(expr.replace(Phi, self._activation))

    def _activation(self, name: sp.Basic, order: sp.Expr, z: sp.Expr) -> sp.Expr:
        random = self.world.activations.setdefault(str(name), self.world.coefficients())
        polynomial = sp.Add(*(sp.Rational(c) * VARIABLE**k for k, c in enumerate(random)))
        return sp.diff(polynomial, VARIABLE, order).subs(VARIABLE, z)

    def mean(self, polynomial: sp.Expr) -> sp.Expr:
        """E of a polynomial, by sums over pairings and the moments of the sources."""
        variables = sorted(polynomial.atoms(Coordinate), key=str)
        if not variables:
            return polynomial
        places = {self.program.gaussian(k): k for k in range(len(self.program.lines))}
        laws = {c: source.law for c, source in self.program.sources}
        total = sp.S.Zero
        for powers, value in sp.Poly(polynomial, *variables).terms():
            for c, power in zip(variables, powers, strict=True):
                value *= self._source(laws[c], power) if c in laws else 1
            parts = tuple(places[c] for c, p in zip(variables, powers, strict=True) if c in places for _ in range(p))
            total += value * self._pairings(parts)
        return total

    def _source(self, law: Any, power: int) -> sp.Expr:
        """The moment of a mixture of centred Gaussian laws."""
        if power % 2:
            return sp.S.Zero
        return sp.Add(*(self.scalar(w * v ** (power // 2)) for w, v in law)) * sp.factorial2(power - 1)

    def _pairings(self, parts: tuple[int, ...]) -> sp.Expr:
        if len(parts) % 2:
            return sp.S.Zero
        if not parts:
            return sp.S.One
        memo = self.world.memo
        key = ("pairings", parts)
        if key not in memo:
            first, *rest = parts
            memo[key] = sp.Add(
                *(
                    self.cov[first, other] * self._pairings((*rest[:i], *rest[i + 1 :]))
                    for i, other in enumerate(rest)
                    if self.cov[first, other] != 0
                )
            )
        return memo[key]

    def at_point(self, polynomial: sp.Expr) -> sp.Expr:
        """The value of a polynomial at one random point, the same for the whole world."""
        memo = self.world.memo
        for c in polynomial.atoms(Coordinate):
            memo.setdefault(("point", c), sp.Rational(self.world.rational()))
        return polynomial.xreplace({c: memo["point", c] for c in polynomial.atoms(Coordinate)})


def pair(expr: sp.Expr) -> tuple[int, int]:
    """The two indices of a quantity."""
    first, second = map(int, expr.args)
    return first, second


VARIABLE = sp.Symbol("z", real=True)


def tape(world: World) -> ExactTape:
    """The polynomials of a world."""
    if "tape" not in world.memo:
        world.memo["tape"] = ExactTape(world)
    found: ExactTape = world.memo["tape"]
    return found


def _blocks(world: World) -> Mapping[sp.Symbol, sp.Matrix]:
    """Random rational blocks; Grams are those of random queries, and of images none is assumed."""
    if "blocks" not in world.memo:

        def draw(rows: int, columns: int) -> sp.Matrix:
            return sp.Matrix(rows, columns, lambda *_: sp.Rational(world.rational()))

        x, z, one = draw(COLUMNS, RIGHT), draw(ROWS, LEFT), draw(COLUMNS, 1)
        a = draw(ROWS, COLUMNS)
        world.memo["blocks"] = {
            BX: x,
            BZ: z,
            Bx: one,
            BY: a * x,
            BK: a.T * z,
            BKt: (a.T * z).T,
            BQ: x.T * x,
            BS: z.T * z,
            Bq: x.T * one,
            Bqt: one.T * x,
            Br: one.T * one,
            BG: draw(ROWS, RIGHT),
            BE: draw(LEFT, RIGHT),
            Be: draw(LEFT, 1),
            BD: draw(LEFT, RIGHT),
            BZt: z.T,
            SCALE: sp.Matrix([[sp.Rational(world.rational())]]),
        }
    found: Mapping[sp.Symbol, sp.Matrix] = world.memo["blocks"]
    return found


def _matrix(world: World, expr: sp.Expr, at: Any) -> Any:
    """The value of an expression in blocks, factor by factor; a term without blocks is a multiple of 1."""
    values = _blocks(world)
    total: Any = None
    for term in sp.Add.make_args(sp.expand(expr)):
        scalars, factors = term.args_cnc()
        scalar = sp.Mul(*scalars).xreplace({SCALE: values[SCALE][0]})
        value: Any = world.number(scalar, at)
        for factor in factors:
            base, power = factor.as_base_exp()
            value = value * (values[base] if power == 1 else values[base] ** power)
        total = value if total is None else _sum(total, value)
    return total


def _sum(left: Any, right: Any) -> Any:
    """A scalar beside a matrix is that multiple of the identity."""
    if isinstance(left, sp.MatrixBase) != isinstance(right, sp.MatrixBase):
        rows = left.rows if isinstance(left, sp.MatrixBase) else right.rows
        left, right = (x if isinstance(x, sp.MatrixBase) else x * sp.eye(rows) for x in (left, right))
    return left + right


def _known(world: World, expr: sp.Expr, at: Any) -> Any:
    """Mean and covariance of A x given A X and A'Z: the regression of vec(A), by brute force."""
    b = _blocks(world)
    units = [
        sp.Matrix(ROWS, COLUMNS, lambda y, z, i=i, k=k: int((y, z) == (i, k)))
        for i in range(ROWS)
        for k in range(COLUMNS)
    ]

    def seen_by(make: Callable[[sp.Matrix], sp.Matrix]) -> sp.Matrix:
        return sp.Matrix.hstack(*(make(unit).vec() for unit in units))

    new = seen_by(lambda m: m * b[Bx])
    known = sp.Matrix.vstack(seen_by(lambda m: m * b[BX]), seen_by(lambda m: m.T * b[BZ]))
    seen = sp.Matrix.vstack(b[BY].vec(), b[BK].vec())
    rows = list(known.T.rref()[1])
    known, seen = known.extract(rows, list(range(known.cols))), seen.extract(rows, [0])
    gain = new * known.T * (known * known.T).inv()
    cov = world.number(expr.args[0], at) * (new * new.T - gain * known * new.T)
    return sp.Matrix.hstack(gain * seen, cov).as_immutable()


def _law(world: World, expr: sp.Expr, at: Any) -> Any:
    """A Gaussian law in blocks; the covariance is |x - X b|^2 of the argument's spread."""
    b = _blocks(world)
    rest = b[Bx] - b[BX] * b[BQ].inv() * b[Bq]
    mean, cov = (_matrix(world, x, at) for x in expr.args)
    return sp.Matrix.hstack(mean, (rest.T * rest)[0] * cov).as_immutable()


MEANINGS[BlockLaw] = _law
MEANINGS[KnownLaw] = _known
MEANINGS[Blocks] = lambda world, expr, at: _matrix(world, expr.args[0], at).as_immutable()
MEANINGS[Average] = lambda world, expr, at: tape(world).mean(tape(world).polynomial(expr.args[0]))
MEANINGS[Image] = lambda world, expr, at: tape(world).at_point(tape(world).images[int(expr.args[0])])
MEANINGS[Query] = lambda world, expr, at: tape(world).at_point(tape(world).queries[int(expr.args[0])])
MEANINGS[GaussianPart] = lambda world, expr, at: tape(world).at_point(tape(world).program.gaussian(int(expr.args[0])))
MEANINGS[Coefficient] = lambda world, expr, at: tape(world).factors[pair(expr)]
MEANINGS[Covariance] = lambda world, expr, at: tape(world).cov[pair(expr)]
MEANINGS[Pairing] = lambda world, expr, at: tape(world).pairing(*map(int, expr.args))
MEANINGS[MeanSquare] = lambda world, expr, at: tape(world).mean(
    sp.expand(tape(world).polynomial(dict(tape(world).program.vectors)[str(expr.args[0])]) ** 2)
)


def _of_all_lines(program: AlternatingProgram, equations: tuple[Equation, ...]) -> Iterator[sp.Expr]:
    """Every line, its factors by Stein's rule, the covariances of Gaussian parts and the named mean squares."""
    count = len(program.lines)
    sides = [line.side for _, line in program.lines]
    for k in range(count):
        yield Image(k)
        yield from (Coefficient(k, j) for j in range(k) if sides[j] != sides[k])
        yield from (Covariance(j, k) for j in range(k + 1))
    yield from (MeanSquare(sp.Symbol(name)) for name, _ in program.vectors)


def _of_all_limits(program: AlternatingProgram, equations: tuple[Equation, ...]) -> Iterator[sp.Expr]:
    """The factors and mean squares, and whatever the equations read."""
    yield from (x for x in _of_all_lines(program, equations) if isinstance(x, Coefficient | MeanSquare))
    yield from (x for e in equations for x in e.right.atoms(Coefficient, Covariance, MeanSquare))


WANTED |= {Tape: _of_all_lines, LineLimits: _of_all_limits}


def _ramp(world: World, expr: sp.Expr, at: Any) -> Any:
    return _integral(*(world.number(x, at) for x in expr.args))


@lru_cache(maxsize=1024)
def _integral(power: sp.Integer, theta: sp.Rational, variance: sp.Rational) -> sp.Float:
    """E[(u - theta)_+^power] as an integral over the Gaussian density, by quadrature."""
    with mp.workdps(50):
        low, v = mp.mpf(theta.p) / theta.q, mp.mpf(variance.p) / variance.q
        size = mp.sqrt(v)

        def density(u: Any) -> Any:
            return (u - low) ** int(power) * mp.exp(-(u**2) / (2 * v)) / mp.sqrt(2 * mp.pi * v)

        return sp.Float(mp.quad(density, [low + k * size for k in range(0, 22, 3)]), 45)


MEANINGS[Ramp] = _ramp


@check.register
def _(claim: OfRamps, world: World) -> None:
    """The Gaussian means for any activation, exactly; then, for the named ones, by quadrature at random numbers."""
    if claim.left != claim.nodes:
        check(Equation(claim.left, claim.nodes), world)
    sides = claim.nodes, claim.right
    at: dict[Any, Any] = {x: sp.Rational(value) for x, value in world.parameters.items()}
    for x in sorted(sp.Tuple(*sides).atoms(Covariance, Coefficient), key=str):
        same = isinstance(x, Covariance) and x.args[0] == x.args[1]
        at[x] = sp.Rational(world.random.randint(5, 20), 10 if same else 100)
    left, right = (numerically(_without_ramps(x, at), at) for x in sides)
    if not abs(left - right) <= ACCURACY * max(abs(left), abs(right), 1e-3):
        raise ProofError("audit", str(left), right, f"At {at} the truncated moments of {claim.left} are not its value.")


def _without_ramps(expr: sp.Expr, at: Any) -> sp.Expr:
    return expr.xreplace({x: sp.Float(_above(*(float(a.subs(at)) for a in x.args)), 17) for x in expr.atoms(Ramp)})


def _above(power: float, theta: float, variance: float) -> float:
    """E[(u - theta)_+^power] in double precision, by quadrature."""
    return float(against_normal(lambda z: (z > 0) * z**power, np.asarray(-theta), np.sqrt(variance)))
