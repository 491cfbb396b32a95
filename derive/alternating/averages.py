"""Averages of an alternating program as Gaussian means, component by component of its sources."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import sympy as sp

from wideproof.derive.alternating.terms import Average, Covariance
from wideproof.derive.expectation.symbolic_expectation import Affine, Factor, expect
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.program import Coordinate


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
        raise NotClosed(
            "average",
            "activations of affine forms in Gaussian parts and sources",
            z,
            "A product that is not corrected puts activations inside activations: write A.corrected(x).",
        )
    return Affine(tuple(slopes), z.subs(dict.fromkeys(variables, 0)))


def _covariance(program: AlternatingProgram, variances: dict[Coordinate, sp.Expr], a: Any, b: Any) -> sp.Expr:
    """Sources are independent of all else, and the Gaussian parts of the two sides of each other."""
    if a in variances or b in variances:
        return variances[a] if a == b else sp.S.Zero
    place = {program.gaussian(k): k for k in range(len(program.lines))}
    first, second = sorted((place[a], place[b]))
    same = program.lines[first][1].side == program.lines[second][1].side
    return Covariance(first, second) if same else sp.S.Zero
