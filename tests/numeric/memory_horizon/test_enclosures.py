"""Fixed points that are proved to exist, and what follows from them, between bounds."""

import math

import pytest
from flint import arb, ctx

from wideproof.derive import Recursion, erf, memory, models
from wideproof.derive.language.errors import NotAccurate, ParameterError
from wideproof.numeric.memory_horizon import enclosures
from wideproof.numeric.memory_horizon.enclosures import certified_points
from wideproof.numeric.memory_horizon.fixed_points import analyse


def test_the_fixed_point_of_relu_is_the_closed_one():
    (point,) = certified_points(models.elman("relu"), nu_W=1.25, nu_b=0.125)
    q = 0.0625 / (1 - 0.625)  # q = (nu_W q + nu_b)/2
    wanted = {"q": q, "chi": 0.625, "horizon": -1 / math.log(0.625)}
    for (name, want), x in zip(wanted.items(), (point.q["h"], point.chi, point.horizon), strict=True):
        assert x.lower <= want * (1 + 1e-15), name
        assert x.upper >= want * (1 - 1e-15), name
        assert 1.001 * want not in x
    assert point.horizon.upper - point.horizon.lower < 1e-10


@pytest.mark.parametrize(("nu_W", "nu_b"), [(1.5, 0.05), (3.0, 0.05), (2.0, 0.0)])
def test_estimates_lie_within_their_errors_of_the_bounds(nu_W, nu_b):
    derived = memory(models.elman("tanh"))
    found = certified_points(derived, nu_W=nu_W, nu_b=nu_b)
    for point, estimate in zip(found, analyse(derived, nu_W=nu_W, nu_b=nu_b).points, strict=True):
        assert abs(point.q["h"].midpoint - estimate.q["h"]) <= estimate.q_error["h"] + 1e-16
        assert abs(point.chi.midpoint - estimate.chi) <= estimate.chi_error + 1e-15
        assert abs(point.c["h"].midpoint - estimate.c["h"]) <= 1e-12
        assert estimate.slope == pytest.approx(point.slope.midpoint, abs=1e-11)
        assert estimate.horizon == pytest.approx(point.horizon.midpoint, rel=1e-10)
        assert point.q["h"].upper - point.q["h"].lower < 1e-15


def test_zero_is_exact_and_a_growing_difference_has_no_horizon():
    zero, _ = certified_points(models.elman("tanh"), nu_W=2.0, nu_b=0.0)
    assert (zero.q["h"].lower, zero.q["h"].upper) == (0.0, 0.0)
    assert (zero.chi.lower, zero.chi.upper, zero.horizon.lower) == (2.0, 2.0, math.inf)


def test_a_root_needs_certain_signs():
    with ctx.workprec(160):
        root = enclosures._root(lambda x: x * x - 2, 1.4142, "it")
        assert root.contains(arb(2).sqrt())
        assert root.rad() < 1e-15
    for touching in (lambda x: (x - 1) ** 2, lambda x: (x - 1) + arb(0, 1)):
        with pytest.raises(NotAccurate, match="crosses"):
            enclosures._root(touching, 1.0, "it")


@pytest.mark.parametrize(("activation", "nu_W", "said"), [("tanh", 1.0, "one side of 1"), ("relu", 2.0, "crosses")])
def test_the_critical_line_is_refused(activation, nu_W, said):
    with pytest.raises(NotAccurate, match=said):
        certified_points(models.elman(activation), nu_W=nu_W, nu_b=0.0)


def test_moments_that_feed_each_other_are_refused():
    pair = Recursion("pair")
    W, Z, F, C = pair.matrix("W", "nu_W"), pair.matrix("Z", "nu_Z"), pair.input_map("F", "nu_F"), pair.readout("C")
    g, h = pair.state("g"), pair.state("h")
    pair.update(g, erf(W @ h + F @ pair.x))
    pair.update(h, erf(Z @ g))
    pair.output(C @ h)
    with pytest.raises(NotAccurate, match="feed each other"):
        certified_points(pair, nu_W=0.5, nu_Z=0.5, nu_F=1.0, X=1.0)


def test_a_width_that_is_not_reached_and_bad_numbers_are_refused():
    with pytest.raises(NotAccurate, match="width is at most"):
        certified_points(models.elman("tanh"), tolerance=1e-40, nu_W=1.5, nu_b=0.05)
    with pytest.raises(ParameterError, match="missing: nu_b"):
        certified_points(models.elman("tanh"), nu_W=1.5)
