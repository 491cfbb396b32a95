"""Bounds on the size of functions on the real line, and on what Gaussian integrals leave out."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb

from wideproof.derive.expectation.enclosures.growth import Growth, ceiling_of, growth_of, least_of
from wideproof.derive.language.activations import NAMES, Z, canonical, definition
from wideproof.derive.language.errors import NotAccurate

OTHERS = (
    sp.exp(-(Z**4) + 3 * Z**3 - Z), sp.log(1 + sp.exp(Z)), Z * sp.tanh(sp.log(1 + sp.exp(Z))), 1 / (2 - 2 * Z + Z**2),
    sp.sqrt(1 + Z**2), sp.Max(Z, 0) + sp.Min(sp.exp(Z) - 1, 0), sp.exp(-sp.Abs(Z)), 1 / (1 + sp.exp(-Z)),
    sp.sinh(Z) - 3,
    sp.exp(1 - Z**2 + sp.sin(3 * Z)), sp.atan(Z) ** 3, 2 ** (-Z), sp.log(2 + sp.sin(Z)),
)  # fmt: skip


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("expr", [*(definition(canonical(name)) for name in NAMES), *OTHERS], ids=str)
def test_a_function_stays_below_its_bound(expr, order):
    expr = sp.diff(expr, Z, order) if order else expr
    if expr.has(sp.DiracDelta):
        return
    bound = growth_of(expr)
    values = sp.lambdify(Z, expr, "mpmath")
    for z in (*np.linspace(-9, 9, 91), -200.3, -35.0, 41.0, 333.0):
        size = abs(values(mpmath.mpf(float(z))))
        most = float(bound.factor) * (1 + abs(z)) ** bound.degree * mpmath.exp(float(bound.rate) * abs(z))
        assert size <= most * (1 + 1e-12)


def test_what_is_left_out_is_no_more_than_its_bound():
    with mpmath.workdps(30):
        for degree, rate, mean, deviation, reach in (
            (0, 0.0, 0.0, 1.0, 3.0),
            (2, 0.0, 1.0, 2.0, 4.0),
            (1, 1.5, -0.5, 0.8, 5.0),
        ):
            size = lambda z, d=degree, r=rate: ((1 + abs(z)) ** d * mpmath.exp(r * abs(z))) ** 2  # noqa: E731
            left = lambda x, m=mean, s=deviation, f=size: f(m + s * x) * mpmath.npdf(x)  # noqa: E731
            truth = mpmath.quad(left, [reach, 12, 40]) + mpmath.quad(left, [-40, -12, -reach])
            bound = float(Growth(arb(1), degree, arb(rate)).beyond(arb(mean), arb(deviation), arb(reach)))
            assert truth <= bound <= 40 * truth


def test_one_sided_bounds():
    assert float(least_of(1 + Z**2)) == 1
    assert float(least_of(Z**4 - Z)) <= -0.4724
    assert float(least_of(2 * sp.cosh(Z / 2))) == 2
    level, slope = ceiling_of(3 - (Z - 1) ** 2)
    assert (float(level), float(slope)) == (3.0, 0.0)


@pytest.mark.parametrize("expr", [1 / Z, sp.log(Z), sp.exp(Z**2), sp.cosh(Z**2)])
def test_a_function_without_a_bound_is_refused(expr):
    with pytest.raises(NotAccurate, match="its structure"):
        growth_of(expr)
