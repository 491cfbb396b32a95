"""The critical line of states whose slope does not depend on their variance: linear ones, relu, any number coupled.

There chi is the Perron root of a matrix M of variances. It grows with each of them, and det(1 - M) is affine in a
variance that stands in one row, so where the root is below one without it there is one value at which it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import sympy as sp

from wideproof.derive.emit.mean_formula import closed_mean
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import DeriveError, NotClosed
from wideproof.derive.language.program import Program
from wideproof.derive.memory_horizon.memory_rules import carried_and_added, spectral_radius
from wideproof.derive.memory_horizon.two_run_maps import (
    CorrelationSlope,
    CriticalVariance,
    DifferenceGrowth,
    MapDerivative,
    Pair,
    chain_of,
    letters,
    named,
    of_pair,
    pair_in,
)
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.rules import Ask, rule


@dataclass(frozen=True)
class AtSlopeOne(Equation):
    """right is the value of the variance `moved` at which `slope`, that of the expression `nodes`, is one.

    It holds where every relation of the domain does, which says that the slope is below one without that variance.
    """

    slope: sp.Expr = sp.S.Zero
    nodes: sp.Expr = sp.S.Zero
    moved: sp.Symbol = field(default=sp.Symbol("nu", nonnegative=True))
    domain: tuple[sp.Expr, ...] = ()


@rule(
    "critical-variance",
    source="perron1907theorie: the root of a non-negative matrix grows with its entries; schoenholz2017deep, section 4",
    rank=705,
    says=(
        "the slope does not depend on the variance of the state and grows with each variance of a matrix. Where the "
        "others alone keep it below one it is one at a single value, the zero of a determinant that is affine in it,"
    ),
)
def critical_variance(subject: Any, ask: Ask) -> Claim:
    """Solve chi = 1 for one variance."""
    program = ask.program
    pair, (nu,) = pair_in(subject.args)
    if not chain_of(program).closed:
        return _of_difference(subject, pair, nu, ask)
    q = tuple(letters(program)[0].values())
    group = next(group for group in chain_of(program).groups if pair in group)
    parts = [[MapDerivative(*x, *y, *q, *q) for y in group] for x in group]
    nodes = [[ask.equation("map-derivative", x).right for x in row] for row in parts]
    if any(closed_mean(mean) is None for mean in sp.Matrix(nodes).atoms(GaussianMean)):
        _refuse(program, pair)
    matrix = sp.Matrix([[ask.equation("closed-form", x).right for x in row] for row in parts]).applyfunc(sp.expand)
    if matrix.free_symbols & set(q):
        _refuse(program, pair)
    equation = sp.Poly(sp.expand((sp.eye(len(group)) - matrix).det(method="berkowitz")), nu)
    if equation.degree() != 1:
        hint = "It stands in several updates that feed each other: solve the determinant for it, on its largest root."
        raise NotClosed(f"critical line of {named(pair)}", f"one update that {nu} stands in", equation.as_expr(), hint)
    found = sp.factor(-equation.coeff_monomial(1) / equation.coeff_monomial(nu))
    below = sp.Lt(spectral_radius(matrix.subs(nu, 0).tolist()), 1)
    slope = CorrelationSlope(*of_pair(group[0]), *q, *q)
    return AtSlopeOne(subject, found, slope, spectral_radius(nodes, agree=True), nu, (below,))


def _refuse(program: Program, pair: Pair) -> NoReturn:
    raise NotClosed(
        f"critical line of {named(pair)}",
        "a slope that does not depend on the variance of the states, as of linear states and relu",
        f"one that depends on {', '.join(map(str, letters(program)[0].values()))}",
        "wideproof.numeric.memory_horizon.fixed_points.analyse evaluates the slope at the fixed point of any "
        "variances: look for those where chi is one.",
    )


def _of_difference(subject: Any, pair: Pair, nu: sp.Symbol, ask: Ask) -> Claim:
    """(|a| + s^{1/2})^2 = 1, with redrawn matrices a^2 + s + (4 a^2 s + r^2)^{1/2} = 1, solved for s or for r."""
    slope = ask.equation("difference-growth", DifferenceGrowth(pair[0]))
    carried, tied, redrawn = carried_and_added(ask, pair[0])
    if tied.has(nu):
        whole, value = tied, 1 + carried**2 - sp.sqrt(4 * carried**2 + redrawn**2)
        value = (1 - sp.Abs(carried)) ** 2 if redrawn == 0 else value
    else:
        whole, value = redrawn, sp.sqrt((1 - carried**2 - tied) ** 2 - 4 * carried**2 * tied)
        value = 1 - carried**2 if tied == 0 else value
    rest, growth = whole.subs(nu, 0), sp.diff(whole, nu)
    found = sp.simplify((value - rest) / growth)
    below = sp.Lt(slope.right.subs(nu, 0), 1)
    return AtSlopeOne(subject, found, slope.left, slope.right, nu, (below,))


def wanted(program: Program) -> Iterator[tuple[str, CriticalVariance]]:
    """Each variance of a matrix with each group of states that it may be critical for, by name."""
    groups = [group for group in chain_of(program).groups if _feeds_itself(program, group)]
    names = dict.fromkeys(x.variance for x in program.parameters if x.role == "matrix" and x.variance.is_Symbol)
    for group in groups:
        for nu in names:
            yield (
                nu.name if len(groups) == 1 else f"{nu.name} {named(group[0])}",
                CriticalVariance(*of_pair(group[0]), nu),
            )


def _feeds_itself(program: Program, group: tuple[Pair, ...]) -> bool:
    return any(u == v for u, v in group)


def reason(errors: list[DeriveError], where: str) -> DeriveError:
    """Why there is no line: the first reason of those that were met."""
    if errors:
        return errors[0]
    return NotClosed(where, "a matrix whose variance is a symbol", "none", "Give it a name: variance='nu_W'.")
