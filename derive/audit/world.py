"""A random instance of a program in which every symbol has an exact rational value.

It draws rational variances, input vectors and, for every activation, a polynomial of high enough degree that all
derivatives in use are seen. Each state is then an explicit polynomial in Gaussian variables, expectations are sums over
pairings, and covariances follow the paths of the recursion at integer times: no symbolic times, no leaf moments, no
zero sets, no closed forms.
"""

from __future__ import annotations

import functools
import operator
import random
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive.audit.dual_numbers import derivative
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.calculus.moments import FIRST, SECOND
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.notation import p, q
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Parameter, Previous, Program, Updated

HORIZON, DIGITS = 4, 120
"""Steps that are looked at; digits of an irrational number in exact arithmetic, far beyond what is compared."""
Polynomial = dict[tuple[int, ...], Fraction]


class DrawnInputs(dict[tuple[Any, int], list[Fraction]]):
    """The input vectors of both sequences, each made of its time when it is first asked for."""

    def __init__(self, made: Callable[[int], list[Fraction]]) -> None:
        super().__init__()
        self.made = made

    def __missing__(self, key: tuple[Any, int]) -> list[Fraction]:
        return self.setdefault(key, self.made(key[1]))


class Curved(NamedTuple):
    """Activations of a degree more than the others, and the last step at which claims are looked at with them."""

    names: frozenset[str]
    latest: int


class World:
    """The values of all expressions about a program, for one random draw of its free symbols and inputs.

    `meanings` says what the functions of the engine stand for, `order` is the highest derivative of an activation that
    is spoken of. Gaussian variables are numbered as they appear. With `curved` activations, of which no
    derivative in use is constant, a world looks at the first steps alone.
    """

    def __init__(
        self,
        program: Program,
        seed: int,
        meanings: Mapping[type, Meaning],
        order: int = 1,
        curved: Curved | None = None,
    ) -> None:
        self.program, self.random, self.meanings = program, random.Random(seed), meanings
        self.order = max([order, *(int(x.args[1]) for e in expressions_of(program) for x in e.atoms(Phi))])
        self.parameters = {x: self.rational(signed=not x.is_nonnegative) for x in program.symbols.values()}
        self.grows = self._grows()
        self.horizon, self.degree = HORIZON - self.grows, max(1, self.order) if self.grows else self.order + 1
        self.latest = curved and curved.latest
        self.horizon = curved.latest + 1 if curved else self.horizon
        names = sorted({str(phi.args[0]) for e in expressions_of(program) for phi in e.atoms(Phi)})
        self.activations = {name: self.coefficients(curved is not None and name in curved.names) for name in names}
        self.impulses, self.exact = {p: 0, q: 2}, True
        self.inputs = DrawnInputs(lambda _time: [self.rational() for _ in range(2)])
        for label, time in product((FIRST, SECOND), range(2 * HORIZON + 4)):
            self.inputs[label, time]
        self.memo: dict[Any, Any] = {}
        self.paired: dict[tuple[int, ...], Fraction] = {}
        self.variables: dict[tuple[Any, ...], int] = {}
        self.keys: list[tuple[Any, ...]] = []

    def rational(self, signed: bool = False) -> Fraction:
        """A fresh random number, positive unless it may have either sign."""
        size = Fraction(self.random.randint(1, 9), self.random.randint(2, 7))
        return size * self.random.choice((1, -1)) if signed else size

    def dyadic(self) -> Fraction:
        """A fresh positive number whose denominator is a power of two: sums and products of such stay short."""
        return Fraction(self.random.randint(1, 48), 16)

    def coefficients(self, curved: bool = False) -> list[Fraction]:
        """A fresh polynomial to stand for an activation."""
        return [self.dyadic() for _ in range(self.degree + curved + 1)]

    def looks_at(self, times: Iterable[int]) -> bool:
        """Whether a world evaluates claims at these times: where activations are curved at the first steps alone."""
        return self.latest is None or max(times, default=0) <= self.latest

    def _grows(self) -> bool:
        """Whether states multiply, so that their degree grows with time: then activations are of the least degree."""
        degrees = [0] * 4
        past: dict[Coordinate, int] = {c: 1 for c in self.program.bodies}
        for step in range(4):
            now: dict[Coordinate, int] = {}
            for c, body in self.program.updates:
                now[c] = self._degree(body, past, now)
            past, degrees[step] = now, max(now.values(), default=0)
        return degrees[3] > degrees[2]

    def _degree(self, expr: sp.Expr, past: Mapping[Coordinate, int], now: Mapping[Coordinate, int]) -> int:
        """The degree of a process in its Gaussian variables, quadratic activations assumed."""
        if isinstance(expr, Coordinate):
            term = self.program.table[expr]
            if isinstance(term, Previous):
                return past[self.program.updated[term.state]]
            return now[expr] if isinstance(term, Updated) else 1
        if isinstance(expr, Phi):
            return max(2 - int(expr.args[1]), 0) * self._degree(expr.args[2], past, now)
        if not expr.has(Coordinate):
            return 0
        parts = [self._degree(a, past, now) for a in expr.args]
        return parts[0] * int(expr.exp) if expr.is_Pow else max(parts) if expr.is_Add else sum(parts)

    # ---- values of expressions ------------------------------------------------------------------------
    def number(self, expr: sp.Expr, at: Mapping[sp.Symbol, int]) -> sp.Expr:
        """The exact value of an expression at integer indices."""
        if expr.is_Number or expr.is_NumberSymbol:
            return expr
        if isinstance(expr, sp.Symbol):
            return sp.sympify(self.parameters[expr] if expr in self.parameters else at[expr], strict=True)
        if isinstance(expr, sp.MatrixBase):
            return expr.applyfunc(lambda entry: self.number(entry, at))
        if isinstance(expr, sp.Sum):
            ((index, low, high),) = expr.limits
            steps = range(int(self.number(low, at)), int(self.number(high, at)) + 1)
            return sp.Add(*(self.number(expr.function, {**at, index: i}) for i in steps))
        meaning = self.meanings.get(expr.func)
        if meaning is not None:
            return sp.sympify(meaning(self, expr, at), strict=True)
        return _rebuilt(expr, [self.number(a, at) for a in expr.args])

    def integer(self, expr: sp.Expr, at: Mapping[sp.Symbol, int]) -> int:
        """The value of an index."""
        return int(expr) if expr.is_Integer else int(self.number(expr, at))

    def moment(
        self, u: sp.Expr, v: sp.Expr, first: int, second: int, a: Any, b: Any, rows: tuple[int, int] = (0, 0)
    ) -> Fraction:
        """E[u v] by pairings; times count from the impulse for impulse labels."""
        if min(first, second) < 0 and (a in self.impulses or b in self.impulses):
            return Fraction(0)
        times = first + self.impulses.get(a, 0), second + self.impulses.get(b, 0)
        key = ("moment", u, v, times, a, b, rows)
        if key not in self.memo:
            left, right = self.value(u, times[0], a, rows[0]), self.value(v, times[1], b, rows[1])
            self.memo[key] = self._short(self._mean_of_product(left, right))
        return self.memo[key]

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
            return compose(
                derivative(self.activations[str(name)], int(order)),
                self._gathered(self.value(argument, time, label, row)),
            )
        if not expr.has(Coordinate):
            return {(): self.fraction(expr)}
        parts = (
            [self.value(a, time, label, row) for a in expr.args]
            if not expr.is_Pow
            else [self.value(expr.base, time, label, row)] * int(expr.exp)
        )
        result = parts[0]
        for part in parts[1:]:
            result = sum_of(result, part) if expr.is_Add else product_of(result, part)
        return result

    def _gathered(self, inner: Polynomial) -> Polynomial:
        """An affine form in several Gaussian variables as one variable of its own."""
        parts = tuple(sorted((m, c) for m, c in inner.items() if m))
        if len(parts) < 2 or any(len(m) > 1 for m, _ in parts):
            return inner
        return sum_of(self._variable("sum", parts), {(): inner.get((), Fraction(0))})

    def _merged(self, value: Polynomial) -> Polynomial:
        """A polynomial with variables that occur in one linear combination only as one variable of its own."""
        cofactors: dict[int, dict[tuple[int, ...], Fraction]] = {}
        for m, c in value.items():
            for i in set(m):
                cofactors.setdefault(i, {})[tuple(k for k in m if k != i)] = c if m.count(i) == 1 else Fraction(0)
        alike: dict[Any, list[tuple[int, Fraction]]] = {}
        for i, rest in cofactors.items():
            first = rest[min(rest)]
            if all(rest.values()):
                alike.setdefault(frozenset((m, c / first) for m, c in rest.items()), []).append((i, first))
        for monomials, members in alike.items():
            if len(members) > 1 and not any(i in m for m, _ in monomials for i, _ in members):
                ((new,),) = self._variable("sum", tuple(((i,), c) for i, c in sorted(members)))
                gone = {i for i, _ in members}
                value = {m: c for m, c in value.items() if not gone & set(m)}
                value = sum_of(value, {tuple(sorted((*m, new))): c for m, c in monomials})
        return value

    def _coordinate(self, c: Coordinate, time: int, label: Any, row: int) -> Polynomial:
        match self.program.table[c]:
            case Updated(state) if state.backward and time >= self.horizon:
                return {}
            case Updated(state) if time < 0:
                return self._variable("start", state, None if state.shared else label) if state.initial != 0 else {}
            case Updated():
                return self._merged(self.value(self.program.bodies[c], time, label, row))
            case Previous(state):
                return self.value(self.program.updated[state], time + state.back, label, row)
            case Bias(parameter):
                return sum_of(self._variable("drawn", c, time, label, row), {(): self.fraction(parameter.mean)})
            case _:
                return self._variable("drawn", c, time, label, row)

    def _variable(self, *key: Any) -> Polynomial:
        """The variable of a key: ("drawn", coordinate, time, label, row), ("start", state, label) or ("sum", parts)."""
        if key not in self.variables:
            self.variables[key] = len(self.keys)
            self.keys.append(key)
        return {(self.variables[key],): Fraction(1)}

    def mean(self, polynomial: Polynomial) -> Fraction:
        """E of a polynomial: the sum over all pairings of each monomial."""
        return sum((c * self._pairings(m) for m, c in polynomial.items()), start=Fraction(0))

    def _mean_of_product(self, left: Polynomial, right: Polynomial) -> Fraction:
        """E of a product: an even monomial times an odd one pairs to nothing."""
        alike = ([{m: c for m, c in x.items() if len(m) % 2 == odd} for x in (left, right)] for odd in (0, 1))
        return sum((self.mean(product_of(*both)) for both in alike), start=Fraction(0))

    def _pairings(self, variables: tuple[int, ...]) -> Fraction:
        if not variables:
            return Fraction(1)
        if len(variables) % 2:
            return Fraction(0)
        if variables not in self.paired:
            first, rest = variables[0], variables[1:]
            found = Fraction(0)
            for i, other in enumerate(rest):
                if i and other == rest[i - 1]:
                    continue  # equal ones stand side by side, and are counted at the first
                if cov := self.covariance(first, other):
                    found += rest.count(other) * cov * self._pairings(rest[:i] + rest[i + 1 :])
            self.paired[variables] = found
        return self.paired[variables]

    def covariance(self, x: int, y: int) -> Fraction:
        """Cov of two Gaussian variables, from what they are products of."""
        key = (x, y) if x <= y else (y, x)
        if key not in self.memo:
            self.memo[key] = self._short(self._covariance(self.keys[x], self.keys[y]))
        return self.memo[key]

    def _covariance(self, x: Any, y: Any) -> Fraction:
        if y[0] == "sum":
            x, y = y, x
        if x[0] == "sum":
            other = self.variables[y]
            return sum((c * self.covariance(m[0], other) for m, c in x[1]), start=Fraction(0))
        if "start" in (x[0], y[0]):
            return self.fraction(x[1].initial) if x == y else Fraction(0)
        (_, c, time, label, row), (_, d, other, label2, row2) = x, y
        first, second = self.program.table[c], self.program.table[d]
        parameter = getattr(first, "matrix", getattr(first, "parameter", None))
        if parameter != getattr(second, "matrix", getattr(second, "parameter", None)) or row != row2:
            return Fraction(0)
        assert isinstance(parameter, Parameter)
        if not parameter.tied and time != other:
            return Fraction(0)
        nu = self.fraction(parameter.variance)
        if isinstance(first, Bias):
            return nu
        assert isinstance(first, MatVec)
        assert isinstance(second, MatVec)
        if parameter.role == "input_map":
            return nu * self.gram(time, other, label, label2)
        columns = self.value(first.vector, time, label), self.value(second.vector, other, label2)
        return nu * self._mean_of_product(*columns)

    def fraction(self, expr: sp.Expr, at: Mapping[sp.Symbol, int] | None = None) -> Fraction:
        """The value of an expression: exact for rationals, to far more digits than are compared for roots."""
        value = self.number(expr, at or {})
        self.exact = self.exact and bool(value.is_Rational)
        return rational(value)

    def _short(self, value: Fraction) -> Fraction:
        """The number itself, or to as many digits where a root is not exact anyway."""
        if self.exact or value == 0:
            return value
        bits = 4 * DIGITS + value.denominator.bit_length() - value.numerator.bit_length()
        scale = Fraction(2) ** bits
        return round(value * scale) / scale

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


def curved_groups(program: Program) -> tuple[frozenset[str], frozenset[str]]:
    """The activations of states or of other activations, and those of products and biases alone.

    Curved together, or the former beyond the first step, they would be of too high a degree.
    """
    arguments: dict[str, set[sp.Basic]] = {}
    for phi in (phi for e in expressions_of(program) for phi in e.atoms(Phi)):
        arguments.setdefault(str(phi.args[0]), set()).update(phi.args[2].atoms(Coordinate, Phi))
    flat = frozenset(
        name
        for name, read in arguments.items()
        if all(isinstance(x, Coordinate) and isinstance(program.table[x], MatVec | Bias) for x in read)
    )
    return frozenset(arguments) - flat, flat


def _rebuilt(expr: sp.Expr, values: list[sp.Expr]) -> sp.Expr:
    """An expression of these values; of rational numbers by their own arithmetic, in a seventh of the time."""
    if (expr.is_Add or expr.is_Mul) and all(x.is_Rational for x in values):
        return functools.reduce(operator.add if expr.is_Add else operator.mul, values)
    return expr.func(*values)


def rational(value: sp.Expr) -> Fraction:
    """A real number as a fraction: exact where it is rational, else rounded to `DIGITS` digits."""
    if not value.is_Rational:
        value = sp.Rational(sp.N(value, DIGITS, strict=True))
    return Fraction(int(value.p), int(value.q))


def negligible(value: sp.Expr) -> bool:
    """Whether a number is zero, or nothing but what rounding an irrational one leaves."""
    return bool(value == 0 or abs(value) < sp.Rational(1, 10 ** (DIGITS // 2)))


Meaning = Callable[[World, sp.Expr, Any], Any]


def expressions_of(program: Program) -> list[sp.Expr]:
    """All that a program evaluates: updates, output, and what its matrices multiply."""
    vectors = [x.vector for _, x in program.terms if isinstance(x, MatVec)]
    return [*program.bodies.values(), program.output, *vectors]


# ---- polynomials ----------------------------------------------------------------------------------
def sum_of(a: Polynomial, b: Polynomial) -> Polynomial:
    """The sum of two polynomials."""
    return {m: a.get(m, Fraction(0)) + b.get(m, Fraction(0)) for m in {**a, **b}}


def product_of(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product of two polynomials; monomials are sorted tuples of variables."""
    result: Polynomial = {}
    for (m, c), (k, d) in product(a.items(), b.items()):
        key = tuple(sorted((*m, *k)))
        result[key] = result.get(key, Fraction(0)) + c * d
    return result


def compose(coefficients: list[Fraction], inner: Polynomial) -> Polynomial:
    """The polynomial with these coefficients, of another polynomial."""
    result: Polynomial = {}
    power: Polynomial = {(): Fraction(1)}
    for c in coefficients:
        result = sum_of(result, {m: c * d for m, d in power.items()})
        power = product_of(power, inner)
    return result
