"""Nested integrals of steep functions, against closed forms, other integrals, and their own stated bounds."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.special import erf
from scipy.stats import norm

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.pair_integrals import Variables, _function, expectation, steep, value
from wideproof.derive.expectation.steep_places import Places
from wideproof.derive.language.activations import Z, define
from wideproof.derive.language.errors import NotAccurate

CORRELATIONS = np.array([0.0, 0.5, -0.9, 0.999, -1 + 1e-10, 1 - 1e-14, 1.0, -1.0])


@pytest.mark.parametrize(("a", "b"), [(1e-8, 1e4), (1e3, 1e3), (1e6, 2e5), (1e10, 1e10)])
@pytest.mark.parametrize("name", ["erf", "gelu"])
def test_closed_forms_lie_within_the_bound(name, a, b):
    v = Variables("numpy", (np.array(a), np.array(b)), CORRELATIONS * np.sqrt(a * b))
    for order in (0, 1):
        phi = steep(name, order, "numpy")
        found, bound = nested_quadrature.pair(np, phi, phi, v.means, (np.sqrt(a), np.sqrt(b)), v.correlation, v.rest)
        known, _ = expectation(((name, order),) * 2, v)
        size = np.sqrt(np.prod([expectation(((name, order),) * 2, Variables("numpy", (x, x), x))[0] for x in (a, b)]))
        assert (np.abs(found - known) <= bound + 1e-15 * size).all()
        assert (bound <= 1e-14 * size).all()
        wrong = np.abs(1.001 * found - known) > bound + 1e-15 * size
        assert (wrong | (np.abs(known) < 1e-9 * size)).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu"])
@pytest.mark.parametrize("a", [1e3, 1e6])
def test_steep_functions_of_coincident_and_opposite_variables(name, a):
    """E[phi(u) phi(-u)] decays within some tens of zero, and E[phi(u)^2] follows from phi(u) +- phi(-u)."""
    phi, z = _function(name, 0, "numpy"), np.arange(-80, 80.01, 0.02)
    decaying = phi(z) * phi(-z) + (name == "tanh")
    small = 0.02 * np.sum(decaying * norm.pdf(z, scale=np.sqrt(a)))
    opposite = small - (name == "tanh")
    coincident = {"tanh": 1 - small, "sigmoid": 0.5 - small}.get(name, a / 2 + small)
    for sign, want in ((-1, opposite), (1, coincident)):
        found, _ = value(((name, 0),) * 2, Variables("numpy", (a, a), np.array([sign * a])))
        np.testing.assert_allclose(found, want, rtol=1e-13, atol=1e-13 * coincident)


def test_a_mean_moves_the_steep_place():
    phi, deviation = steep("erf", 0, "numpy"), 1e3
    for centre in (40.0, -2e3):
        found, bound = nested_quadrature.mean(np, phi, centre, deviation)
        want = erf(centre / np.sqrt(1 + 2 * deviation**2))
        assert abs(found - want) <= bound + 1e-13 < abs(1.001 * found - want)
        both, _ = nested_quadrature.pair(np, phi, phi, (centre, 0.0), (deviation, 0.0), 0.0, 1.0)
        assert both == 0.0  # erf of a variable that is zero
        apart, worst = nested_quadrature.pair(np, phi, phi, (centre, centre), (deviation, deviation), 0.0, 1.0)
        assert abs(apart - found**2) <= worst + 2 * bound


def test_a_function_without_a_scale_of_its_own_is_refused():
    define("chirp", sp.sin(Z**2))
    with pytest.raises(NotAccurate, match="its definition tells where it is steep"):
        value((("chirp", 0),) * 2, Variables("numpy", (np.array([1e6]),) * 2, np.array([5e5])))


def test_without_cuts_where_it_is_steep_the_error_is_visible():
    phi = nested_quadrature.Steep(_function("tanh", 0, "numpy"), Places((), (32.0,)))
    found, bound = nested_quadrature.pair(np, phi, phi, (0.0, 0.0), (1e3, 1e3), 0.9, np.sqrt(0.19))
    assert bound > max(1e-9, abs(found - 2 / np.pi * np.arcsin(0.9)) / 100)


def test_softplus_is_finite_far_out():
    phi = _function("softplus", 0, "numpy")
    np.testing.assert_array_equal(phi(np.array([5e3, -5e3])), [5e3, 0.0])
