"""A polynomial in 1/n is recovered with calibrated errors, and a wrong degree is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.width_ladder import (
    choose_degree,
    default_horizon,
    extrapolate,
    first_correction,
    is_wide,
    neglected,
    width_ladder,
)

WIDTHS = np.array(width_ladder(1600))


def test_the_ladder_ends_at_the_width_and_has_no_doubles():
    assert tuple(WIDTHS) == (100, 200, 400, 800, 1600)
    assert width_ladder(3) == (1, 3)
    assert width_ladder(10**12)[-1] == 10**12
    with pytest.raises(ParameterError):
        width_ladder(0)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [1, 10**9])
def test_a_polynomial_is_recovered_at_any_scale_of_width(degree, scale):
    means = sum((k + 1) * (100 / WIDTHS) ** k for k in range(degree + 1)) + 0 * WIDTHS
    fit = extrapolate(WIDTHS * scale, means, np.full(5, 0.1), degree)
    assert fit.mean == pytest.approx(1, rel=1e-9)
    assert fit.lack_of_fit > 0.999 or degree == 3


def test_errors_and_lack_of_fit_are_calibrated():
    rng, stderrs = np.random.default_rng(0), np.array([0.5, 0.3, 0.3, 0.2, 0.4])
    fits = [extrapolate(WIDTHS, 2 + 30 / WIDTHS + rng.normal(size=5) * stderrs, stderrs, 1) for _ in range(500)]
    scores = [(fit.mean - 2) / fit.stderr for fit in fits]
    assert stats.kstest(scores, "norm").pvalue > 1e-4
    assert stats.kstest([fit.lack_of_fit for fit in fits], "uniform").pvalue > 1e-4


def test_a_degree_too_low_is_noticed():
    assert extrapolate(WIDTHS, 1 + (100 / WIDTHS) ** 2, np.full(5, 0.01), 1).lack_of_fit < 1e-6


def test_nothing_random_is_taken_as_it_is():
    fit = extrapolate(WIDTHS, np.zeros(5), np.zeros(5), 2)
    assert (fit.mean, fit.stderr, fit.lack_of_fit) == (0.0, 0.0, 1.0)
    with pytest.raises(ParameterError):
        extrapolate(WIDTHS[:2], np.zeros(2), np.ones(2), 2)


def test_the_degree_grows_with_precision_and_lag_and_falls_with_width():
    assert choose_degree(0, WIDTHS * 10**9, 1e-3) == 0
    assert choose_degree(0, WIDTHS, 1e-1) < choose_degree(9, WIDTHS, 1e-4) == 3


@pytest.mark.parametrize(
    ("lag", "coefficients"), [(2, (2, 0, 0)), (3, (10, 4, 0)), (4, (28, 28, 48)), (5, (62, 110, 468))]
)
def test_the_rule_for_neglected_terms_exceeds_the_exact_coefficients(lag, coefficients):
    """Erratum E2: the coefficients of n^-2, n^-3, n^-4 of the second moment, as an oracle."""
    for degree, coefficient in enumerate(coefficients, start=1):
        assert coefficient / 100 ** (degree + 1) < neglected(lag, 100, degree)


@pytest.mark.parametrize("width", [1, 8, 100, 256, 1000, 10**12])
def test_every_lag_of_the_default_horizon_has_three_wide_rungs(width):
    horizon = default_horizon(width)
    assert 1 <= horizon <= 10
    assert sum(is_wide(n, horizon - 1) for n in width_ladder(width)) >= 3 or horizon == 1


def test_the_coefficient_of_one_over_n_is_measured_through_a_known_limit():
    n, source, a = np.array([64.0, 128, 256, 512, 1024]), np.random.default_rng(3), 7.0
    stderrs = 0.02 * np.sqrt(64 / n)
    scores = []
    for _ in range(400):
        means = 2 + a / n - 30 / n**2 + stderrs * source.standard_normal(5)
        found, stderr = first_correction(n, means, stderrs, 2.0, 2, precision=1.0)
        scores.append((found - a) / stderr)
    assert abs(np.mean(scores)) < 4 / 400**0.5
    assert stats.kstest(scores, "norm").pvalue > 1e-3
    exact = 2 + a / n - 30 / n**2
    found, _ = first_correction(n, exact, stderrs, 2.0, 2)
    assert found == pytest.approx(a, rel=1e-10)
    assert first_correction(n, exact, stderrs, 2.0, 1)[0] != pytest.approx(a, rel=1e-3)
    _, wider = first_correction(n, exact, stderrs, 2.0, 2, error=0.1)
    assert wider > 10 * first_correction(n, exact, stderrs, 2.0, 2)[1]
    assert first_correction(n, exact, 0 * stderrs, 2.0, 2) is None
