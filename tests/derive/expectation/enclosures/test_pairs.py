"""E[phi(u) psi(v)] between bounds: closed forms, the literature's numbers, the float path, and mutants outside."""

import math

import pytest
from flint import acb, arb, ctx

from tests.gaussian_means import gaussian_mean
from wideproof.derive.expectation.dual_activations import FACTS, Dual, c as covariance
from wideproof.derive.expectation.enclosures import pairs
from wideproof.derive.expectation.enclosures.pairs import PairLaw, enclosed_value, enclosure
from wideproof.derive.language.activations import NAMES, canonical, define
from wideproof.derive.language.errors import NotAccurate, NotClosed

define("enclosed_elu", "max(z, 0) + min(exp(z) - 1, 0)")
define("enclosed_mish", "z*tanh(log(1 + exp(z)))")
define("enclosed_bump", "1/(1 + z**2)")
define("enclosed_spike", "exp(-(1500*(z - 0.33331))**2)")
CENTRED = ((1.25, 1.25, 0.75), (0.5, 2.0, -0.875), (1.0, 3.0, 0.0))
SHIFTED = ((0.25, -0.5), (1.5, 0.75, 0.5))


@pytest.fixture(autouse=True)
def precise():
    with ctx.workprec(160):
        yield


def law(a, b, c, means=(0.0, 0.0)):
    return PairLaw((arb(means[0]), arb(means[1])), (arb(a), arb(b)), arb(c))


def both(name, order=0, other=None):
    return (name, order), (other or name, order)


EXACT = {
    "relu": lambda a, b, c: ((a * b - c * c).sqrt() + c * (arb.pi() - angle(a, b, c))) / (2 * arb.pi()),
    "step": lambda a, b, c: (arb.pi() - angle(a, b, c)) / (2 * arb.pi()),
    "erf": lambda a, b, c: (2 * c / ((1 + 2 * a) * (1 + 2 * b)).sqrt()).asin() * 2 / arb.pi(),
    "sin": lambda a, b, c: (-(a + b) / 2).exp() * c.sinh(),
    "exp": lambda a, b, c: ((a + b) / 2 + c).exp(),
}


def angle(a, b, c):
    return (c / (a * b).sqrt()).acos()


@pytest.mark.parametrize("name", EXACT)
def test_closed_forms_lie_inside_and_a_thousandth_off_outside(name):
    for a, b, c in CENTRED:
        found, want = enclosure(both(name), law(a, b, c)), EXACT[name](*map(arb, (a, b, c)))
        assert found.rad() < 1e-17
        assert found.overlaps(want)
        assert abs(want) < 1e-9 or not found.overlaps(want * 1.001)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("name", [*map(canonical, NAMES), "enclosed_elu", "enclosed_mish", "enclosed_bump"])
def test_the_float_path_is_within_its_own_error_of_the_enclosure(name, order):
    if order and name in ("step", "sign"):
        return
    for (a, b, c), means in (*((x, (0.0, 0.0)) for x in CENTRED[:2]), (SHIFTED[1], SHIFTED[0])):
        found = enclosure(both(name, order), law(a, b, c, means))
        value, doubt = gaussian_mean(name, name, (a, b), c, means, (order, order))
        assert found.rad() < 1e-12
        assert abs(float(found.mid()) - float(value)) <= float(doubt) + 1e-14 * max(1.0, abs(float(value)))
        assert abs(float(value)) < 1e-9 or not found.overlaps(found.mid() * 1.001)


def test_a_wrong_row_of_the_table_falls_outside(monkeypatch):
    row = FACTS["erf"]
    wrong = Dual(row.phi, 1.001 * row.pair, row.source)
    found = enclosure(both("erf"), law(*CENTRED[0]))
    right = [dual.pair.doit().subs({"a": 1, "b": 1}) for dual in (row, wrong)]
    assert right[0] != right[1]
    assert covariance in row.pair.free_symbols
    value, _ = gaussian_mean("erf", "erf", CENTRED[0][:2], CENTRED[0][2])
    assert abs(float(value) - float(found.mid())) < 1e-15
    assert not found.overlaps(arb(1.001 * float(value)))


def test_the_pair_of_tanh_is_the_number_of_twenty_coefficients():
    found = enclosure(both("tanh"), PairLaw((arb(0), arb(0)), (arb(12) / 10,) * 2, arb(84) / 100))
    assert found.overlaps(arb(".28546516428235 +/- 2.2e-14"))
    assert found.overlaps(arb(".285465164282363513")) or abs(found - arb(".285465164282363513")) < 1e-17


def test_two_orders_and_two_functions():
    assert enclosure((("tanh", 0), ("tanh", 2)), law(1.0, 1.0, 0.5)).rad() < 1e-15
    found = enclosure((("relu", 0), ("tanh", 1)), law(1.25, 0.75, 0.5, SHIFTED[0]))
    value, doubt = gaussian_mean("relu", "tanh", (1.25, 0.75), 0.5, SHIFTED[0], (0, 1))
    assert abs(float(found.mid()) - float(value)) <= float(doubt) + 1e-14


@pytest.mark.parametrize("name", ["tanh", "relu", "step", "erf", "enclosed_elu"])
def test_near_correlation_one_and_minus_one(name):
    one = enclosure(both(name), law(1.5, 1.5, 1.5))
    assert one.overlaps(enclosure(both(name), PairLaw((arb(0), arb(0)), (arb(1.5),) * 2, arb(1.5), same=True)))
    assert one.rad() < 1e-17
    near = enclosure(both(name), law(1.5, 1.5, 1.5 * (1 - 2.0**-50)))
    assert abs(near - one) < (2e-7 if name == "step" else 1e-14)
    opposite = enclosure(both(name), law(1.5, 1.5, -1.5))
    assert {"tanh": opposite.overlaps(-one), "relu": abs(opposite) < 1e-20}.get(name, opposite < one)


@pytest.mark.parametrize("name", ["tanh", "relu", "step", "gelu"])
def test_a_ball_of_laws_holds_every_law_in_it(name):
    wide = enclosure(both(name), PairLaw((arb(0), arb(0)), (arb(1.25, 1e-6), arb(1.0, 1e-6)), arb(0.75, 1e-6)))
    assert wide.rad() < 1e-4
    for a in (1.25 - 0.99e-6, 1.25 + 0.99e-6):
        for c in (0.75 - 0.99e-6, 0.75, 0.75 + 0.99e-6):
            assert wide.overlaps(enclosure(both(name), law(a, 1.0, c)))
    touching = enclosure(both(name), PairLaw((arb(0), arb(0)), (arb(1), arb(1)), arb(1, 1e-12)))
    assert touching.overlaps(enclosure(both(name), law(1.0, 1.0, 1.0)))
    assert touching.overlaps(enclosure(both(name), law(1.0, 1.0, 1.0 - 0.9e-12)))


def test_constants_and_single_functions():
    assert enclosure(both("tanh"), law(0.0, 1.0, 0.0)) == 0
    assert enclosure((("cos", 0),), law(1.0, 1.0, 0.0)).overlaps(arb(-0.5).exp())
    assert enclosure((("cos", 0), ("exp", 0)), law(0.0, 1.0, 0.0)).overlaps(arb(0.5).exp())
    with pytest.raises(NotAccurate, match="told from zero"):
        enclosure(both("tanh"), PairLaw((arb(0), arb(0)), (arb(0, 1e-30), arb(1)), arb(0)))
    with pytest.raises(NotClosed, match="two activations"):
        enclosure((("tanh", 0),) * 3, law(1.0, 1.0, 0.5))


def test_a_steep_function_of_two_variables():
    found = enclosure(both("enclosed_spike"), law(1.25, 1.25, 0.75))
    normal = math.exp(-(0.33331**2) / 2 * 2 / 2.0) / (2 * math.pi * math.sqrt(1.25**2 - 0.75**2))
    assert float(found.mid()) == pytest.approx(normal * math.pi / 1500**2, rel=1e-5)
    assert found.rad() < 1e-12 * found.mid()


def test_a_single_value_and_its_radius():
    middle, radius = enclosed_value(both("exp"), (0.0, 0.0, 1.0, 1.0, 0.5))
    assert abs(middle - math.exp(1.5)) <= radius + 1e-15
    assert radius < 1e-15
    assert acb(middle).real.overlaps(arb(1.5).exp() + arb(0, radius))


def test_a_covariance_that_rounding_made_too_large_is_the_largest():
    above = math.nextafter(1.25, 2)
    found, radius = enclosed_value(both("tanh"), (0.0, 0.0, 1.25, 1.25, above))
    assert abs(found - enclosed_value(both("tanh"), (0.0, 0.0, 1.25, 1.25, 1.25))[0]) <= 2 * radius
    with pytest.raises(ValueError, match="empty"):
        enclosure(both("tanh"), law(1.25, 1.25, 1.3))


def test_the_move_of_a_correlation_is_bounded_by_its_derivative():
    first, second = (pairs._mapped(pairs.ball_function("tanh", 0), arb(0), arb(1.25)) for _ in range(2))
    found = pairs._move(first, second, arb(0.5), arb(0.75))
    assert (
        abs(enclosure(both("tanh"), law(1.25, 1.25, 0.625)) - enclosure(both("tanh"), law(1.25, 1.25, 0.9375))) <= found
    )
    assert found < 0.2
