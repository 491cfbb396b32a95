"""The independent audit of memory: one step of a world from given moments; closed forms against quadrature.

Maps and slopes are evaluated for the world's own quadratic activations, in which they are polynomials in the letters;
closed forms hold for the named activations only and meet panels of Gauss-Legendre nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import mpmath
import numpy as np
import sympy as sp

from wideproof.derive.algebra.perron_roots import PerronRoot
from wideproof.derive.audit.auditor import check
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import Polynomial, World, product_of, rational
from wideproof.derive.calculus.moments import FIRST, SECOND
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi, Z, definition
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.program import Coordinate, MatVec, Previous, Program, Updated, coordinates_of
from wideproof.derive.memory_horizon.critical_variances import AtSlopeOne
from wideproof.derive.memory_horizon.memory_rules import Centred, EvaluatedMap, EvaluatedRadius, FixedAt, OfLetters
from wideproof.derive.memory_horizon.two_run_maps import (
    CorrelationMap,
    CorrelationSlope,
    CriticalDrive,
    CriticalGain,
    DifferenceGrowth,
    Horizon,
    MapDerivative,
    Pair,
    VarianceDerivative,
    VarianceMap,
    VarianceSlope,
    after,
    letters,
    of_pair,
    pair_in,
)

Host = Any
TRIALS, PANELS, REACH = 2, 160, 12.0
ACCURACY, DIFFERENCED = 1e-9, 1e-6
"""Of the quadrature, and of its differences; a wrong coefficient of 0.1 % is far outside both."""
LATE, STEPPED = (48, 96, 192, 384), 1e-5
"""Steps at which the growth of a difference is read, and the accuracy of what they tell."""
WORK = 40
UNNAMED = Fraction(3, 7)
"""Any value of a moment that has no letter: a map that reads it is then seen to."""
ONE_STEP = ("one step",)
"""Where a world keeps its one step."""


Numbers: TypeAlias = Mapping[Pair, Fraction]


class OneStep(World):
    """A world in which the moments of all states, before the step and after it, are given numbers.

    The states after the step are the same polynomials whatever these are.
    """

    def __init__(self, world: World) -> None:
        self.__dict__ |= vars(world) | {"memo": {}, "variables": {}, "keys": []}

    def take(self, numbers: Any, size: Fraction) -> None:
        """Give the moments before the step and after it, and the size of the inputs."""
        q, c, later = numbers
        self.given = {("before", True): q, ("before", False): c, ("after", True): later[0], ("after", False): later[1]}
        self.size = size
        self.paired: dict[tuple[int, ...], Fraction] = {}
        self.known: dict[tuple[int, int], Fraction] = {}
        self.read: set[tuple[str, bool, Pair]] = set()

    def second_moment(self, pair: Pair, labels: tuple[Any, Any]) -> Fraction:
        """E[u v'] after the step."""
        return self.mean(self._product(pair, labels))

    def _product(self, pair: Pair, labels: tuple[Any, Any]) -> Polynomial:
        key = ("product", pair, labels)
        if key not in self.memo:
            left, right = (self.value(self.program.bodies[u], 0, label) for u, label in zip(pair, labels, strict=True))
            self.memo[key] = product_of(left, right)
        return self.memo[key]

    def covariance(self, x: int, y: int) -> Fraction:
        """Cov of two Gaussian variables at the given numbers."""
        if (x, y) not in self.known:
            self.known[x, y] = self._short(self._covariance(self.keys[x], self.keys[y]))
        return self.known[x, y]

    def _coordinate(self, c: Coordinate, time: int, label: Any, row: int) -> Polynomial:
        match self.program.table[c]:
            case Previous(state):
                return self._variable("before", self.program.updated[state], label)
            case Updated():
                return self._variable("after", c, label)
        return super()._coordinate(c, time, label, row)

    def _covariance(self, x: Any, y: Any) -> Fraction:
        if x[0] not in ("before", "after") and y[0] not in ("before", "after"):
            return super()._covariance(x, y)
        if x[0] != y[0]:
            return Fraction(0)
        known = self.given[x[0], x[2] == y[2]]
        self.read |= {(x[0], x[2] == y[2], pair) for pair in ((x[1], y[1]), (y[1], x[1]))}
        return known.get((x[1], y[1]), known.get((y[1], x[1]), UNNAMED))

    def gram(self, time: int, other: int, a: Any, b: Any) -> Fraction:
        """Both runs see one input."""
        return self.size


def _fraction(value: Any) -> Fraction:
    return rational(sp.sympify(value, strict=True))


def _size(at: Mapping[sp.Symbol, Any]) -> Fraction:
    return next((_fraction(value) for x, value in at.items() if x.name == "X"), Fraction(0))


def _moment(world: World, pair: Pair, numbers: Any, at: Any, across: bool) -> Fraction:
    step = _one_step(world)
    step.take(numbers, _size(at))
    return step.second_moment(pair, (FIRST, SECOND if across else FIRST))


def _one_step(world: World) -> OneStep:
    if ONE_STEP not in world.memo:
        world.memo[ONE_STEP] = OneStep(world)
    step: OneStep = world.memo[ONE_STEP]
    return step


def _numbers(world: World, values: Sequence[sp.Expr], at: Any) -> tuple[Numbers, Numbers, tuple[Numbers, Numbers]]:
    """The values of the letters q and c by pair, before the step and after it, where they are the same."""
    numbers = [_fraction(world.number(x, at)) for x in values]
    pairs = list(letters(world.program)[0])
    q = dict(zip(pairs, numbers[: len(pairs)], strict=True))
    c = dict(zip(pairs, numbers[len(pairs) :] or numbers, strict=True))
    return q, c, (q, c)


def _map(world: World, expr: sp.Expr, at: Any) -> Any:
    pair, values = pair_in(expr.args)
    return _moment(world, pair, _numbers(world, values, at), at, isinstance(expr, CorrelationMap))


def _still(world: World, target: Pair, numbers: Any, at: Any, across: bool) -> tuple[Fraction, Any]:
    """A moment after the step where nothing moves, and the moments that it reads."""
    return _moment(world, target, numbers, at, across), _one_step(world).read


def _partial(
    world: World, target: Pair, source: Pair, numbers: Any, at: Any, across: bool, before: bool, still: Any
) -> sp.Expr:
    """The exact derivative of a polynomial by one moment, before the step or after it: by its differences.

    Across two runs the moments between them move; within one run, where both labels are one, its own. A moment that is
    not read leaves all as it is: `still` is that, and what is read.
    """
    q, c, later = numbers
    values = [still[0]]
    if ("before" if before else "after", not across, source) not in still[1]:
        return sp.S.Zero
    for move in range(1, _degree_of_step(world, target) + 1):
        own = dict((c if across else q) if before else later[across])
        own[source] += move
        if before:
            moved = (q, own, later) if across else (own, c, later)
        else:
            moved = (q, c, (later[0], own) if across else (own, later[1]))
        values.append(_moment(world, target, moved, at, across))
    slope = Fraction(0)
    for order in range(1, len(values)):
        values = [b - a for a, b in pairwise(values)]
        slope += values[0] * Fraction((-1) ** (order + 1), order)
    return sp.Rational(slope)


def _jacobian(world: World, values: Sequence[sp.Expr], at: Any, across: bool) -> sp.Matrix:
    """The derivative of all moments by all those before the step; those after it are eliminated by solving for them."""
    key = ("jacobian", tuple(values), tuple(sorted(at.items(), key=str)), across)
    if key not in world.memo:
        pairs, numbers = list(letters(world.program)[0]), _numbers(world, values, at)
        still = {x: _still(world, x, numbers, at, across) for x in pairs}
        direct, same = (
            sp.Matrix([[_partial(world, x, y, numbers, at, across, before, still[x]) for y in pairs] for x in pairs])
            for before in (True, False)
        )
        world.memo[key] = (sp.eye(len(pairs)) - same).LUsolve(direct)
    return world.memo[key]


def _entry(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    pairs = list(letters(world.program)[0])
    row, column = (pairs.index(tuple(pair)) for pair in (expr.args[:2], expr.args[2:4]))
    return _jacobian(world, expr.args[4:], at, isinstance(expr, MapDerivative))[row, column]


def radius(matrix: sp.Matrix) -> Any:
    """The largest modulus of the eigenvalues, to many digits."""
    if matrix.rows == 1:
        return matrix[0, 0]
    with mpmath.workdps(WORK):
        numbers = mpmath.matrix([[mpmath.mpf(sp.N(x, WORK)) for x in row] for row in matrix.tolist()])
        return sp.Float(max(map(abs, mpmath.eig(numbers, left=False, right=False))), WORK)


def _slope(world: World, expr: sp.Expr, at: Any) -> Any:
    """The spectral radius of the derivative over the moments that feed the pair and are fed by it."""
    pair, values = pair_in(expr.args)
    matrix = _jacobian(world, values, at, isinstance(expr, CorrelationSlope))
    own = looped(matrix, list(letters(world.program)[0]).index(pair))
    return radius(matrix.extract(own, own))


def looped(matrix: sp.Matrix, place: int) -> list[int]:
    """The indices that lead to a place and back, itself included."""
    paths = (sp.eye(matrix.rows) + matrix.applyfunc(lambda x: sp.Integer(x != 0))) ** matrix.rows
    return [i for i in range(matrix.rows) if paths[place, i] != 0 and paths[i, place] != 0]


def _degree_of_step(world: World, pair: Pair) -> int:
    """At least the degree of a second moment after a step in the moments before it: that of the states themselves."""
    return sum(max(1, len(world.program.bodies[u].atoms(Phi))) * (world.degree + 1) for u in pair)


def maps_close(program: Program) -> bool:
    """Whether moments at equal times determine each other: no tied product or bias meets a state as it was before."""
    for _, body in program.updates:
        terms = [program.table[c] for c in coordinates_of(body)]
        parts = [getattr(x, "matrix", getattr(x, "parameter", None)) for x in terms]
        if any(isinstance(x, Previous) for x in terms) and any(part is not None and part.tied for part in parts):
            return False
    return True


def _horizon(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    if maps_close(world.program):
        return -1 / sp.log(radius(_jacobian(world, expr.args, at, True)))
    return -1 / sp.log(max(growth_of_difference(world, u) for u in world.program.bodies))


def _critical(world: World, expr: sp.Expr, at: Any) -> sp.Expr:
    """Drive and growth of the pre-activation variance measured at q = 0 and q = 1; then chi = 1 solved for both."""
    u, variance = expr.args
    a = sp.sympify(world.number(variance, at), strict=True)
    argument = next(iter(world.program.bodies[u].atoms(Phi))).args[2]

    def measured(q: int) -> sp.Expr:
        given = {(u, u): Fraction(q)}
        step = _one_step(world)
        step.take((given, given, (given, given)), _size(at))
        value = step.value(argument, 0, FIRST)
        return sp.Rational(step.mean(product_of(value, value)))

    drive = measured(0)
    growth = measured(1) - drive
    q = (a - drive) / growth
    gain = growth / _slope(world, CorrelationSlope(u, q, q), at)
    return (
        gain
        if isinstance(expr, CriticalGain)
        else a - gain * sp.sympify(_map(world, VarianceMap(u, q), at), strict=True)
    )


# ---- the difference of two runs of a linear recursion ---------------------------------------------
class RunDifference(World):
    """The difference of two runs that see the same inputs: 1 in one state at the start, constants cancel."""

    def __init__(self, world: World, start: Coordinate) -> None:
        self.__dict__ |= vars(world) | {"memo": {}, "paired": {}, "variables": {}, "keys": []}
        self.start = start

    def second_moment(self, u: Coordinate, first: int, second: int) -> Fraction:
        """E[d_s d_t] of one state."""
        return self.mean(product_of(self.value(u, first, FIRST), self.value(u, second, FIRST)))

    def _coordinate(self, c: Coordinate, time: int, label: Any, row: int) -> Polynomial:
        term = self.program.table[c]
        if isinstance(term, Previous):
            return self.value(self.program.updated[term.state], time - 1, label, row)
        if isinstance(term, Updated) and time == 0:
            return self._variable("start", term.state, label) if c == self.start else {}
        if isinstance(term, Updated):
            body = self.program.bodies[c]
            return self.value(body - body.xreplace(dict.fromkeys(body.atoms(Coordinate), 0)), time, label, row)
        if isinstance(term, MatVec) and term.matrix.role != "input_map":
            return self._variable("drawn", c, time, label, row)
        return {}

    def _covariance(self, x: Any, y: Any) -> Fraction:
        if "start" in (x[0], y[0]):
            return Fraction(int(x == y))
        return super()._covariance(x, y)


def growth_of_difference(world: World, u: Coordinate) -> sp.Float:
    """The growth per step of E[d_t^2] at late steps, by stepping its moments of two steps."""
    key = ("growth", u)
    if key not in world.memo:
        world.memo[key] = sp.Float(_late(*map(float, _measured(world, u))))
    return world.memo[key]


def _measured(world: World, u: Coordinate) -> tuple[Fraction, Fraction, Fraction]:
    """What a state carries over, what tied matrices add and all matrices add: from the first steps, by pairings."""
    seen = RunDifference(world, u)
    carried, square = seen.second_moment(u, 1, 0), seen.second_moment(u, 1, 1)
    both = square - carried**2
    return carried, seen.second_moment(u, 2, 1) / carried - square if carried else both, both


def _settling(world: World) -> World:
    """A world of other parameters, in which what redrawn matrices add decides early, or is nothing."""
    for _ in range(200):
        drawn = OneStep(world)
        drawn.take(({}, {}, ({}, {})), Fraction(0))
        drawn.parameters = {x: world.rational() for x in world.parameters}
        measured = [_measured(drawn, u) for u in world.program.bodies]
        if all(both == tied or (both > tied and (both - tied) ** 2 >= 4 * a * a * tied) for a, tied, both in measured):
            other = World(world.program, 0, MEANINGS)
            other.parameters, other.random = drawn.parameters, world.random
            return other
    raise ProofError("audit", "parameters of an early growth", "none", "Redrawn matrices add too little.")


def _late(carried: float, tied: float, both: float) -> float:
    """The last quotient, without redrawn matrices extrapolated in the inverse of the step."""
    scale = (abs(carried) + both**0.5) ** 2  # no growth is larger, so nothing overflows
    if scale == 0:
        return 0.0
    squares = _squares(carried / scale**0.5, tied / scale, both / scale)
    table = [squares[step + 1] / squares[step] for step in LATE]
    if both > tied:
        return scale * table[-1]
    for order in range(1, len(table)):  # each step is twice the one before
        table = [(2**order * b - a) / (2**order - 1) for a, b in pairwise(table)]
    return scale * table[0]


def _squares(carried: float, tied: float, both: float) -> list[float]:
    """E[d_t^2] from E[d_s d_t] = a E[d_s d_{t-1}] + E[d_s (W d)_t], column by column.

    E[d_s (W d)_t] is a E[d_{s-1} (W d)_t] + tied E[d_{s-1} d_{t-1}], and at s = t redrawn matrices add theirs.
    """
    column, squares = np.ones(1), [1.0]
    for step in range(1, LATE[-1] + 2):
        through = [0.0]
        for earlier in column:
            through.append(carried * through[-1] + tied * earlier)
        through[-1] += (both - tied) * column[-1]
        moved = carried * np.append(column, 0.0) + through
        moved[step] += carried * moved[step - 1]
        squares.append(float(moved[step]))
        column = moved
    return squares


def _root_of_entries(world: World, expr: sp.Expr, at: Any) -> Any:
    size = math.isqrt(len(expr.args))
    return radius(sp.Matrix(size, size, [world.number(x, at) for x in expr.args]))


MEANINGS |= {
    VarianceMap: _map,
    CorrelationMap: _map,
    MapDerivative: _entry,
    VarianceDerivative: _entry,
    VarianceSlope: _slope,
    CorrelationSlope: _slope,
    DifferenceGrowth: lambda world, expr, at: growth_of_difference(world, expr.args[0]),
    Horizon: _horizon,
    CriticalGain: _critical,
    CriticalDrive: _critical,
    PerronRoot: _root_of_entries,
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


def numerically(expr: sp.Expr, at: Mapping[sp.Symbol, Any], subject: sp.Expr = sp.S.Zero) -> float:
    """The value of an expression in Gaussian means of named activations."""
    known = {node: sp.Float(quadrature(node, at), 17) for node in expr.atoms(GaussianMean)}
    return float(_shown(subject, sp.N(expr.xreplace(known).subs(at))))


def _letters_at(world: World, expr: sp.Expr) -> dict[sp.Symbol, sp.Rational]:
    """Random values of letters and parameters; those of moments are moments of one Gaussian law."""
    pick = world.random.randint
    free = [x for x in sorted(expr.free_symbols, key=str) if not isinstance(x, Coordinate)]
    q, c = letters(world.program)
    at = {x: sp.Rational(pick(1, 9), pick(5, 12)) for x in dict.fromkeys([*free, *q.values()])}
    for u, v in q:
        if u != v:
            at[q[u, v]] = min(at[q[u, u]], at[q[v, v]]) * sp.Rational(pick(-5, 8), 10 * len(q))
    shared = sp.Rational(pick(-5, 8), 10)
    for pair in c:
        at[c[pair]] = at[q[pair]] * (sp.Rational(pick(-5, 8), 10) if all(u == v for u, v in q) else shared)
    return {x: at[x] for x in free}


@check.register
def _(claim: OfLetters, world: World) -> None:
    if not maps_close(world.program):
        world = _settling(world)
    for _trial in range(TRIALS):
        at = _letters_at(world, sp.Tuple(claim.left, claim.right))
        at |= {x: sp.Rational(v) for x, v in world.parameters.items()}
        left = _shown(claim.left, sp.sympify(world.number(claim.left, at), strict=True))
        right = _shown(claim.left, sp.sympify(world.number(claim.right.xreplace(at), at), strict=True))
        if abs(sp.N(left - right, 30)) > _allowed(claim.left, left, world):
            raise ProofError("audit", left, right, f"At {at} {claim} is false.")


def _shown(subject: sp.Expr, value: sp.Expr) -> sp.Expr:
    """A horizon as the slope that it stands for, which is finite where the horizon is not."""
    return sp.exp(-1 / value) if isinstance(subject, Horizon) else value


def _allowed(subject: sp.Expr, value: sp.Expr, world: World) -> sp.Float:
    """Rounding; where late steps were extrapolated their accuracy."""
    stepped = isinstance(subject, DifferenceGrowth | Horizon) and not maps_close(world.program)
    return STEPPED * abs(value) if stepped else sp.Float(10) ** -25


@check.register
def _(claim: EvaluatedMap, world: World) -> None:
    if claim.by is None and claim.left != claim.nodes:
        check(OfLetters(claim.left, claim.nodes), world)
    at = _letters_at(world, sp.Tuple(claim.nodes, claim.right))
    right = float(_shown(claim.left, sp.N(claim.right.subs(at))))
    left = numerically(claim.nodes, at, claim.left) if claim.by is None else _differenced(claim.nodes, claim.by, at)
    accuracy = ACCURACY if claim.by is None else DIFFERENCED
    if not abs(left - right) <= accuracy * max(abs(left), abs(right), 1e-3):
        raise ProofError("audit", str(left), right, f"At {at} the closed form of {claim.left} is not its quadrature.")


@check.register
def _(claim: EvaluatedRadius, world: World) -> None:
    q = letters(world.program)[0]
    pairs = {letter: pair for pair, letter in q.items()}
    same = {after(x): x for x in q.values()}
    for letter, nodes in zip(claim.own, claim.nodes, strict=True):
        check(OfLetters(VarianceMap(*of_pair(pairs[letter]), *q.values()), nodes.xreplace(same)), world)
    at = _letters_at(world, sp.Tuple(claim.nodes.xreplace(same), claim.right, *claim.own))
    at |= {x: at[y] for x, y in same.items() if y in at}
    direct, later = (
        sp.Matrix([[_differenced(nodes, x, at) if nodes.has(x) else 0 for x in moved] for nodes in claim.nodes])
        for moved in (claim.own, [after(x) for x in claim.own])
    )
    left = float(radius((sp.eye(len(claim.own)) - later).LUsolve(direct)))
    right = float(sp.N(claim.right.subs(at)))
    if not abs(left - right) <= DIFFERENCED * max(abs(left), abs(right), 1e-3):
        raise ProofError("audit", str(left), right, f"At {at} the closed form of {claim.left} is not its difference.")


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
        at = {x: value for x, value in at.items() if x not in claim.kept}
        if all(x.func(*(sp.N(side.subs(at)) for side in x.args)) == sp.true for x in claim.domain):
            break
    else:
        raise ProofError("audit", "a point of the domain", claim.domain, "The domain is empty.")
    kept = {x: float(sp.N(value.subs(at))) for x, value in claim.kept.items()}
    if claim.right not in claim.kept.values():
        raise ProofError("audit", claim.kept, claim.right, "It is not the value of a letter.")
    pair, _ = pair_in(claim.left.args)
    if claim.kept[letters(world.program)[0][pair]] != claim.right or len(claim.nodes) != len(kept):
        raise ProofError("audit", str(pair), claim.right, "It is the value of another letter, or a map is missing.")
    for letter, nodes in zip(claim.kept, claim.nodes, strict=True):
        found = numerically(nodes, {**at, **kept})
        if not (kept[letter] >= 0 or not letter.is_nonnegative) or abs(found - kept[letter]) > ACCURACY * max(
            found, 1e-3
        ):
            raise ProofError("audit", str(kept[letter]), found, f"At {at} the map does not keep {claim.kept}.")


@check.register
def _(claim: AtSlopeOne, world: World) -> None:
    """The slope is that of the program for any variances, and one at the value claimed, with every relation held."""
    nu = claim.left.args[-1]
    if claim.moved != nu or pair_in(claim.left.args)[0] != pair_in(claim.slope.args)[0]:
        raise ProofError("audit", str(claim.left), claim.slope, "It is the slope of others, or at another variance.")
    agree = not isinstance(claim.slope, DifferenceGrowth)
    if agree and claim.slope.args[len(of_pair(pair_in(claim.slope.args)[0])) :] != _same_letters(world):
        raise ProofError("audit", "the slope where both runs agree", claim.slope, "It is that at other moments.")
    check(OfLetters(claim.slope, claim.nodes), world)
    for _trial in range(200):
        at = _letters_at(world, sp.Tuple(claim.nodes, claim.right, *claim.domain))
        if all(x.func(*(sp.N(side.subs(at)) for side in x.args)) == sp.true for x in claim.domain):
            break
    else:
        raise ProofError("audit", "a point of the domain", claim.domain, "The domain is empty.")
    value = float(sp.N(claim.right.subs(at)))
    found = numerically(claim.nodes, {**at, nu: value}) if value > 0 else 0.0
    if abs(found - 1) > ACCURACY:
        raise ProofError("audit", "a slope of one", found, f"At {at} and {nu} = {value} {claim.left} is not critical.")


def _same_letters(world: World) -> tuple[sp.Symbol, ...]:
    own = tuple(letters(world.program)[0].values())
    return own + own
