"""Enclosed Hermite coefficients: Parseval holds, what is left out is bounded, edges do not hurt."""

import math

import numpy as np
import pytest
from flint import arb, ctx

from wideproof.derive.expectation.enclosures import hermite
from wideproof.derive.expectation.enclosures.functions import ball_function
from wideproof.derive.expectation.enclosures.hermite import series
from wideproof.derive.expectation.enclosures.integrals import Mapped, mean_of
from wideproof.derive.language.activations import define

define("enclosed_elu", "max(z, 0) + min(exp(z) - 1, 0)")


@pytest.fixture(autouse=True)
def precise():
    with ctx.workprec(160):
        yield


def found(name, mean=0.0, variance=1.2, order=48):
    one = Mapped(ball_function(name, 0), arb(mean), arb(variance).sqrt())
    energy = mean_of((one, one))
    return series(one, order, energy), energy


def test_the_coefficients_of_exp_are_known():
    (coefficients, tail), energy = found("exp", 0.5, 2.0)
    for k in (0, 1, 7, 40):
        want = arb(1.5).exp() * arb(2).sqrt() ** k / arb(math.factorial(k)).sqrt()
        assert coefficients[k].overlaps(want)
        assert coefficients[k].rad() < 1e-25
        assert not coefficients[k].overlaps(want * 1.001) or want < 1e-20
    assert energy.overlaps(arb(5).exp())
    assert tail < 1e-15


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu", "enclosed_elu"])
def test_the_tail_bounds_what_more_coefficients_show(name):
    (few, tail), _ = found(name, 0.3)
    (many, rest), _ = found(name, 0.3, order=192)
    shown = sum(x**2 for x in many[48:])
    assert shown < tail
    assert tail < shown + rest + 1e-15
    assert all(x.overlaps(y) for x, y in zip(few, many, strict=False))


def test_coefficients_of_kinked_functions_agree_with_sums_over_a_grid():
    (coefficients, _), _ = found("enclosed_elu", 0.3)
    z = np.arange(-14, 14, 1e-4)
    phi = np.where(0.3 + np.sqrt(1.2) * z > 0, 0.3 + np.sqrt(1.2) * z, np.expm1(np.minimum(0.3 + np.sqrt(1.2) * z, 0)))
    he, before = np.ones_like(z), np.zeros_like(z)
    for k in range(12):
        want = np.sum(phi * he * np.exp(-z * z / 2)) * 1e-4 / math.sqrt(2 * math.pi)
        assert float(coefficients[k].mid()) == pytest.approx(want, abs=1e-9)
        he, before = (z * he - math.sqrt(k) * before) / math.sqrt(k + 1), he


def test_the_bound_on_hermite_functions_holds():
    for x, y, order in ((0.0, 0.9, 47), (2.0, 0.5, 47), (9.0, 0.1, 191), (0.5, 0.0, 10)):
        bound = hermite._weight(arb(x), arb(y), order)
        z = complex(x, y)
        he, before = 1.0 + 0j, 0j
        for k in range(order + 1):
            size = abs(he) * abs(np.exp(-z * z / 2)) / math.sqrt(2 * math.pi)
            assert size <= float(bound) * (1 + 1e-9)
            he, before = (z * he - math.sqrt(k) * before) / math.sqrt(k + 1), he


def test_the_bound_of_a_panel_holds_where_nodes_are_few(monkeypatch):
    monkeypatch.setattr(hermite, "NODES", 6)
    one = Mapped(ball_function("tanh", 0), arb(0), arb(1))
    low, high = arb(0), arb(1)
    rule = hermite.legendre(6, 160)
    for order in (0, 5):
        value = sum(w / 2 * ((1 + x) / 2).tanh() * _weighted((1 + x) / 2, order) for x, w in rule)
        fine = sum(w / 2 * ((1 + x) / 2).tanh() * _weighted((1 + x) / 2, order) for x, w in hermite.legendre(60, 160))
        assert abs(value - fine) <= hermite._error(one, low, high, order + 1)
        assert abs(value - fine) > 0


def _weighted(x, order):
    he, before = arb(1), arb(0)
    for k in range(order):
        he, before = (x * he - arb(k).sqrt() * before) / arb(k + 1).sqrt(), he
    return he * (-x * x / 2).exp() / (2 * arb.pi()).sqrt()
