"""Moments merge, errors are those of the definition, Holm is Holm."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.statistics import Moments, holm, normal_quantile, ratio_of_moments, two_sided_p


def rng(seed=0):
    return np.random.default_rng(seed)


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(1, 98), shift=st.floats(-1e3, 1e3))
def test_merged_parts_are_the_whole(cut, shift):
    x = rng().normal(size=(99, 2, 3)) + shift
    whole, merged = Moments.of(x), Moments.of(x[:cut]).merge(Moments.of(x[cut:]))
    assert merged.count == 99
    assert np.allclose(merged.mean, whole.mean, rtol=1e-12)
    assert np.allclose(merged.comoment, whole.comoment, rtol=1e-9, atol=1e-9)


def test_comoments_are_numpy_covariances():
    x = rng().normal(size=(50, 3)) @ rng(1).normal(size=(3, 3))
    assert np.allclose(Moments.of(x).comoment / 49, np.cov(x, rowvar=False), rtol=1e-12)
    assert np.allclose(Moments.of(array_api_strict.asarray(x)).mean, x.mean(axis=0), rtol=1e-14)


def test_the_error_of_a_mean_is_the_textbook_one():
    x = rng().normal(size=(50, 3))
    estimate = Moments.of(x).feature(1)
    assert estimate.mean == pytest.approx(x[:, 1].mean())
    assert estimate.stderr == pytest.approx(x[:, 1].std(ddof=1) / 50**0.5)


def test_one_trial_has_an_infinite_error():
    assert np.isinf(Moments.of(np.ones((1, 1))).feature(0).stderr)


def kurtosis_scores(truth, draw, repeats=400, trials=2000):
    x = draw((trials, repeats))
    found = ratio_of_moments(Moments.of(np.stack([x**4, x**2], axis=2)), (2.0,), -3.0)
    return (found.mean - truth) / found.stderr


@pytest.mark.parametrize(
    ("truth", "draw"), [(0.0, rng(3).standard_normal), (-1.2, lambda size: rng(4).uniform(-1, 1, size))]
)
def test_kurtosis_errors_have_unit_scores(truth, draw):
    scores = kurtosis_scores(truth, draw)
    assert abs(scores.mean()) < 0.3  # 5 standard errors and the bias of order trials^-1/2
    assert 0.8 < scores.std() < 1.2


def test_a_ratio_over_zero_is_zero_without_error():
    found = ratio_of_moments(Moments.of(np.zeros((5, 3))), (1.0, 1.0), -1.0)
    assert (found.mean, found.stderr) == (0.0, 0.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_the_step_down_procedure(raw):
    """A naive twin: walk up the sorted p-values while p_(k) <= a / (m - k)."""
    level, order = 0.05, np.argsort(raw, kind="stable")
    rejected = set()
    for k, index in enumerate(order):
        if raw[index] * (len(raw) - k) > level:
            break
        rejected.add(int(index))
    assert {k for k, p in enumerate(holm(raw)) if p <= level} == rejected


def test_tails_are_scipy_tails():
    assert two_sided_p([1.3, -40.0]) == pytest.approx(2 * stats.norm.sf([1.3, 40.0]))
    assert normal_quantile(0.01) == pytest.approx(stats.norm.isf(0.01))
    with pytest.raises(ParameterError):
        normal_quantile(0.0)
