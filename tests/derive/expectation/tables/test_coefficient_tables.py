"""Interpolated Hermite coefficients and the loop over pairs, against the series and the array text."""

from __future__ import annotations

import numpy as np
import pytest

from wideproof.derive.expectation import mehler_series
from wideproof.derive.expectation.tables import coefficient_tables, compiled_series

FUNCTIONS = {"tanh": np.tanh, "sigmoid": lambda z: 0.5 + 0.5 * np.tanh(0.5 * z), "cos": np.cos}
VARIANCES = np.array([[0.0, 1e-30, 1e-3, 0.25], [0.9, 1.0, 3.9, 9.0]])


@pytest.mark.parametrize("mean", [0.0, 0.3], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_interpolated_coefficients_are_those_of_the_series(name, mean):
    phi = FUNCTIONS[name]
    found = coefficient_tables.tabulated(np, phi, mean, VARIANCES)
    want = mehler_series.truncated(np, phi, mean + 0.0 * VARIANCES, VARIANCES, alike=True)
    size = want.beyond[..., :1]
    assert np.all(np.abs(found.coefficients[..., :48] - want.coefficients[..., :48]) <= 1e-10 * size)
    np.testing.assert_allclose(found.beyond[..., 0], want.beyond[..., 0], rtol=1e-7, atol=0)
    assert found.parities == want.parities


def test_a_table_that_is_off_is_not_used(monkeypatch):
    monkeypatch.setattr(coefficient_tables, "DEGREE", 4)
    assert coefficient_tables.octave_table.__wrapped__(np.tanh, 0.0, 1) is None
    monkeypatch.undo()
    assert coefficient_tables.octave_table.__wrapped__(np.tanh, 0.0, 1) is not None


def test_a_series_that_is_long_has_neither_table_nor_coefficients():
    assert coefficient_tables.octave_table(abs, 0.0, 0) is None
    assert coefficient_tables.tabulated(np, abs, 0.0, np.ones(2)) is None


def series_of(name):
    variances = np.array([[[0.5, 3.0, 9.0], [2.0, 0.0, 4.0]]])
    first = mehler_series.truncated(np, FUNCTIONS[name], 0.1 + 0.0 * variances, variances)
    first = first._replace(coefficients=first.coefficients.astype(np.float32))
    last = mehler_series.Truncated(first.coefficients[:, 0], first.beyond[:, 0], first.parities)
    correlation = np.linspace(-1, 1, 18).reshape(1, 2, 3, 3)
    return first, last, correlation


def by_arrays(first, last, correlation):
    doubles = [x._replace(coefficients=x.coefficients.astype(float)) for x in (first, last)]
    return mehler_series._by_arrays(np, *doubles, correlation)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_loop_over_pairs_gives_the_sums_of_the_array_text(name, monkeypatch):
    first, last, correlation = series_of(name)

    def looped(few):
        out, places = np.empty_like(correlation), np.array(mehler_series.PLACES)
        compiled_series.loop(*first[:2], *last[:2], correlation, True, True, places, few, out)
        return out

    want = by_arrays(first, last, correlation)
    size = first.beyond[..., 0][..., None] * last.beyond[..., None, None, :, 0]
    assert np.all(np.abs(looped(mehler_series.FEW) - want) <= mehler_series.FEW * size)
    assert np.all(np.abs(mehler_series.correlated(np, first, last, correlation) - want) <= mehler_series.FEW * size)
    monkeypatch.setattr(mehler_series, "FEW", 0.0)
    np.testing.assert_allclose(looped(0.0), by_arrays(first, last, correlation), rtol=0, atol=1e-12)
    if name == "tanh":
        assert np.abs(looped(1.0) - want).max() > 1e-9  # orders beyond the first place matter
