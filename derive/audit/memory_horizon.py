"""The independent audit of memory: one step of a world from given moments; closed forms against quadrature.

Maps and slopes are evaluated for the world's own quadratic activations, in which they are polynomials in the letters;
closed forms hold for the named activations only and meet panels of Gauss-Legendre nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.audit.auditor import check
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import Polynomial, World, product_of, rational
from wideproof.derive.calculus.moments import FIRST, SECOND
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi, Z, definition
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.program import Coordinate, Previous, State, Updated
from wideproof.derive.memory_horizon.memory_rules import Centred, Evaluated, FixedAt, OfLetters
from wideproof.derive.memory_horizon.scalar_maps import (
    CorrelationMap,
    CorrelationSlope,
    CriticalDrive,
    CriticalGain,
    Horizon,
    VarianceMap,
    VarianceSlope,
    letters,
    states_of,
)

Host = Any
TRIALS, DEGREE, PANELS, REACH = 2, 6, 160, 12.0
ACCURACY, DIFFERENCED = 1e-9, 1e-6
"""Of the quadrature, and of its differences; a wrong coefficient of 0.1 % is far outside both."""


class OneStep(World):
    """A world in which the moments of all states one step before are given numbers."""

    def __init__(self, world: World, variances: list[Fraction], covariances: list[Fraction], size: Fraction) -> None:
        super().__init__(world.program, 0, MEANINGS)
        self.parameters, self.activations = world.parameters, world.activations
        states = list(states_of(world.program))
        self.variance = dict(zip(states, variances, strict=True))
        self.across = dict(zip(states, covariances, strict=True))
        self.size, self.asked = size, Coordinate("")

    def second_moment(self, u: Coordinate, labels: tuple[Any, Any]) -> Fraction:
        """E[u u'] after the step."""
        self.asked = u
        body = self.program.bodies[u]
        return self.mean(product_of(*(self.value(body, 0, label) for label in labels)))

    def _coordinate(self, c: Coordinate, time: int, label: Any, row: int) -> Polynomial:
        match self.program.table[c]:
            case Previous(state) | Updated(state):
                return self._variable("given", state, label)
        return super()._coordinate(c, time, label, row)

    def _covariance(self, x: Any, y: Any) -> Fraction:
        if "given" not in (x[0], y[0]):
            return super()._covariance(x, y)
        if x[0] != y[0] or x[1] != y[1]:
            return Fraction(0)
        state: State = x[1]
        return self.variance[state] if x[2] == y[2] else self.across[state]

    def gram(self, time: int, other: int, a: Any, b: Any) -> Fraction:
        """Both runs see one input."""
        return self.size


def _fraction(value: Any) -> Fraction:
    return rational(sp.sympify(value, strict=True))


def _size(at: Mapping[sp.Symbol, Any]) -> Fraction:
    return next((_fraction(value) for x, value in at.items() if x.name == "X"), Fraction(0))


def _moment(world: World, u: Coordinate, q: list[Fraction], c: list[Fraction], at: Any, across: bool) -> Fraction:
    labels = (FIRST, SECOND) if across else (FIRST, FIRST)
    return OneStep(world, q, c, _size(at)).second_moment(u, labels)


def _numbers(world: World, expr: sp.Expr, at: Any) -> tuple[Coordinate, list[Fraction], list[Fraction]]:
    """The state, and the values of its letters q and c."""
    u, *rest = expr.args
    values = [_fraction(world.number(x, at)) for x in rest]
    count = len(states_of(world.program))
    return u, values[:count], values[count:] or values[:count]


def _map(world: World, expr: sp.Expr, at: Any) -> Any:
    u, q, c = _numbers(world, expr, at)
    return _moment(world, u, q, c, at, isinstance(expr, CorrelationMap))


def _slope(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    """The exact derivative of a polynomial: by interpolation."""
    u, q, c = _numbers(world, expr, at)
    across = isinstance(expr, CorrelationSlope)
    place = list(letters(world.program)[0]).index(u)
    x = sp.Dummy()
    points = []
    for move in range(DEGREE + 1):
        moved = list(c if across else q)
        moved[place] += move
        found = _moment(world, u, q if across else moved, moved if across else c, at, across)
        points.append((sp.Integer(move), sp.Rational(found.numerator, found.denominator)))
    return sp.sympify(sp.diff(sp.interpolate(points, x), x), strict=True).subs(x, 0)


def _horizon(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    slopes = [_slope(world, CorrelationSlope(u, *expr.args), at) for u in letters(world.program)[0]]
    return -1 / sp.log(max(slopes))


def _critical(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    """Drive and growth of the pre-activation variance measured at q = 0 and q = 1; then chi = 1 solved for both."""
    u, variance = expr.args
    a = sp.sympify(world.number(variance, at), strict=True)
    argument = next(iter(world.program.bodies[u].atoms(Phi))).args[2]

    def measured(q: int) -> sp.Expr:
        step = OneStep(world, [Fraction(q)], [Fraction(q)], _size(at))
        value = step.value(argument, 0, FIRST)
        return sp.Rational(*(step.mean(product_of(value, value))).as_integer_ratio())

    drive = measured(0)
    growth = measured(1) - drive
    q = (a - drive) / growth
    gain = growth / _slope(world, CorrelationSlope(u, q, q), at)
    return (
        gain
        if isinstance(expr, CriticalGain)
        else a - gain * sp.sympify(_map(world, VarianceMap(u, q), at), strict=True)
    )


MEANINGS |= {
    VarianceMap: _map,
    CorrelationMap: _map,
    VarianceSlope: _slope,
    CorrelationSlope: _slope,
    Horizon: _horizon,
    CriticalGain: _critical,
    CriticalDrive: _critical,
}


# ---- closed forms against quadrature --------------------------------------------------------------
@cache
def _panel() -> tuple[Host, Host]:
    nodes, weights = np.polynomial.legendre.leggauss(PANELS)
    return nodes, weights


def _interval(low: Host, high: Host) -> tuple[Host, Host]:
    """Nodes and weights on intervals.  Shapes: (...) -> (..., PANELS)."""
    nodes, weights = _panel()
    half = np.asarray((high - low) / 2)[..., None]
    return half * nodes + np.asarray((high + low) / 2)[..., None], half * weights


@cache
def _defined(name: str, order: int) -> Any:
    expr = definition(name, order)
    if expr.has(sp.DiracDelta):
        raise ProofError("audit", "a function with values", f"{name}{chr(39) * order}", "A jump has no derivative.")
    found = sp.lambdify(Z, expr, ["scipy", "numpy"])
    return lambda z: np.asarray(found(z)) + np.zeros_like(z)


def against_normal(function: Any, mean: Host, deviation: Host) -> Host:
    """E[f(mean + deviation w)], w standard normal, with a break where the argument is zero.  Shapes: (...)."""
    kink = np.clip(-mean / np.where(deviation > 0, deviation, 1.0), -REACH, REACH)
    total = np.zeros(np.shape(kink))
    for low, high in ((np.full_like(kink, -REACH), kink), (kink, np.full_like(kink, REACH))):
        w, weights = _interval(low, high)
        values = function(mean[..., None] + deviation * w) * np.exp(-w * w / 2) / np.sqrt(2 * np.pi)
        total = total + np.sum(values * weights, axis=-1)
    return total


def quadrature(node: GaussianMean, at: Mapping[sp.Symbol, Any]) -> float:
    """E of one or two named activations by nested Gauss-Legendre panels, from their definitions alone."""
    functions = [_defined(str(name), int(order)) for name, order in node.args[0]]
    means, upper = ([float(x.subs(at)) for x in part] for part in node.args[1:])
    first = upper[0]
    zero = np.asarray(means[0])
    if len(functions) == 1:
        return float(against_normal(functions[0], zero, np.sqrt(first)))
    _, cov, second = upper
    slope = cov / first if first > 0 else 0.0
    spread = float(np.sqrt(max(second - slope * cov, 0.0)))
    same = spread**2 <= 1e-13 * second

    def product(u: Host) -> Host:
        inner = means[1] + slope * (u - means[0])
        return functions[0](u) * (functions[1](inner) if same else against_normal(functions[1], inner, spread))

    return float(against_normal(product, zero, np.sqrt(first)))


def numerically(expr: sp.Expr, at: Mapping[sp.Symbol, Any]) -> float:
    """The value of an expression in Gaussian means of named activations."""
    known = {node: sp.Float(quadrature(node, at), 17) for node in expr.atoms(GaussianMean)}
    return float(sp.N(expr.xreplace(known).subs(at)))


def _letters_at(world: World, expr: sp.Expr) -> dict[sp.Symbol, sp.Rational]:
    """Random values of letters and parameters, variances large enough for every covariance."""
    at = {
        x: sp.Rational(world.random.randint(1, 9), world.random.randint(5, 12))
        for x in sorted(expr.free_symbols, key=str)
        if not isinstance(x, Coordinate)
    }
    for x in at:
        if x.name.startswith("c") and (q := sp.Symbol("q" + x.name[1:], nonnegative=True)) in at:
            at[x] = at[q] * sp.Rational(world.random.randint(-5, 8), 10)
    return at


@check.register
def _(claim: OfLetters, world: World) -> None:
    for _trial in range(TRIALS):
        at = _letters_at(world, sp.Tuple(claim.left, claim.right))
        at |= {x: sp.Rational(v) for x, v in world.parameters.items()}
        left = sp.sympify(world.number(claim.left, at), strict=True)
        right = sp.sympify(world.number(claim.right.subs(at), at), strict=True)
        if abs(sp.N(left - right, 30)) > sp.Float(10) ** -25:
            raise ProofError("audit", left, right, f"At {at} {claim} is false.")


@check.register
def _(claim: Evaluated, world: World) -> None:
    if claim.by is None and claim.left != claim.nodes:
        check(OfLetters(claim.left, claim.nodes), world)
    at = _letters_at(world, sp.Tuple(claim.nodes, claim.right))
    right = float(sp.N(claim.right.subs(at)))
    left = numerically(claim.nodes, at) if claim.by is None else _differenced(claim.nodes, claim.by, at)
    accuracy = ACCURACY if claim.by is None else DIFFERENCED
    if not abs(left - right) <= accuracy * max(abs(left), abs(right), 1e-3):
        raise ProofError("audit", str(left), right, f"At {at} the closed form of {claim.left} is not its quadrature.")


def _differenced(expr: sp.Expr, by: sp.Symbol, at: Mapping[sp.Symbol, Any]) -> float:
    step = 2e-3 * float(at[by])
    value = {k: numerically(expr, {**at, by: float(at[by]) + k * step}) for k in (-2, -1, 1, 2)}
    return (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * step)


@check.register
def _(claim: Centred, world: World) -> None:
    if claim.right != 0:
        raise ProofError("audit", "0", claim.right, "The mean of a centred state is zero.")
    for node in claim.nodes:
        for variance in (sp.Rational(1, 5), sp.Integer(1), sp.Integer(4)):
            value = quadrature(GaussianMean(node.args[0], node.args[1], sp.Tuple(variance)), {})
            if abs(value) > ACCURACY:
                raise ProofError("audit", "0", value, f"The function in {node} is not odd.")


@check.register
def _(claim: FixedAt, world: World) -> None:
    for _trial in range(200):
        at = _letters_at(world, sp.Tuple(claim.nodes, claim.right))
        at.pop(claim.letter, None)
        if all(relation.subs(at) == sp.true for relation in claim.domain):
            break
    else:
        raise ProofError("audit", "a point of the domain", claim.domain, "The domain is empty.")
    fixed = float(sp.N(claim.right.subs(at)))
    found = numerically(claim.nodes, {**at, claim.letter: fixed})
    if not (fixed >= 0 and abs(found - fixed) <= ACCURACY * max(found, 1e-3)):
        raise ProofError("audit", str(fixed), found, f"At {at} the map does not keep {claim.right}.")
