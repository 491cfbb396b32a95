"""Spikes that a grid steps over: found by their definition, against integrals by mpmath that know where they are."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from tests.gaussian_means import gaussian_mean
from wideproof.derive.expectation import pair_integrals
from wideproof.derive.expectation.pair_integrals import Variables, value
from wideproof.derive.expectation.steep_places import Places, steep_places
from wideproof.derive.language.activations import Z, define

AT, THIRD = sp.Rational(33331, 100000), sp.Rational(1, 3)
SPIKES = {
    "needle": (sp.exp(-((1500 * (Z - AT)) ** 2)), AT, 1 / 1500),
    "finer_needle": (sp.exp(-((10**6 * (Z - THIRD)) ** 2)), THIRD, 1e-6),
    "lorentz": (1 / (1 + (3000 * (Z - 2)) ** 2), 2, 1 / 3000),
    "sharp_sech": (1 / sp.cosh(4000 * (Z + 1)), -1, 1 / 4000),
    "pole": (1 / (sp.Rational(1, 10**8) + Z**2), 0, 1e-4),
    "step_of_tanh": (sp.tanh(2000 * (sp.tanh(Z) - sp.Rational(3, 10))), np.arctanh(0.3), 1 / 2000),
    "hill_with_needle": (sp.tanh(Z) + sp.exp(-((1500 * (Z - AT)) ** 2)), AT, 1 / 1500),
    "far_bump": (Z / (1 + (Z - 30) ** 2), 30, 1),
}


def want(expr, at, width, variance, power):
    """E[f^power] by mpmath, its panels ending around the spike."""
    f, root = sp.lambdify(Z, expr, "mpmath"), mpmath.sqrt(variance)
    around = [mpmath.mpf(float(at)) + sign * width * 10**k for sign in (-1, 1) for k in (-1, 0, 0.5, 1, 1.5, 2, 3)]
    ends = sorted({max(min(x / root, 13), -13) for x in (*around, float(at), 0)} | {-13, 13})
    return float(mpmath.quad(lambda z: f(root * z) ** power * mpmath.npdf(z), ends, maxdegree=9))


@pytest.mark.parametrize("name", SPIKES)
def test_spikes_are_seen_within_the_stated_error(name):
    expr, at, width = SPIKES[name]
    define(name, expr)
    variance = 100.0 if name == "far_bump" else 1.0
    for power, second in ((1, None), (2, name)):
        found, error = gaussian_mean(name, second, (variance, variance), variance)
        exact = want(expr, at, width, variance, power)
        assert abs(float(found) - exact) <= float(error) < abs(1.001 * float(found) - exact)


def test_a_spike_read_beside_a_kinked_function():
    """E[max(u, 0) needle(u)] of one variable: the spike lies where u > 0, and weighs u there."""
    define("needle", SPIKES["needle"][0])
    found, error = gaussian_mean("relu", "needle", (1.0, 1.0), 1.0)
    exact = want(Z * SPIKES["needle"][0], AT, 1 / 1500, 1.0, 1)
    assert abs(float(found) - exact) <= float(error) < 1e-3 * exact


def test_without_the_places_the_spike_is_missed_and_the_error_is_still_not_zero(monkeypatch):
    define("needle", SPIKES["needle"][0])
    monkeypatch.setattr(pair_integrals, "places", lambda *_: Places((0.0,), (0.0,)))
    pair_integrals._known_series.cache_clear()
    found, error = gaussian_mean("needle", "needle", (1.0, 1.0), 1.0)
    pair_integrals._known_series.cache_clear()
    assert float(found) < 1e-5  # the true value is 3.2e-4
    assert float(error) > 0


def test_a_function_that_is_zero_within_reach_has_an_error_too():
    define("far_needle", sp.exp(-((Z - 1000) ** 2)))
    found, error = value((("far_needle", 0),) * 2, Variables("numpy", (np.ones(1),) * 2, np.ones(1)))
    assert found == 0.0
    assert 0 < error < 1e-30


def test_places_of_arguments():
    assert steep_places(sp.tanh(5 * Z - 10)) == ((2.0, 0.2),)
    assert steep_places(sp.tanh(Z)) == ()
    (place,) = steep_places(sp.log(1 + (100 * (Z - 7)) ** 2))
    assert place == pytest.approx((7.0, 0.01))
