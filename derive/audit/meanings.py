"""What the functions of the engine mean in a `World`: each from its definition, by none of the engine's rules."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import sympy as sp
from mpmath import mp

from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.audit.dual_numbers import derivative
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import Meaning, Polynomial, World, compose, negligible, product_of
from wideproof.derive.calculus.gaussian_process import Cov
from wideproof.derive.calculus.innovations import Innovation, InnovationsForm, Predictor, ProductCov
from wideproof.derive.calculus.lags import EmpiricalKernel, Entry
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT, Response, StateMoments
from wideproof.derive.expectation.dual_activations import Damped
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.notation import p, q
from wideproof.derive.language.program import MatVec, Parameter
from wideproof.derive.linear.convolution import ConvolutionKernel, Gain, Rho


def _moment(world: World, expr: sp.Expr, at: Any) -> Any:
    u, v, first, second, a, b = expr.args
    u, v = (world.program.output if x == OUTPUT else x for x in (u, v))
    return world.moment(u, v, world.integer(first, at), world.integer(second, at), a, b)


def _cov(world: World, expr: sp.Expr, at: Any) -> Any:
    """E[u v] - E[u] E[v], by pairings."""
    u, v, first, second, a, b = expr.args
    times = world.integer(first, at), world.integer(second, at)
    means = [
        world.moment(sp.S.One, x, 0, time, label, label) for x, time, label in zip((u, v), times, (a, b), strict=True)
    ]
    return world.moment(u, v, *times, a, b) - means[0] * means[1]


def _response(world: World, expr: sp.Expr, at: Any) -> Any:
    y, r, r2, first, second, a, b = expr.args
    output = world.program.output if y == TANGENT_OUTPUT or world.program.base is None else world.program.base.output
    rows = world.integer(r, at), world.integer(r2, at)
    times = world.integer(first, at), world.integer(second, at)
    means = [world.moment(sp.S.One, output, 0, time, label, label) for time, label in zip(times, (a, b), strict=True)]
    return world.moment(output, output, *times, a, b, rows) - means[0] * means[1]


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
    """By pairings; equal laws, which the steps of a proof repeat, are paired once."""
    functions, means, upper = expr.args
    law = tuple(world.fraction(x, at) for x in (*means, *upper))
    key = ("gaussian mean", functions, law)
    if key not in world.memo:
        world.memo[key] = _mean_of_product(world, functions, law[: len(functions)], law[len(functions) :])
    return world.memo[key]


def _mean_of_product(
    world: World, functions: sp.Tuple, means: tuple[Fraction, ...], upper: tuple[Fraction, ...]
) -> Fraction:
    size, cov = len(functions), iter(upper)
    table = {(a, b): next(cov) for a in range(size) for b in range(a, size)}
    total: Polynomial = {(): Fraction(1)}
    for i, ((name, order), mean) in enumerate(zip(functions, means, strict=True)):
        inner = {(i,): Fraction(1), (): mean}
        total = product_of(total, compose(derivative(world.activations[str(name)], int(order)), inner))
    paired: dict[tuple[int, ...], Fraction] = {(): Fraction(1)}
    return sum((c * pair_up(m, table, paired) for m, c in total.items()), start=Fraction(0))


def pair_up(
    variables: tuple[int, ...], table: Mapping[tuple[int, int], Fraction], paired: dict[tuple[int, ...], Fraction]
) -> Fraction:
    """E of a product of centred Gaussian variables with these covariances; `paired` keeps what was found."""
    if len(variables) % 2:
        return Fraction(0)
    if variables not in paired:
        first, rest = variables[0], variables[1:]
        paired[variables] = sum(
            (
                table[min(first, x), max(first, x)] * pair_up(rest[:i] + rest[i + 1 :], table, paired)
                for i, x in enumerate(rest)
            ),
            start=Fraction(0),
        )
    return paired[variables]


def _power_dd(world: World, expr: sp.Expr, at: Any) -> Any:
    """The sum of all products of powers of the nodes whose exponents add up to j - k, enumerated."""
    lag, *nodes = (world.number(a, at) for a in expr.args)
    degree = int(lag) - len(nodes) + 1
    if degree < 0:
        return 0
    return sp.Add(
        *(
            sp.Mul(*(node**e for node, e in zip(nodes, exponents, strict=True)))
            for exponents in product(range(degree + 1), repeat=len(nodes))
            if sum(exponents) == degree
        )
    )


def _state_moments(world: World, expr: sp.Expr, at: Any) -> Any:
    index = [(u, time) for u in world.program.bodies for time in range(int(expr.args[0]))]
    return sp.ImmutableDenseMatrix(
        [[sp.sympify(world.moment(u, v, a, b, FIRST, SECOND), strict=True) for v, b in index] for u, a in index]
    )


def _past(world: World, name: sp.Symbol, upto: int) -> list[tuple[sp.Expr, int]]:
    vectors = sorted(
        {x.vector for _, x in world.program.terms if isinstance(x, MatVec) and x.matrix.name == str(name)}, key=str
    )
    return [(v, time) for time in range(upto) for v in vectors]


def _centred(world: World, u: sp.Expr, v: sp.Expr, first: int, second: int) -> Fraction:
    x, y = world.value(u, first, FIRST), world.value(v, second, FIRST)
    return world.mean(product_of(x, y)) - world.mean(x) * world.mean(y)


def _regression(world: World, name: sp.Symbol, b: sp.Expr, time: int) -> tuple[list[Any], dict[Any, Any]]:
    """The past columns and least-squares weights of column b at `time` on them, leftmost independent ones first."""
    past = _past(world, name, time)
    if not past:
        return past, {}
    gram = sp.Matrix([[_centred(world, x[0], y[0], x[1], y[1]) for y in past] for x in past])
    right = sp.Matrix([_centred(world, x[0], b, x[1], time) for x in past])
    pivots = gram.rref(iszerofunc=negligible)[1]
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
    return world.number(parameter.variance, {}) * sp.sympify(world.moment(a, b, *times, FIRST, FIRST), strict=True)


def _integral(world: World, expr: sp.Expr, at: Any) -> Any:
    """By quadrature to more digits than are compared."""
    ((variable, low, high),) = expr.limits
    inside = sp.lambdify(variable, expr.function.subs({**world.parameters, **at}), "mpmath")
    with mp.workdps(40):
        bounds = [mp.mpf(str(sp.N(world.number(x, at), 40))) for x in (low, high)]
        return sp.Float(mp.quad(inside, bounds), 40)


def _damped(world: World, expr: sp.Expr, at: Any) -> Any:
    """exp(-x) sinh(y), or cosh(y) for an even one, from exponentials."""
    x, y, odd = (sp.sympify(a, strict=True).subs({**world.parameters, **at}) for a in expr.args)
    return (sp.exp(y - x) + (-1 if odd == 1 else 1) * sp.exp(-y - x)) / 2


MEANINGS: dict[type, Meaning] = {
    sp.Integral: _integral,
    Damped: _damped,
    Moment: _moment,
    Cov: _cov,
    Response: _response,
    Entry: _entry,
    Rho: _rho,
    ConvolutionKernel: _convolution,
    Gain: lambda world, expr, at: sp.sqrt(sp.sympify(_rho(world, expr, at), strict=True)),
    EmpiricalKernel: lambda world, expr, at: _response(world, Response(*expr.args, FIRST, SECOND), at),
    Gram: lambda world, expr, at: world.gram(*(world.integer(x, at) for x in expr.args[:2]), *expr.args[2:]),
    GaussianMean: _gaussian_mean,
    PowerDD: _power_dd,
    StateMoments: _state_moments,
    Predictor: _predictor,
    Innovation: _innovation,
    ProductCov: _product_cov,
    InnovationsForm: lambda world, expr, at: sp.S.Zero,
    sp.KroneckerDelta: lambda world, expr, at: sp.Integer(
        _index(world, expr.args[0], at) == _index(world, expr.args[1], at)
    ),
}


def _index(world: World, expr: sp.Expr, at: Any) -> int:
    """An index that may hold the absolute time of an impulse."""
    return world.integer(expr, {**at, **world.impulses})
