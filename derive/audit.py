"""The independent audit: every claim evaluated exactly at random rational points, without the engine's rules.

A `World` draws rational variances, input vectors and, for every activation, a quadratic polynomial. In it each
state is an explicit polynomial in Gaussian variables, expectations are sums over pairings, and covariances follow
the paths of the recursion at integer times: no symbolic times, no leaf moments, no zero sets, no closed forms.
Definitions are audited in small rational matrices, tangents by differentiating those, theorems' hypotheses by
difference quotients of the maps.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import singledispatchmethod
from itertools import pairwise, product
from typing import Any

import sympy as sp

from .activations import Phi, definition_at
from .closed_form import PowerDD
from .convolution import ConvolutionKernel, Gain, Rho
from .errors import ProofError
from .evolution import OUTPUT, TANGENT_OUTPUT, Response, StateMoments
from .expectation import GaussianMean
from .innovations import Innovation, InnovationsForm, Predictor, ProductCov
from .lags import EmpiricalKernel, Entry
from .language import Bias, Coordinate, Input, MatVec, Parameter, Previous, Program, Updated, coordinates_of
from .moments import FIRST, SECOND, Gram, Moment
from .notation import p, q
from .proof import Claim, Equation, Hypothesis, Limit, Proof, Recurrence, Vanishing
from .tangent import MARK

WORLDS = 2
DIGITS = 30
HORIZON = 4
Polynomial = dict[tuple[Any, ...], Fraction]


def audit(proof: Proof, seed: int = 0) -> None:
    """Raise ProofError at the first step whose claim is false in one of a few random worlds."""
    worlds = [World(proof.program, seed + i) for i in range(WORLDS)]
    for index, step in enumerate(proof.steps):
        for world in worlds:
            try:
                world.check(step.claim)
            except ProofError as error:
                raise ProofError(f"step {index} ({step.rule}), audit", error.expected, error.got, error.hint) from None
            except Exception as error:  # an altered claim may not even be evaluable
                raise ProofError(f"step {index} ({step.rule}), audit", "a claim with a value", repr(error),
                                 "The claim has no meaning at integer times.") from error


class World:
    """One random instance in which every symbol of a proof has an exact value."""

    def __init__(self, program: Program, seed: int) -> None:
        self.program, self.random = program, random.Random(seed)
        self.parameters = {x: self._rational() for x in program.symbols.values()}
        self.activations = {name: [self._rational() for _ in range(3)] for name in sorted(self._activation_names())}
        self.impulses = {p: 0, q: 2}
        self.inputs = {(label, time): [self._rational() for _ in range(2)]
                       for label in (FIRST, SECOND) for time in range(2 * HORIZON + 4)}
        self.memo: dict[Any, Any] = {}

    def _rational(self) -> Fraction:
        return Fraction(self.random.randint(1, 9), self.random.randint(2, 7))

    def _activation_names(self) -> set[str]:
        exprs = [*self.program.bodies.values(), self.program.output]
        exprs += [x.vector for _, x in self.program.terms if isinstance(x, MatVec)]
        return {str(phi.args[0]) for e in exprs for phi in e.atoms(Phi)}

    # ---- claims ---------------------------------------------------------------------------------------
    @singledispatchmethod
    def check(self, claim: Claim) -> None:
        """Raise ProofError unless the claim is true here."""
        raise ProofError("audit", "a claim of a known kind", type(claim).__name__, "Register a check beside the kind.")

    @check.register
    def _(self, claim: Equation) -> None:
        if isinstance(claim.left, Coordinate) or claim.left in (OUTPUT, TANGENT_OUTPUT):
            return self._same(claim, *Matrices(self).sides(claim))
        for at in self._points(claim.left, claim.right):
            self._same(claim, self.number(claim.left, at), self.number(claim.right, at))
        return None

    @check.register
    def _(self, claim: Limit) -> None:
        self.check(Equation(claim.left, claim.right))

    @check.register
    def _(self, claim: Recurrence) -> None:
        if not claim.equations:
            raise ProofError("audit", "equations", "none", "A recurrence says how its moments are found.")
        for equation in claim.equations:
            self.check(equation)
        if isinstance(claim.right, sp.Tuple):
            self._states(claim)
        else:
            self.check(Equation(claim.left, claim.right))

    def _states(self, claim: Recurrence) -> None:
        """All moments that a form is about are among its equations, or vanish."""
        stated = {e.left for e in claim.equations}
        for missing in set(claim.right) - stated:
            raise ProofError("audit", "an equation for each moment", missing, "It is not determined.")
        if isinstance(claim.left, StateMoments):
            for u, v in product(self.program.bodies, repeat=2):
                left = Moment(u, v, claim.indices[0], claim.indices[1], FIRST, SECOND)
                if left not in stated:
                    self.check(Equation(left, sp.S.Zero))

    @check.register
    def _(self, claim: Vanishing) -> None:
        gaps = {"=": (0, 0), "<": (0, 1), ">": (1, 0), "any": (0, 2)}
        for u, v, relation, (a, b) in claim.members:
            first, second = gaps[relation]
            for start, extra in product(range(3), range(2)):
                lags = (start + first * (1 + extra), start + second * (1 + extra))
                value = self.number(Moment(u, v, *map(sp.Integer, lags), a, b), {})
                self._same(claim, value, sp.S.Zero)

    @check.register
    def _(self, claim: Hypothesis) -> None:
        for _, body, kind in claim.maps:
            measured = measured_growth(body, self.parameters, self.random)
            if measured != kind:
                raise ProofError("audit", measured, kind, f"The map {body} grows otherwise.")

    def _same(self, claim: Claim, left: Any, right: Any) -> None:
        gap = sp.sympify(left) - sp.sympify(right)
        values = list(gap) if isinstance(gap, sp.MatrixBase) else [gap]
        if any(value != 0 and abs(sp.N(value, DIGITS)) > sp.Float(10) ** (2 - DIGITS) for value in values):
            raise ProofError("audit", left, right, f"At a random rational point {claim} is false.")

    def _points(self, *exprs: sp.Expr) -> Iterator[dict[sp.Symbol, int]]:
        """Integer values of the free indices: a few small random ones, rows equal and different."""
        bound = {x for e in exprs for total in e.atoms(sp.Sum) for x in total.bound_symbols}
        free = sorted({x for e in exprs for x in e.free_symbols} - set(self.parameters) - {FIRST, SECOND, p, q} - bound,
                      key=str)
        free = [x for x in free if not isinstance(x, Coordinate)]
        for trial in range(4):
            values = {x: self.random.randint(int(x.is_positive or 0), HORIZON - 1) for x in free}
            rows = [x for x in free if str(x).rstrip("'") in ("r", "c")]
            values |= {x: 0 if trial < 3 else self.random.randint(0, 1) for x in rows}
            lag = next((x for x in free if str(x) == "k" and x.is_positive), None)
            step = next((x for x in free if str(x) == "t"), None)
            if lag is not None and step is not None:  # the k-th normal equation, k = 1 ... t
                values[step] = self.random.randint(1, HORIZON - 1)
                values[lag] = self.random.randint(1, values[step])
            yield values

    # ---- values of expressions ------------------------------------------------------------------------
    def number(self, expr: sp.Expr, at: Mapping[sp.Symbol, int]) -> sp.Expr:
        """The exact value of an expression at integer indices."""
        if expr.is_Number or expr.is_NumberSymbol:
            return expr
        if isinstance(expr, sp.Symbol):
            return sp.sympify(self.parameters[expr] if expr in self.parameters else at[expr])
        if isinstance(expr, sp.MatrixBase):
            return expr.applyfunc(lambda entry: self.number(entry, at))
        if isinstance(expr, sp.Sum):
            (index, low, high), = expr.limits
            steps = range(int(self.number(low, at)), int(self.number(high, at)) + 1)
            return sp.Add(*(self.number(expr.function, {**at, index: i}) for i in steps))
        meaning = MEANINGS.get(expr.func)
        if meaning is not None:
            return sp.sympify(meaning(self, expr, at))
        return expr.func(*(self.number(a, at) for a in expr.args))

    def integer(self, expr: sp.Expr, at: Mapping[sp.Symbol, int]) -> int:
        """The value of an index."""
        return int(self.number(expr, at))

    def moment(self, u: sp.Expr, v: sp.Expr, first: int, second: int, a: Any, b: Any,
               rows: tuple[int, int] = (0, 0)) -> Fraction:
        """E[u v] by pairings; times count from the impulse for impulse labels."""
        if min(first, second) < 0 and (a in self.impulses or b in self.impulses):
            return Fraction(0)
        times = first + self.impulses.get(a, 0), second + self.impulses.get(b, 0)
        return self.mean(_times(self.value(u, times[0], a, rows[0]), self.value(v, times[1], b, rows[1])))

    # ---- the Gaussian world ---------------------------------------------------------------------------
    def value(self, expr: sp.Expr, time: int, label: Any, row: int = 0) -> Polynomial:
        """A process at an absolute time as a polynomial in Gaussian variables (coordinate, time, label, row)."""
        key = (expr, time, label, row)
        if key not in self.memo:
            self.memo[key] = self._value(expr, time, label, row)
        return self.memo[key]

    def _value(self, expr: sp.Expr, time: int, label: Any, row: int) -> Polynomial:
        if isinstance(expr, Coordinate):
            return self._coordinate(expr, time, label, row)
        if isinstance(expr, Phi):
            name, order, argument = expr.args
            return _compose(_derivative(self.activations[str(name)], int(order)),
                            self.value(argument, time, label, row))
        if not expr.has(Coordinate):
            return {(): self._fraction(expr)}
        parts = [self.value(a, time, label, row) for a in expr.args] if not expr.is_Pow else \
            [self.value(expr.base, time, label, row)] * int(expr.exp)
        result = parts[0]
        for part in parts[1:]:
            result = _plus(result, part) if expr.is_Add else _times(result, part)
        return result

    def _coordinate(self, c: Coordinate, time: int, label: Any, row: int) -> Polynomial:
        match self.program.table[c]:
            case Updated(state) if time < 0:
                return {(("start", state, None if state.shared else label),): Fraction(1)} if state.initial != 0 else {}
            case Updated():
                return self.value(self.program.bodies[c], time, label, row)
            case Previous(state):
                return self.value(self.program.updated[state], time - 1, label, row)
            case Bias(parameter):
                return _plus({((c, time, label, row),): Fraction(1)}, {(): self._fraction(parameter.mean)})
            case _:
                return {((c, time, label, row),): Fraction(1)}

    def mean(self, polynomial: Polynomial) -> Fraction:
        """E of a polynomial: the sum over all pairings of each monomial."""
        return sum((c * self._pairings(m) for m, c in polynomial.items()), start=Fraction(0))

    def _pairings(self, variables: tuple[Any, ...]) -> Fraction:
        if not variables:
            return Fraction(1)
        if len(variables) % 2:
            return Fraction(0)
        first, rest = variables[0], variables[1:]
        return sum((self.covariance(first, other) * self._pairings(rest[:i] + rest[i + 1:])
                    for i, other in enumerate(rest)), start=Fraction(0))

    def covariance(self, x: Any, y: Any) -> Fraction:
        """Cov of two Gaussian variables, from what they are products of."""
        key = ("cov", x, y)
        if key not in self.memo:
            self.memo[key] = self._covariance(x, y)
        return self.memo[key]

    def _covariance(self, x: Any, y: Any) -> Fraction:
        if "start" in (x[0], y[0]):
            return self._fraction(x[1].initial) if x == y else Fraction(0)
        (c, time, label, row), (d, other, label2, row2) = x, y
        first, second = self.program.table[c], self.program.table[d]
        parameter = getattr(first, "matrix", getattr(first, "parameter", None))
        if parameter != getattr(second, "matrix", getattr(second, "parameter", None)) or row != row2:
            return Fraction(0)
        assert isinstance(parameter, Parameter)
        if not parameter.tied and time != other:
            return Fraction(0)
        nu = self._fraction(parameter.variance)
        if isinstance(first, Bias):
            return nu
        assert isinstance(first, MatVec)
        assert isinstance(second, MatVec)
        if parameter.role == "input_map":
            return nu * self.gram(time, other, label, label2)
        return nu * self.mean(_times(self.value(first.vector, time, label), self.value(second.vector, other, label2)))

    def _fraction(self, expr: sp.Expr, at: Mapping[sp.Symbol, int] | None = None) -> Fraction:
        value = self.number(expr, at or {})
        return Fraction(int(value.p), int(value.q))

    def gram(self, time: int, other: int, a: Any, b: Any) -> Fraction:
        """x_time . x'_other: a unit impulse for impulse labels, random vectors for sequences."""
        x, y = self.input(a, time), self.input(b, other)
        return sum((u * v for u, v in zip(x, y, strict=True)), start=Fraction(0))

    def input(self, label: Any, time: int) -> list[Fraction]:
        """The input vector of a label; an impulse label may name the unit vector it uses."""
        if label in self.impulses:
            return [Fraction(time == self.impulses[label]), Fraction(0)]
        if isinstance(label, tuple):  # (impulse label, index of the unit vector)
            return [Fraction(time == self.impulses[label[0]] and i == label[1]) for i in range(2)]
        return self.inputs[label, time] if time >= 0 else [Fraction(0)] * 2


# ---- polynomials ----------------------------------------------------------------------------------
def _plus(a: Polynomial, b: Polynomial) -> Polynomial:
    return {m: a.get(m, Fraction(0)) + b.get(m, Fraction(0)) for m in {**a, **b}}


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for (m, c), (k, d) in product(a.items(), b.items()):
        key = tuple(sorted((*m, *k), key=repr))
        result[key] = result.get(key, Fraction(0)) + c * d
    return result


def _derivative(coefficients: list[Fraction], order: int) -> list[Fraction]:
    for _ in range(order):
        coefficients = [i * c for i, c in enumerate(coefficients)][1:]
    return coefficients


def _compose(coefficients: list[Fraction], inner: Polynomial) -> Polynomial:
    result: Polynomial = {}
    power: Polynomial = {(): Fraction(1)}
    for c in coefficients:
        result = _plus(result, {m: c * d for m, d in power.items()})
        power = _times(power, inner)
    return result


# ---- meanings of the engine's functions -----------------------------------------------------------
def _moment(world: World, expr: sp.Expr, at: Any) -> Any:
    u, v, first, second, a, b = expr.args
    return world.moment(u, v, world.integer(first, at), world.integer(second, at), a, b)


def _response(world: World, expr: sp.Expr, at: Any) -> Any:
    y, r, r2, first, second, a, b = expr.args
    output = world.program.output if y == TANGENT_OUTPUT or world.program.base is None else world.program.base.output
    rows = world.integer(r, at), world.integer(r2, at)
    return world.moment(output, output, world.integer(first, at), world.integer(second, at), a, b, rows)


def _entry(world: World, expr: sp.Expr, at: Any) -> Any:
    r, c, r2, c2, lag, lag2 = (world.integer(x, at) for x in expr.args)
    output = world.program.output
    return world.moment(output, output, lag + world.impulses[p], lag2 + world.impulses[p], (p, c), (p, c2), (r, r2))


def _rho(world: World, expr: sp.Expr, at: Any) -> Any:
    lag = sp.Integer(world.integer(expr.args[0], at))
    return _response(world, Response(TANGENT_OUTPUT, 0, 0, lag, lag, p, q), at)


def _convolution(world: World, expr: sp.Expr, at: Any) -> Any:
    """Sum over all entries of all theta of the products of the two gradients, which are sqrt(rho_j) x."""
    r, r2, first, second = (world.integer(x, at) for x in expr.args)
    total = sp.S.Zero
    for lag, row, column in product(range(min(first, second) + 1), range(2), range(2)):
        gain = sp.sqrt(world.number(Rho(sp.Integer(lag)), {}))
        left = gain * world.input(FIRST, first - lag)[column] * int(row == r)
        right = gain * world.input(SECOND, second - lag)[column] * int(row == r2)
        total += left * right
    return total


def _gaussian_mean(world: World, expr: sp.Expr, at: Any) -> Any:
    functions, means, upper = expr.args
    size = len(functions)
    cov = iter(world._fraction(c, at) for c in upper)
    table = {(a, b): next(cov) for a in range(size) for b in range(a, size)}
    total: Polynomial = {(): Fraction(1)}
    for i, ((name, order), mean) in enumerate(zip(functions, means, strict=True)):
        inner = {(i,): Fraction(1), (): world._fraction(mean, at)}
        total = _times(total, _compose(_derivative(world.activations[str(name)], int(order)), inner))
    return sum((c * _pair_up(m, table) for m, c in total.items()), start=Fraction(0))


def _pair_up(variables: tuple[int, ...], table: Mapping[tuple[int, int], Fraction]) -> Fraction:
    if not variables:
        return Fraction(1)
    first, rest = variables[0], variables[1:]
    return sum((table[min(first, x), max(first, x)] * _pair_up(rest[:i] + rest[i + 1:], table)
                for i, x in enumerate(rest)), start=Fraction(0)) if len(variables) % 2 == 0 else Fraction(0)


def _power_dd(world: World, expr: sp.Expr, at: Any) -> Any:
    """The sum of all products of powers of the nodes whose exponents add up to j - k, enumerated."""
    lag, *nodes = (world.number(a, at) for a in expr.args)
    degree = int(lag) - len(nodes) + 1
    if degree < 0:
        return 0
    return sp.Add(*(sp.Mul(*(node**e for node, e in zip(nodes, exponents, strict=True)))
                    for exponents in product(range(degree + 1), repeat=len(nodes)) if sum(exponents) == degree))


def _state_moments(world: World, expr: sp.Expr, at: Any) -> Any:
    index = [(u, time) for u in world.program.bodies for time in range(int(expr.args[0]))]
    return sp.ImmutableDenseMatrix([[sp.sympify(world.moment(u, v, a, b, FIRST, SECOND)) for v, b in index]
                                    for u, a in index])


def _past(world: World, name: sp.Symbol, upto: int) -> list[tuple[sp.Expr, int]]:
    vectors = sorted({x.vector for _, x in world.program.terms
                      if isinstance(x, MatVec) and x.matrix.name == str(name)}, key=str)
    return [(v, time) for time in range(upto) for v in vectors]


def _centred(world: World, u: sp.Expr, v: sp.Expr, first: int, second: int) -> Fraction:
    x, y = world.value(u, first, FIRST), world.value(v, second, FIRST)
    return world.mean(_times(x, y)) - world.mean(x) * world.mean(y)


def _regression(world: World, name: sp.Symbol, b: sp.Expr, time: int) -> tuple[list[Any], dict[Any, Any]]:
    """The past columns and least-squares weights of column b at `time` on them, leftmost independent ones first."""
    past = _past(world, name, time)
    if not past:
        return past, {}
    gram = sp.Matrix([[_centred(world, x[0], y[0], x[1], y[1]) for y in past] for x in past])
    right = sp.Matrix([_centred(world, x[0], b, x[1], time) for x in past])
    pivots = gram.rref()[1]
    weights = gram.extract(list(pivots), list(pivots)).LUsolve(right.extract(list(pivots), [0])) if pivots else []
    return past, {past[i]: w for i, w in zip(pivots, weights, strict=True)}


def _predictor(world: World, expr: sp.Expr, at: Any) -> Any:
    name, a, b, step, back = expr.args
    time, past = world.integer(step, at), world.integer(back, at)
    return _regression(world, name, b, time)[1].get((a, time - past), sp.S.Zero)


def _parameter(world: World, name: sp.Symbol) -> Parameter:
    return next(x for x in world.program.parameters if x.name == str(name))


def _innovation(world: World, expr: sp.Expr, at: Any) -> Any:
    name, a, b, step = expr.args
    time, parameter = world.integer(step, at), _parameter(world, name)
    left = _centred(world, a, b, time, time)
    if parameter.tied:
        left -= sum(_centred(world, a, x, time, y) * w for (x, y), w in _regression(world, name, b, time)[1].items())
    return world.number(parameter.variance, {}) * left


def _product_cov(world: World, expr: sp.Expr, at: Any) -> Any:
    name, a, b, first, second = expr.args
    parameter = _parameter(world, name)
    times = world.integer(first, at), world.integer(second, at)
    if not parameter.tied and times[0] != times[1]:
        return 0
    return world.number(parameter.variance, {}) * sp.sympify(world.moment(a, b, *times, FIRST, FIRST))


MEANINGS: dict[type, Callable[[World, sp.Expr, Any], Any]] = {
    Moment: _moment, Response: _response, Entry: _entry, Rho: _rho, ConvolutionKernel: _convolution,
    Gain: lambda world, expr, at: sp.sqrt(sp.sympify(_rho(world, expr, at))),
    EmpiricalKernel: lambda world, expr, at: _response(world, Response(*expr.args, FIRST, SECOND), at),
    Gram: lambda world, expr, at: world.gram(*(world.integer(x, at) for x in expr.args[:2]), *expr.args[2:]),
    GaussianMean: _gaussian_mean, PowerDD: _power_dd, StateMoments: _state_moments,
    Predictor: _predictor, Innovation: _innovation, ProductCov: _product_cov,
    InnovationsForm: lambda world, expr, at: sp.S.Zero,
    sp.KroneckerDelta: lambda world, expr, at: sp.Integer(_index(world, expr.args[0], at) == _index(
        world, expr.args[1], at)),
}


def _index(world: World, expr: sp.Expr, at: Any) -> int:
    """An index that may hold the absolute time of an impulse."""
    return world.integer(expr.subs(world.impulses), at)


# ---- definitions: small matrices ------------------------------------------------------------------
class Matrices:
    """The recursion and its tangent with real 2 x 2 rational matrices; the tangent by differentiation."""

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program
        self.base = world.program.base or world.program
        self.eps = sp.Dummy("eps")
        self.drawn: dict[Any, sp.Matrix] = {}

    def sides(self, claim: Equation) -> tuple[sp.Expr, sp.Expr]:
        """Both sides of a definition: what the recursion does, and what the claim says."""
        left = claim.left
        own = self.base.output if left in (OUTPUT, TANGENT_OUTPUT) else self.base.bodies.get(left)
        if own is None or left == TANGENT_OUTPUT:
            source = self.base.output if left == TANGENT_OUTPUT else self.base.bodies[self._unmarked(left)]
            moved = self._vector(source, perturbed=True)
            does = moved.diff(self.eps).subs(self.eps, 0)
        else:
            does = self._vector(own)
        says = self._vector(claim.right)
        return does.applyfunc(sp.expand), says.applyfunc(sp.expand)

    def _unmarked(self, c: Coordinate) -> Coordinate:
        term = self.program.table[c]
        assert isinstance(term, Updated)
        return next(b for b in self.base.bodies if b.label == c.label.removeprefix(MARK))

    def _draw(self, key: Any, columns: int) -> sp.Matrix:
        if key not in self.drawn:
            self.drawn[key] = sp.Matrix(2, columns, lambda *_: sp.Rational(self.world._rational()))
        return self.drawn[key]

    def _vector(self, expr: sp.Expr, perturbed: bool = False) -> sp.Matrix:
        coordinates = {c: self._term(c, perturbed) for c in coordinates_of(expr)}
        rows = [self._apply(expr, {c: v[i] for c, v in coordinates.items()}) for i in range(2)]
        return sp.Matrix(rows)

    def _apply(self, expr: sp.Expr, values: Mapping[Coordinate, sp.Expr]) -> sp.Expr:
        def phi(name: sp.Symbol, order: sp.Expr, z: sp.Expr) -> sp.Expr:
            c = _derivative(self.world.activations[str(name)], int(order))
            return sp.Add(*(sp.Rational(x) * z**i for i, x in enumerate(c)))

        return expr.xreplace(dict(values)).replace(Phi, phi).xreplace(
            {x: sp.Rational(v) for x, v in self.world.parameters.items()})

    def _term(self, c: Coordinate, perturbed: bool) -> sp.Matrix:
        term = self.program.table[c]
        move = self.eps if perturbed else sp.S.Zero
        match term:
            case Input():
                return self._draw("x", 1)
            case MatVec(matrix, vector):
                m = self._parameter(matrix, 2, move)
                return m * self._vector(vector, perturbed)
            case Bias(parameter):
                return self._parameter(parameter, 1, move)
            case Previous(state) | Updated(state):
                kind = type(term).__name__
                value = self._draw((kind, state.name), 1)
                if not perturbed:
                    return value
                return value + move * self._draw((kind, MARK + state.name), 1)

    def _parameter(self, parameter: Parameter, columns: int, move: sp.Expr) -> sp.Matrix:
        own = self._draw(parameter.name, columns)
        return own + move * self._draw(MARK + parameter.name, columns) if parameter.trainable else own


# ---- hypotheses: difference quotients -------------------------------------------------------------
def measured_growth(body: sp.Expr, parameters: Mapping[sp.Symbol, Fraction], rng: random.Random) -> str:
    """How a map grows in its coordinates, from values alone: second differences, then difference quotients."""
    names = coordinates_of(body)
    fixed = {x: sp.Rational(v) for x, v in parameters.items()}

    def f(point: Mapping[Coordinate, float]) -> float:
        return float(body.xreplace({c: sp.Float(v) for c, v in point.items()}).xreplace(fixed).replace(
            Phi, lambda name, order, z: definition_at(str(name), int(order), z)))

    if not any(_bent(f, {c: rng.uniform(-9, 9) for c in names}, {c: rng.uniform(-9, 9) for c in names})
               for _ in range(40)):
        return "affine"
    worst = max(_steepest(f, {**dict.fromkeys(names, 0.1), big: 1e4}, c) for big in names for c in names)
    return "Lipschitz" if worst < 1e3 else "polynomially bounded"


def _bent(f: Callable[[Mapping[Coordinate, float]], float], a: Mapping[Coordinate, float],
          b: Mapping[Coordinate, float]) -> bool:
    return abs(f(a) + f(b) - 2 * f({c: (a[c] + b[c]) / 2 for c in a})) > 1e-9


def _steepest(f: Callable[[Mapping[Coordinate, float]], float], point: Mapping[Coordinate, float],
              c: Coordinate) -> float:
    """The largest difference quotient along one coordinate, the others fixed, one of them far out."""
    values = [f({**point, c: 0.1 * i}) for i in range(-30, 31)]
    return max(abs(b - a) / 0.1 for a, b in pairwise(values))
