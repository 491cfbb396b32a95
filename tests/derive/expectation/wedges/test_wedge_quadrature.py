"""Expectations by wedges, against other integrals and closed forms."""

import math

import numpy as np
import pytest

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.pair_integrals import Variables, expectation, steep
from wideproof.derive.expectation.wedges import wedge_quadrature
from wideproof.derive.expectation.wedges.wedge_quadrature import grid, pair, serves
from wideproof.derive.language.activations import define

define("bent_elu", "max(z, 0) + exp(min(z, 0)) - 1")
define("bent_softsign", "z / (1 + abs(z))")
define("bent_away", "max(z - 1, 0) * z")
P, Q, ANGLE = (
    np.array([0.1, 1.0, 30.0, 1.0, 1.0]),
    np.array([0.3, 1.0, 4.0, 2.0, 1.0]),
    np.array([2.0, 1e-6, 0.4, 3.14, 0.0]),
)


@pytest.mark.parametrize("factors", [(("bent_elu", 0),) * 2, (("bent_softsign", 1), ("silu", 0))], ids=["elu", "two"])
def test_wedges_are_other_integrals(factors):
    phi, psi = (steep(*factor, "numpy") for factor in factors)
    found, error = pair(np, phi, psi, (P, Q), ANGLE)
    want, doubt = nested_quadrature.pair(np, phi, psi, (0.0, 0.0), (P, Q), np.cos(ANGLE), np.sin(ANGLE))
    assert np.all(np.abs(found - want) <= error + doubt)
    assert np.all(error <= 1e-11 * np.max(np.abs(want)))


@pytest.mark.parametrize("deviation", [1.0, 3.0, 6.0], ids=["1", "3", "6"])
def test_wedges_of_an_exponential_end_where_it_does(deviation):
    p, angle = np.array([deviation]), np.array([0.7])
    found, error = pair(np, *[steep("exp", 0, "numpy")] * 2, (p, p), angle)
    want = math.exp(deviation**2 * (1.0 + math.cos(0.7)))
    assert abs(found[0] - want) <= error[0]
    assert error[0] <= (1e-10 if deviation < 2 else 1e-3) * want


def test_nodes_in_units_of_something_else_are_seen(monkeypatch):
    phi = steep("bent_elu", 0, "numpy")
    monkeypatch.setattr(wedge_quadrature, "scale", lambda f: 1e4)
    _, error = pair(np, phi, phi, (100.0 * P, 100.0 * Q), ANGLE)
    assert np.max(error) > 1e-9


def test_all_pairs_at_once_are_each_alone():
    phi, angle = steep("bent_elu", 0, "numpy"), np.array([0.01, 1.3])
    found = grid(phi, phi, (P, Q), angle, 16)
    for turned, own in enumerate((angle, math.pi - angle)):
        want, _ = pair(np, phi, phi, (P[:, None], Q), own[:, None, None])
        np.testing.assert_allclose(found[turned], want, rtol=0, atol=1e-11 * np.max(want))


def test_they_serve_where_functions_change_around_zero():
    assert serves(*(steep(name, 0, "numpy") for name in ("bent_elu", "bent_softsign", "tanh")))
    assert not serves(steep("tanh", 0, "numpy"), steep("bent_away", 0, "numpy"))


def test_a_kink_at_zero_is_taken_by_wedges(monkeypatch):
    law = Variables("numpy", (np.full(1, 2.0), np.full(1, 1.0)), np.full(1, 0.3))
    want = expectation((("bent_elu", 0),) * 2, law)
    monkeypatch.setattr(wedge_quadrature, "pair", lambda *_: (7.0, 0.0))
    assert expectation((("bent_elu", 0),) * 2, law)[0] == 7.0
    assert expectation((("tanh", 0),) * 2, law)[0] < 1.0  # whose series is short
    monkeypatch.setattr(wedge_quadrature, "pair", lambda *_: (7.0, 1.0))
    found = expectation((("bent_elu", 0),) * 2, law)  # by nested integrals, where wedges leave an error
    assert abs(found[0] - want[0]) <= found[1] + want[1]
