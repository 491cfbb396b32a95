"""Truncated Gaussian moments E[(u - theta)_+^p], and averages of an alternating program in closed form by them."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import sympy as sp

from .activations import Phi
from .alternating import AlternatingProgram
from .alternating.terms import Average, Covariance
from .errors import NotClosed
from .expectation import Affine, Factor, GaussianMean, expect
from .language import Coordinate, Program
from .proof import Ask, Claim, Equation, prove, rule


class Ramp(sp.Function):
    """E[(u - theta)_+^p] of a centred Gaussian u: arguments p, theta, its variance; p = 0 is P(u > theta)."""

    nargs = (3,)


@rule("truncated-moment", source="stein1981estimation, for the power of a ramp")
def truncated_moment(program: Program, subject: Any, ask: Ask) -> Claim:
    """E[u f(u)] = v E[f'(u)] with f = (u - theta)_+^{p-1}; for p = 1 the derivative is a point mass."""
    p, theta, v = subject.args
    if p == 0:
        return Equation(subject, (1 - sp.erf(theta / sp.sqrt(2 * v))) / 2)
    below = ask("truncated-moment", Ramp(p - 1, theta, v))
    assert isinstance(below, Equation)
    if p == 1:
        slope = sp.exp(-theta**2 / (2 * v)) / sp.sqrt(2 * sp.pi * v)
    else:
        second = ask("truncated-moment", Ramp(p - 2, theta, v))
        assert isinstance(second, Equation)
        slope = (p - 1) * second.right
    return Equation(subject, sp.expand(v * slope - theta * below.right))


THETA, VARIANCE = sp.Symbol("theta", nonnegative=True), sp.Symbol("v", positive=True)


def ramp(power: int, theta: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """The closed form of E[(u - theta)_+^power]."""
    goal = prove(PLAIN, "truncated-moment", Ramp(sp.Integer(power), THETA, VARIANCE)).goal
    assert isinstance(goal, Equation)
    return goal.right.subs({THETA: theta, VARIANCE: variance}, simultaneous=True)


PLAIN = AlternatingProgram("truncated moments", (), (), (), sp.S.Zero, (), None, "entries", None, sp.S.One, (), (),
                           (("arguments", THETA + VARIANCE),))


def gaussian_average(program: AlternatingProgram, average: Average) -> sp.Expr:
    """An average as Gaussian means, component by component of the sources.

    Errors: NotClosed where an activation is taken of what is not affine in Gaussian parts and sources.
    """
    factors, variables = _factors(average.args[0])
    laws = {c: source.law for c, source in program.sources}
    read = sorted((c for c in average.args[0].atoms(Coordinate) if c in laws), key=str)
    total = sp.S.Zero
    for chosen in product(*(laws[c] for c in read)):
        variances = {c: v for c, (_, v) in zip(read, chosen, strict=True)}
        weight = sp.Mul(*(w for w, _ in chosen))
        total += weight * expect(variables, factors, partial(_covariance, program, variances))
    return total


def _factors(expr: sp.Expr) -> tuple[tuple[Factor, ...], tuple[Coordinate, ...]]:
    factors, variables = [], []
    for piece in sp.Mul.make_args(expr):
        base, power = piece.as_base_exp()
        for _ in range(int(power)):
            if isinstance(base, Coordinate):
                variables.append(base)
            elif isinstance(base, Phi):
                factors.append(Factor(base.args[0], int(base.args[1]), _affine(base.args[2])))
            else:
                raise NotClosed("average", "a product of variables and activations", base, "Expand it.")
    return tuple(factors), tuple(variables)


def _affine(z: sp.Expr) -> Affine:
    variables = sorted(z.atoms(Coordinate), key=str)
    slopes = [(c, sp.diff(z, c)) for c in variables]
    if any(slope.has(Coordinate) for _, slope in slopes):
        raise NotClosed("average", "activations of affine forms", z, "Nested activations have no closed form here.")
    return Affine(tuple(slopes), z.subs(dict.fromkeys(variables, 0)))


def _covariance(program: AlternatingProgram, variances: dict[Coordinate, sp.Expr], a: Any, b: Any) -> sp.Expr:
    """Sources are independent of all else, and the Gaussian parts of the two sides of each other."""
    if a in variances or b in variances:
        return variances[a] if a == b else sp.S.Zero
    place = {program.gaussian(k): k for k in range(len(program.lines))}
    first, second = sorted((place[a], place[b]))
    same = program.lines[first][1].side == program.lines[second][1].side
    return Covariance(first, second) if same else sp.S.Zero


def by_ramps(expr: sp.Expr) -> sp.Expr:
    """An expression with every mean of ramps of one Gaussian variable in closed form.

    Errors: NotClosed for other activations, and for ramps of two variables.
    """
    return expr.replace(GaussianMean, lambda *args: _by_ramp(GaussianMean(*args)))


def _by_ramp(node: GaussianMean) -> sp.Expr:
    functions, means, upper = node.args
    thetas = {-m for m in means}
    theta, variance = -means[0], upper[0]
    plain = all(str(name) == "relu" and order <= 1 for name, order in functions)
    if not plain or len(thetas) != 1 or any(sp.expand(c**2 - variance**2) != 0 for c in upper):
        raise NotClosed("average", "ramps of one Gaussian variable", node, "Evaluate it by numeric.alternating.")
    if not theta.is_nonnegative:
        raise NotClosed("average", "a threshold that is not negative", theta, "Declare it nonnegative.")
    if any(sp.expand(c + variance) == 0 and sp.expand(c - variance) != 0 for c in upper):
        return sp.S.Zero  # one of the two ramps is zero, as theta >= 0
    return ramp(sum(1 - int(order) for _, order in functions), theta, variance)
