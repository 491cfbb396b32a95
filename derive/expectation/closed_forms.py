"""Closed forms of Gaussian expectations as array code, also where ab is beyond the range of double precision.

The rows of the table are written in det = ab - c^2 under square roots. Variances from 1e-154 to 1e154 have such a
product; for others each root is taken of its argument over the square of a unit near it, so that erf of inputs of 1e150
is their sign and ReLU of inputs of 1e-100 keeps its digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.expectation.dual_activations import ANGLE, D, a, b, c, k, m

DET, SPREAD = sp.Symbol("det", nonnegative=True), sp.Symbol("angle", real=True)
READ = {DET: "det", SPREAD: "angle"}
"""The letters of a printed row, and the property of the variables that each of them is."""


def closed_form(row: sp.Expr, backend: str) -> Callable[[Any], Any]:
    """The expression of a row in a, b, c, m, k, D and ANGLE as a function of `Variables`."""
    plain = _function(row.subs({D: DET, ANGLE: SPREAD}), {}, backend)
    roots: dict[sp.Expr, sp.Symbol] = {
        p.base: sp.Dummy("root", nonnegative=True) for p in row.atoms(sp.Pow) if p.base.has(D) and p.exp.q == 2
    }
    if not roots:
        return lambda law: plain(law, {})
    scaled = _function(
        row.replace(
            lambda e: e.is_Pow and e.base in roots and e.exp.q == 2, lambda e: roots[e.base] ** (2 * e.exp)
        ).subs({D: DET, ANGLE: SPREAD}),
        roots,
        backend,
    )
    sizes = {base: _root(base, backend) for base in roots}

    def closed(law: Any) -> Any:
        if not law.extreme:
            return plain(law, {})
        return scaled(law, {base: size(law) for base, size in sizes.items()})

    return closed


def _function(
    expr: sp.Expr, roots: Mapping[sp.Expr, sp.Symbol], backend: str
) -> Callable[[Any, Mapping[sp.Expr, Any]], Any]:
    extra = [x for x in READ if expr.has(x)]
    function = _code([*roots.values(), *extra], expr, backend)

    def values(law: Any, sizes: Mapping[sp.Expr, Any]) -> Any:
        read = (getattr(law, READ[x]) for x in extra)
        result = function(*law.variances, law.covariance, *law.means, *(sizes[base] for base in roots), *read)
        return law.xp.asarray(result, dtype=law.xp.float64)

    return values


def _code(extra: Sequence[sp.Symbol], expr: sp.Expr, backend: str) -> Callable[..., Any]:
    return emitted([a, b, c, m, k, *extra], expr, backend)


def _root(base: sp.Expr, backend: str) -> Callable[[Any], Any]:
    """sqrt(P + q D), P of positive terms of the first degree in a and b, as a unit times a root near one."""
    rest, share = base.subs(D, 0), float(base.coeff(D))
    function = _code([], rest, backend)

    def root(law: Any) -> Any:
        unit = law.units(0.0 if rest == 0 else 1.0)
        above = function(*law.variances, law.covariance, *law.means) / unit / unit
        return unit * law.xp.sqrt(above + share * law.det_in(unit))

    return root
