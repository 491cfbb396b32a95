"""Mean squares by a series are the integrals, and one that is wrong is refused by its own check."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wideproof.derive.expectation import nested_quadrature
from wideproof.derive.expectation.pair_integrals import Variables, expectation, steep
from wideproof.derive.expectation.tables import mean_squares


@pytest.mark.parametrize(("name", "order"), [("tanh", 0), ("silu", 1)])
@pytest.mark.parametrize("span", [(0.0, 1 / 64), (0.0625, 16.0)], ids=["small", "wide"])
def test_a_series_is_the_integral(name, order, span):
    phi = steep(name, order, "numpy")
    table = mean_squares.build(phi, span)
    a = np.random.default_rng(0).uniform(*span, 50)
    squared = nested_quadrature.Steep(lambda z: phi.values(z) ** 2, phi.places)
    want, doubt = nested_quadrature.mean(np, squared, 0.0, np.sqrt(a))
    assert np.all(np.abs(table.at(a) - want) <= table.error + doubt)
    assert table.error < 1e-13


def test_a_series_off_by_a_billionth_is_refused():
    phi = steep("tanh", 0, "numpy")
    table = mean_squares.build(phi, (0.25, 1.0))
    squared = nested_quadrature.Steep(lambda z: phi.values(z) ** 2, phi.places)
    wrong = replace(table, coefficients=table.coefficients * (1.0 + 1e-9))
    assert mean_squares._checked(table, squared, 1.0) is not None
    assert mean_squares._checked(wrong, squared, 1.0) is None


def test_a_step_has_no_series():
    assert mean_squares.build(steep("tanh", 0, "numpy")._replace(values=lambda z: np.maximum(z - 0.3, 0.0)),
                              (0.0625, 16.0)) is None  # fmt: skip


def test_they_are_taken_where_many_are_wanted():
    a = np.linspace(0.3, 3.0, 20)
    law = ("numpy", (a, a), a)
    few, many = (expectation((("tanh", 0), ("tanh", 0)), Variables(*law, wanted=x)) for x in (1.0, math.inf))
    assert isinstance(many[1], float)
    np.testing.assert_allclose(many[0], few[0], rtol=1e-13)
