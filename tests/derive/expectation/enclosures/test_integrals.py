"""Gaussian integrals of one variable between bounds: the numbers of ball arithmetic, of SymPy and of mpmath."""

import mpmath
import pytest
import sympy as sp
from flint import arb, ctx

from wideproof.derive.expectation.enclosures.functions import ball_function
from wideproof.derive.expectation.enclosures.integrals import Mapped, cells, density, integral, mean_of
from wideproof.derive.language.activations import NAMES, Z, canonical, define, definition
from wideproof.derive.language.errors import NotAccurate

define("enclosed_spike", "exp(-(1500*(z - 0.33331))**2)")
define("enclosed_mish", "z*tanh(log(1 + exp(z)))")
LAWS = ((0.0, 1.0), (0.3, 1.25), (-1.5, 0.5))


@pytest.fixture(autouse=True)
def precise():
    with ctx.workprec(160):
        yield


def mapped(name, mean=0.0, deviation=1.0, order=0):
    return Mapped(ball_function(name, order), arb(mean), arb(deviation))


@pytest.mark.parametrize(("mean", "deviation"), LAWS)
@pytest.mark.parametrize("name", [*map(canonical, NAMES), "enclosed_mish"])
def test_a_mean_is_that_of_mpmath_and_not_one_a_thousandth_off(name, mean, deviation):
    found = mean_of((mapped(name, mean, deviation),))
    phi = ball_function(name, 0)
    values = sp.lambdify(Z, definition(name), "mpmath")
    places = [-12, *sorted((float(edge) - mean) / deviation for edge in phi.edges), 12]
    with mpmath.workdps(25):
        want = mpmath.quad(lambda x: values(mean + deviation * x) * mpmath.npdf(x), places)
    assert found.rad() < 1e-18
    assert abs(found - arb(str(want))) < 1e-13
    assert abs(want) < 1e-12 or not found.overlaps(found.mid() * 1.001)


def test_a_spike_that_every_grid_steps_over():
    found = mean_of((mapped("enclosed_spike"), mapped("enclosed_spike")))
    assert found.overlaps(arb("3.15322259808e-4 +/- 9e-16"))
    assert abs(found - arb("3.153222598083918e-4")) < 1e-18
    assert not found.overlaps(found.mid() * 1.001)


def test_known_numbers():
    found = mean_of((mapped("tanh"), mapped("tanh")))
    assert found.overlaps(arb("0.39429449 +/- 1e-8"))
    for mean, deviation in LAWS:
        m, s = arb(mean), arb(deviation)
        assert mean_of((mapped("exp", mean, deviation),)).overlaps((m + s**2 / 2).exp())
        assert mean_of((mapped("sin", mean, deviation),)).overlaps((-(s**2) / 2).exp() * m.sin())
        assert mean_of((mapped("erf", mean, deviation),)).overlaps((m / (1 + 2 * s**2).sqrt()).erf())
        assert mean_of((mapped("step", mean, deviation),)).overlaps((1 + (m / s / arb(2).sqrt()).erf()) / 2)


def test_a_ball_of_laws_holds_the_mean_of_each():
    wide = mean_of((Mapped(ball_function("tanh", 0), arb(0.3, 0.01), arb(1.2, 0.01)),))
    for mean in (0.2901, 0.3, 0.3099):
        for deviation in (1.1901, 1.2, 1.2099):
            assert wide.overlaps(mean_of((mapped("tanh", mean, deviation),)))
    assert wide.rad() < 0.1


def test_an_edge_that_is_known_up_to_rounding_only_is_covered():
    one = Mapped(ball_function("relu", 0), arb(0.25, 1e-9), arb(1.0, 1e-9))
    plain, hulls = cells((one,), 12)
    ((low, high),) = hulls
    assert low < -0.25 < high
    assert [bool(x[1] <= low) or bool(x[0] >= high) for x in plain] == [True, True]
    assert mean_of((one,)).overlaps(mean_of((mapped("relu", 0.25),)))


def test_a_branch_that_is_not_known_is_refused():
    one = Mapped(ball_function("relu", 0), arb(0, 1e-3), arb(1.0))
    assert one.at(arb(0.5))(arb(2), False).real == 2
    with pytest.raises(NotAccurate, match="known too little"):
        one.at(arb(1e-4))


def test_opposite_slopes_and_the_density():
    both = (mapped("relu"), Mapped(ball_function("relu", 0), arb(0), arb(-1)))
    assert abs(mean_of(both)) < 1e-25
    assert integral(lambda x, _: density(x), -12, 12).real.overlaps(arb(1) - (12 / arb(2).sqrt()).erfc())


def test_what_grows_too_fast_is_refused():
    with pytest.raises(NotAccurate, match="smaller variances"):
        mean_of((mapped("exp", 0.0, 150.0),))
